// Every limit of the configuration reaches a part of the server.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { LimitOptions } from '../config/serve-options.ts';
import { serverLimits } from './server-limits.ts';

/** Figures that no default has. */
const given: LimitOptions = {
  connectionsMax: 1_001,
  firstBytesTimeoutMs: 1_002,
  streamsMax: 1_003,
  stallTimeoutMs: 1_004,
  messageBytesMax: 1_005,
  batchBytesMax: 1_006,
  // Of the budget of the process, which is made before all of them.
  bufferedBytesMax: 1_000_000_000,
  heldBodyBytesMax: 1_007,
  // Of the stores, which take them as they are.
  blobBytesMax: 1_008,
  valueBytesMax: 1_009,
  hotBytesMax: 1_010,
  openReadsMax: 1_011,
  openWritesMax: 1_012,
  busyStallTimeoutMs: 1_013,
  stallBytesMin: 1_014,
  tlsHandshakesMax: 1_015,
  tlsHandshakeTimeoutMs: 1_016,
  http2: {
    streamWindowBytes: 1_020,
    connectionWindowBytes: 1_021,
    outputBytesMax: 1_022,
    headerListBytesMax: 1_023_000,
    idleTimeoutMs: 1_024,
    pingIntervalMs: 1_025,
    pingTimeoutMs: 1_026,
    idleFramesBurst: 1_027,
    idleFramesPerSecond: 1_028,
  },
  http1: { headerBytesMax: 1_030, headersTimeoutMs: 1_031, keepAliveTimeoutMs: 1_032, pipelinedRequestsMax: 1_033 },
};

it('K6-04: hands every limit to those it is for, send buffer and windows included', () => {
  const { listener, tls, http1, http2, grpc, services, http } = serverLimits(given);
  assert.deepEqual(listener, { connectionsMax: 1_001, firstBytesTimeoutMs: 1_002 });
  assert.deepEqual(tls, { handshakesMax: 1_015, handshakeTimeoutMs: 1_016 });
  assert.equal(http2.concurrentStreamsMax, 1_003);
  assert.equal(http2.handshakeTimeoutMs, 1_002);
  assert.equal(grpc.messageBytesMax, 1_005);
  assert.equal(services.batchBytesMax, 1_006);
  assert.equal(http.heldBodyBytesMax, 1_007);
  assert.deepEqual({ ...http2, ...given.http2 }, http2);
  assert.deepEqual({ ...http1, ...given.http1 }, http1);
  const stall = { stallTimeoutMs: 1_004, busyStallTimeoutMs: 1_013, stallBytesMin: 1_014 };
  assert.deepEqual({ ...http1, ...stall }, http1);
  assert.deepEqual({ ...http2, ...stall }, http2);
});

it('lets a list of headers in that is as long as it may be, however it is packed', () => {
  const { http2 } = serverLimits(given);
  assert.equal(http2.headerBlockBytesMax, 1_023_000);
  assert.ok(http2.continuationFramesMax * http2.frameBytesMax >= http2.headerBlockBytesMax);
});
