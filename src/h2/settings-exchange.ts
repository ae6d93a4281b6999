// SETTINGS of both ends (RFC 9113 §6.5): ours, what the peer says to them, and the peer's, which change what runs already.
import { ConnectionError, errorCode } from './error-code.ts';
import type { FloodGuard } from './flood-guard.ts';
import { flag, settingId, windowBytesDefault, windowBytesLimit } from './frames.ts';
import type { FrameHeader } from './frames.ts';
import type { Http2Limits } from './limits.ts';
import type { Outlet } from './outlet.ts';
import { parseSettings } from './peer-settings.ts';
import type { SettingsChange } from './peer-settings.ts';
import type { StreamCore } from './stream-core.ts';
import type { StreamTable } from './stream-table.ts';

/** What settings are for, and who hears of them. */
export interface SettingsParts<S extends StreamCore> {
  readonly limits: Http2Limits;
  readonly outlet: Outlet;
  readonly streams: StreamTable<S>;
  readonly guard: FloodGuard;
  /** The peer's, in force by now. */
  readonly onPeer: (change: SettingsChange) => void;
  /** Ours are in force. */
  readonly onAck: () => void;
}

/** The settings of one connection, in both directions. Ours are sent once. */
export class SettingsExchange<S extends StreamCore> {
  readonly #parts: SettingsParts<S>;
  #peerInitialWindowBytes: number = windowBytesDefault;
  #isAcknowledged = false;

  constructor(parts: SettingsParts<S>) {
    this.#parts = parts;
  }

  /** What we may send on a stream that begins now. */
  get peerInitialWindowBytes(): number {
    return this.#peerInitialWindowBytes;
  }

  /** The peer has said that ours are in force. */
  get isAcknowledged(): boolean {
    return this.#isAcknowledged;
  }

  /** What the peer may send on a stream that begins now: it may believe in the default until it has acknowledged our SETTINGS. */
  get receiveWindowBytes(): number {
    const { streamWindowBytes } = this.#parts.limits;
    return this.#isAcknowledged ? streamWindowBytes : Math.max(streamWindowBytes, windowBytesDefault);
  }

  /** Our SETTINGS, and what the connection window has over the default; `own` are those of the role. */
  write(own: readonly (readonly [id: number, value: number])[]): void {
    const { limits, outlet } = this.#parts;
    outlet.frames.settings([
      [settingId.headerTableSize, limits.headerTableBytesMax],
      ...own,
      [settingId.initialWindowSize, limits.streamWindowBytes],
      [settingId.maxFrameSize, limits.frameBytesMax],
      [settingId.maxHeaderListSize, limits.headerListBytesMax],
    ]);
    if (limits.connectionWindowBytes > windowBytesDefault) outlet.frames.windowUpdate(0, limits.connectionWindowBytes - windowBytesDefault);
  }

  /** A SETTINGS frame. @throws ConnectionError */
  onFrame(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    if (frame.streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'SETTINGS on a stream');
    if (frame.flags & flag.ack) {
      if (end !== from) throw new ConnectionError(errorCode.frameSizeError, 'SETTINGS with ACK and a payload');
      this.#onAck();
      return;
    }
    const { guard, outlet, onPeer } = this.#parts;
    guard.spend('SETTINGS');
    const change = parseSettings(bytes, from, end);
    if (change.headerTableBytes !== undefined) outlet.setPeerHeaderTableBytes(change.headerTableBytes);
    if (change.frameBytesMax !== undefined) outlet.setPeerFrameBytesMax(change.frameBytesMax);
    outlet.frames.settingsAck(); // before DATA that the new windows let out
    outlet.touch();
    if (change.initialWindowBytes !== undefined) this.#setPeerInitialWindow(change.initialWindowBytes);
    onPeer(change);
  }

  #setPeerInitialWindow(bytes: number): void {
    const difference = bytes - this.#peerInitialWindowBytes;
    this.#peerInitialWindowBytes = bytes;
    for (const stream of this.#parts.streams.all()) {
      if (stream.sendWindowBytes + difference > windowBytesLimit) throw new ConnectionError(errorCode.flowControlError, 'stream window above 2^31-1');
      stream.openSendWindow(difference);
    }
  }

  #onAck(): void {
    const { guard, streams, limits, onAck } = this.#parts;
    if (this.#isAcknowledged) {
      guard.spend('SETTINGS with ACK');
      return;
    }
    this.#isAcknowledged = true;
    onAck();
    for (const stream of streams.all()) stream.resizeReceiveWindow(limits.streamWindowBytes);
  }
}
