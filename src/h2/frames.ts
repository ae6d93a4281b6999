// The numbers of the frame layer (RFC 9113 §4, §6, §6.5.2).

/** Length (24 bits), type, flags, stream id (31 bits). */
export const frameHeaderBytes = 9;

export const frameType = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

export const flag = {
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

export const settingId = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const;

/** SETTINGS_MAX_FRAME_SIZE before the peer says otherwise, and the least it may say. */
export const frameBytesDefault = 16_384;
/** The most SETTINGS_MAX_FRAME_SIZE may be: what 24 bits hold. */
export const frameBytesLimit = 16_777_215;
/** Both flow-control windows before anybody says otherwise (RFC 9113 §6.9.2). */
export const windowBytesDefault = 65_535;
/** No window may ever be larger (RFC 9113 §6.9.1). */
export const windowBytesLimit = 0x7fff_ffff;
/** SETTINGS_HEADER_TABLE_SIZE before the peer says otherwise. */
export const headerTableBytesDefault = 4_096;
/** What every client sends first (RFC 9113 §3.4). */
export const clientPreface: Uint8Array = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** The header of the frame at hand. One object per connection, written anew for each frame: nobody keeps it. */
export interface FrameHeader {
  type: number;
  flags: number;
  streamId: number;
  /** Bytes of the payload, padding included. */
  length: number;
}
