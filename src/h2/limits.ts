// What one peer may make us keep or do. Everything a connection holds is bounded by these figures.

import type { SessionLimits } from './session-watch.ts';

/** Bounds of one connection. */
export interface Http2Limits extends SessionLimits {
  /** SETTINGS_MAX_CONCURRENT_STREAMS; one more is refused, which tells the client that it may try again. */
  readonly concurrentStreamsMax: number;
  /** SETTINGS_MAX_FRAME_SIZE, at least 16,384. DATA is handed on in pieces, so only other frames are ever held whole. */
  readonly frameBytesMax: number;
  /** SETTINGS_HEADER_TABLE_SIZE: the dynamic table of the decoder. */
  readonly headerTableBytesMax: number;
  /** SETTINGS_MAX_HEADER_LIST_SIZE: names, values and 32 bytes per field. A longer list resets its stream. */
  readonly headerListBytesMax: number;
  /** Encoded bytes of one header block over all of its frames. A longer block ends the connection. */
  readonly headerBlockBytesMax: number;
  /** CONTINUATION frames of one header block. */
  readonly continuationFramesMax: number;
  /** Header blocks remembered with their decoded form. */
  readonly rememberedBlocksMax: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE: request bytes of one stream that the layers above have not consumed yet. */
  readonly streamWindowBytes: number;
  /** The same over all streams; at least 65,535. This bounds what a connection can make us hold. */
  readonly connectionWindowBytes: number;
  /** Answer bytes on their way to the kernel; beyond it DATA waits in its streams; at twice that nothing is read. */
  readonly outputBytesMax: number;
  /**
   * Frames that cost us work and bring nobody forward (PING, SETTINGS, PRIORITY, empty DATA, resets of calls in
   * progress, anything that we must answer with a reset): so many at once, and so many per second in the long run.
   */
  readonly idleFramesBurst: number;
  readonly idleFramesPerSecond: number;
}

/**
 * Defaults. Windows: one stream alone fills a gigabit over 8 ms of delay, sixteen of them the connection's share.
 * Idle frames: a client that cancels everything it has in flight several times a second is served, a flood is not.
 */
export const http2Limits: Http2Limits = {
  concurrentStreamsMax: 256,
  frameBytesMax: 16_384,
  headerTableBytesMax: 4_096,
  headerListBytesMax: 65_536,
  headerBlockBytesMax: 65_536,
  continuationFramesMax: 16,
  rememberedBlocksMax: 64,
  streamWindowBytes: 1_048_576,
  connectionWindowBytes: 16_777_216,
  outputBytesMax: 1_048_576,
  idleFramesBurst: 1_000,
  idleFramesPerSecond: 100,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 20_000,
  stallTimeoutMs: 120_000,
  busyStallTimeoutMs: 10_000,
  stallBytesMin: 4_096,
};
