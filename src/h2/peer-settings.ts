// The SETTINGS of the peer (RFC 9113 §6.5.2), parsed and checked.
import { ConnectionError, errorCode } from './error-code.ts';
import { readUint32 } from './frame-reader.ts';
import { frameBytesDefault, frameBytesLimit, settingId, windowBytesLimit } from './frames.ts';

/** What a SETTINGS frame changes; what it does not name stays. Of a setting named twice the last one counts. */
export interface SettingsChange {
  headerTableBytes?: number;
  /** 0 or 1. */
  enablePush?: number;
  concurrentStreamsMax?: number;
  initialWindowBytes?: number;
  frameBytesMax?: number;
  headerListBytesMax?: number;
}

const settingBytes = 6;

/** @throws ConnectionError for a value out of its range, or a payload that is no list of settings. */
export function parseSettings(bytes: Uint8Array, from: number, end: number): SettingsChange {
  if ((end - from) % settingBytes !== 0) throw new ConnectionError(errorCode.frameSizeError, 'SETTINGS of a length that is no multiple of 6');
  const change: SettingsChange = {};
  for (let at = from; at < end; at += settingBytes) {
    const id = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    applySetting(change, id, readUint32(bytes, at + 2));
  }
  return change;
}

/** What concerns one role only is for that role to heed; settings that nobody knows pass (RFC 9113 §6.5.2). */
function applySetting(change: SettingsChange, id: number, value: number): void {
  switch (id) {
    case settingId.headerTableSize:
      // A table lowered and raised again within one frame was lowered all the same (RFC 7541 §4.2).
      change.headerTableBytes = Math.min(value, change.headerTableBytes ?? value);
      return;
    case settingId.enablePush:
      if (value > 1) throw new ConnectionError(errorCode.protocolError, 'SETTINGS_ENABLE_PUSH is neither 0 nor 1');
      change.enablePush = value;
      return;
    case settingId.maxConcurrentStreams:
      change.concurrentStreamsMax = value;
      return;
    case settingId.initialWindowSize:
      if (value > windowBytesLimit) throw new ConnectionError(errorCode.flowControlError, 'SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1');
      change.initialWindowBytes = value;
      return;
    case settingId.maxFrameSize:
      if (value < frameBytesDefault || value > frameBytesLimit) {
        throw new ConnectionError(errorCode.protocolError, 'SETTINGS_MAX_FRAME_SIZE out of range');
      }
      change.frameBytesMax = value;
      return;
    case settingId.maxHeaderListSize:
      change.headerListBytesMax = value;
      return;
    default:
  }
}
