// Peers that send or take too little: whose fault it is, what becomes of the call, and that windows of a few bytes cost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { data, frame, headers, Http2Peer, settings, uint32 } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';

const at = (nowMs: number) => ({ nowMs, stallMs: 100, bytesMin: 10 });
const answerHead = [[':status', '200']] as const;

function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(8, 0, streamId, uint32(increment));
}

/** A client that has opened `count` calls, whose answers of `bytes` have begun. */
function answered(count: number, bytes: number, options: { readonly streamWindow: number }): Http2Peer {
  const peer = new Http2Peer();
  peer.send(settings([4, options.streamWindow]));
  peer.send(Buffer.concat(Array.from({ length: count }, (_, index) => headers(1 + 2 * index, true))));
  for (const { stream } of peer.streams) {
    stream.sendHeaders(answerHead, false);
    stream.sendData([new Uint8Array(bytes)], true);
  }
  peer.take();
  return peer;
}

function resetIds(frames: readonly Frame[]): number[] {
  return frames.filter(({ type }) => type === 3).map(({ streamId }) => streamId);
}

/** Looks, and gives the streams that were reset. */
function look(peer: Http2Peer, nowMs: number, isRead = true): number[] {
  peer.connection.endStalled(at(nowMs), isRead);
  return resetIds(peer.take());
}

describe('answers that are not taken', () => {
  it('are given up when the window of the stream stays shut, or opens by too little', () => {
    const peer = answered(1, 1_000, { streamWindow: 0 });
    assert.deepEqual(look(peer, 0), []);
    peer.send(windowUpdate(1, 9));
    assert.deepEqual(look(peer, 99), []);
    assert.deepEqual(look(peer, 100), [1]);
    assert.deepEqual(peer.stream().events.at(-1), 'reset 8 by us');
  });

  it('are left alone while enough of them is taken', () => {
    const peer = answered(1, 1_000, { streamWindow: 0 });
    look(peer, 0);
    for (let nowMs = 100; nowMs <= 1_000; nowMs += 100) {
      peer.send(windowUpdate(1, 10));
      assert.deepEqual(look(peer, nowMs), []);
    }
  });

  it('wait for their turn without blame while the connection takes enough for all', () => {
    const peer = answered(3, 60_000, { streamWindow: 1 << 20 }); // the first one takes the window of the connection
    assert.deepEqual(look(peer, 0), []);
    for (let nowMs = 100; nowMs <= 600; nowMs += 100) {
      peer.send(windowUpdate(0, 30));
      assert.deepEqual(look(peer, nowMs), [], `at ${nowMs}`);
    }
  });

  it('are given up together when the window of the connection stays shut', () => {
    const peer = answered(3, 60_000, { streamWindow: 1 << 20 });
    look(peer, 0);
    assert.deepEqual(look(peer, 100).toSorted((a, b) => a - b), [3, 5]);
  });

  it('are given up when nothing leaves for the system, although nothing is read meanwhile', () => {
    const peer = answered(1, 1_000_000, { streamWindow: 1 << 20 });
    peer.connection.outlet.onBacklog(1 << 20); // the socket is full
    peer.send(windowUpdate(0, 1 << 20));
    look(peer, 0, false);
    assert.deepEqual(look(peer, 100, false), [1]);
  });
});

describe('requests that do not come', () => {
  /** A call with a handler that awaits its request, or not. */
  function calling(awaitsRequest: boolean): { readonly peer: Http2Peer; readonly reasons: string[] } {
    const peer = new Http2Peer();
    const reasons: string[] = [];
    peer.send(headers(1, false));
    Object.assign(peer.stream(), { awaitsRequest, onStalled: (reason: string) => reasons.push(reason) });
    return { peer, reasons };
  }

  it('are given up; the handler is told how much is too little', () => {
    const { peer, reasons } = calling(true);
    assert.deepEqual(look(peer, 0), []);
    peer.send(data(1, false, 9));
    assert.deepEqual(look(peer, 100), [1]);
    assert.deepEqual(reasons, ['less than 10 bytes of the request came within 100 ms']);
  });

  it('may be answered by the handler instead', () => {
    const { peer } = calling(true);
    const handler = peer.stream();
    Object.assign(handler, {
      onStalled() {
        Object.assign(handler, { awaitsRequest: false });
        handler.stream.sendHeaders(answerHead, true);
      },
    });
    look(peer, 0);
    assert.deepEqual(look(peer, 100), []);
  });

  it('are waited for as long as it takes where nobody waits, or nothing is read', () => {
    const { peer } = calling(false);
    look(peer, 0);
    assert.deepEqual(look(peer, 1_000), []);
    const unread = calling(true).peer;
    look(unread, 0, false);
    assert.deepEqual(look(unread, 1_000, false), []);
  });
});

describe('windows of a few bytes', () => {
  it('HT-12: end the connection after so many frames, whichever window it is', () => {
    for (const streamId of [0, 1]) {
      const peer = answered(1, 100_000, { streamWindow: streamId === 0 ? 1 << 20 : 0 });
      const sent: Frame[] = [];
      for (let count = 0; count < 1_100; count += 1) sent.push(...peer.send(windowUpdate(streamId, 1)));
      assert.equal(sent.at(-1)?.type, 7);
      assert.equal(peer.mishaps.at(-1), 'ENHANCE_YOUR_CALM: a tiny window');
    }
  });

  it('HT-12: cost as much when SETTINGS open them', () => {
    const peer = answered(10, 1_000, { streamWindow: 0 });
    for (let count = 1; count <= 100 && peer.mishaps.length === 0; count += 1) peer.send(settings([4, count]));
    assert.equal(peer.mishaps.at(-1), 'ENHANCE_YOUR_CALM: a tiny window');
  });

  it('cost nothing when they are what is left of large ones', () => {
    const peer = answered(1, 60_000_000, { streamWindow: 1 << 30 });
    for (let count = 0; count < 1_500; count += 1) peer.send(windowUpdate(0, 16_384 + 1)); // a frame, and one of one byte
    assert.deepEqual(peer.mishaps, []);
  });

  it('cost nothing where several streams with small windows share a small one of the connection', () => {
    const streamWindow = 1_023;
    const peer = answered(10, 3_000_000, { streamWindow });
    const connectionWindow = 9 * streamWindow + 15; // so that the tenth stream gets 15 bytes, each round
    const untold = new Map<number, number>([[0, connectionWindow - 65_535]]);
    const take = (streamId: number, bytes: number, window: number): Buffer[] => {
      const sum = (untold.get(streamId) ?? 0) + bytes;
      untold.set(streamId, sum < window / 2 ? sum : 0);
      return sum < window / 2 ? [] : [windowUpdate(streamId, sum)];
    };
    // What was sent before this began, as if it had come now.
    let sent = peer.streams.map(({ stream }) => ({ streamId: stream.id, bytes: streamWindow }));
    let received = 0;
    while (sent.length > 0) {
      const perStream = sent.flatMap(({ streamId, bytes }) => take(streamId, bytes, streamWindow));
      const bytes = sent.reduce((sum, one) => sum + one.bytes, 0);
      received += bytes;
      const frames = peer.send(...perStream, ...take(0, bytes, connectionWindow));
      sent = frames.filter(({ type }) => type === 0).map(({ streamId, payload }) => ({ streamId, bytes: payload.length }));
    }
    assert.deepEqual(peer.mishaps, []);
    assert.equal(received, 30_000_000);
  });
});
