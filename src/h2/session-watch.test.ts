// What a connection is judged by, and what it is not blamed for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SessionWatch } from './session-watch.ts';
import type { SessionFacts, SessionLimits } from './session-watch.ts';

const limits: SessionLimits = {
  stallTimeoutMs: 1_000,
  busyStallTimeoutMs: 100,
  stallBytesMin: 10,
  handshakeTimeoutMs: 500,
  idleTimeoutMs: 10_000,
  pingIntervalMs: 2_000,
  pingTimeoutMs: 300,
};

const idle: SessionFacts = { streamCount: 0, lastStreamId: 0, sawSettings: true, acknowledgedSettings: true, openBlockStreamId: 0, isReading: true, receivedBytes: 0, sentBytes: 0, queuedBytes: 0 };

/** Looks every 100 ms from `fromMs` to `toMs`, and gives what is not fine, with the time. */
function watching(watch: SessionWatch, facts: (nowMs: number) => Partial<SessionFacts>, [fromMs, toMs]: readonly [number, number], stallMs = limits.stallTimeoutMs): string[] {
  const verdicts: string[] = [];
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 100) {
    const verdict = watch.look({ ...idle, ...facts(nowMs) }, nowMs, stallMs);
    if (verdict !== 'fine') verdicts.push(`${nowMs} ${verdict}`);
  }
  return verdicts;
}

describe('a session that is watched', () => {
  it('must show its SETTINGS in time', () => {
    assert.deepEqual(watching(new SessionWatch(limits, 0), () => ({ sawSettings: false, acknowledgedSettings: false }), [100, 500]), ['500 silent']);
  });

  it('RFC 9113 §6.5.3: must acknowledge ours in time, which begins anew with its own', () => {
    const facts = (nowMs: number) => ({ sawSettings: nowMs >= 400, acknowledgedSettings: false });
    assert.deepEqual(watching(new SessionWatch(limits, 0), facts, [100, 900]), ['900 unacknowledged']);
    const late = (nowMs: number) => ({ ...facts(nowMs), acknowledgedSettings: nowMs >= 800 });
    assert.deepEqual(watching(new SessionWatch(limits, 0), late, [100, 5_000]), []);
    const unread = (nowMs: number) => ({ ...facts(nowMs), isReading: nowMs < 500 });
    assert.deepEqual(watching(new SessionWatch(limits, 0), unread, [100, 5_000]), []);
  });

  it('must end the header block that it has begun; blocks one after the other are no sin', () => {
    assert.deepEqual(watching(new SessionWatch(limits, 0), () => ({ openBlockStreamId: 3 }), [100, 600]), ['600 slow_headers']);
    const busy = (nowMs: number) => ({ openBlockStreamId: nowMs, lastStreamId: nowMs, receivedBytes: nowMs });
    assert.deepEqual(watching(new SessionWatch(limits, 0), busy, [100, 5_000]), []);
  });

  it('is not blamed for what may have come and was not read', () => {
    const unread = (nowMs: number) => ({ sawSettings: false, isReading: nowMs > 3_000 });
    assert.deepEqual(watching(new SessionWatch(limits, 0), unread, [100, 3_500]), ['3500 silent']);
    const block = (nowMs: number) => ({ openBlockStreamId: 3, isReading: nowMs > 3_000 });
    assert.deepEqual(watching(new SessionWatch(limits, 0), block, [100, 3_500]), ['3500 slow_headers']);
  });

  it('is idle without streams, and ended in two steps', () => {
    assert.deepEqual(watching(new SessionWatch(limits, 0), () => ({}), [100, 20_000]), ['10000 drain', '15000 refuse_new']);
  });

  it('is not idle when its streams begin and end between two looks', () => {
    assert.deepEqual(watching(new SessionWatch(limits, 0), (nowMs) => ({ lastStreamId: Math.floor(nowMs / 9_000) }), [100, 40_000]), []);
  });

  it('is idle again after its last stream, and never with one that runs', () => {
    const watch = new SessionWatch({ ...limits, pingIntervalMs: 0 }, 0);
    assert.deepEqual(watching(watch, () => ({ streamCount: 1, lastStreamId: 1 }), [100, 30_000]), []);
    assert.deepEqual(watching(watch, () => ({ lastStreamId: 1 }), [30_100, 40_000]), ['40000 drain']);
  });

  it('lives for ever when idle time is off', () => {
    assert.deepEqual(watching(new SessionWatch({ ...limits, idleTimeoutMs: 0 }, 0), () => ({}), [100, 50_000]), []);
  });

  it('is asked whether it is there when it is silent with streams open, and dead when it does not answer', () => {
    assert.deepEqual(watching(new SessionWatch(limits, 0), () => ({ streamCount: 1 }), [100, 2_300]), ['2000 ping', '2300 dead']);
  });

  it('is there when it answers, and is asked again later', () => {
    const answers = (nowMs: number) => ({ streamCount: 1, receivedBytes: nowMs > 2_100 ? 17 : 0 });
    assert.deepEqual(watching(new SessionWatch(limits, 0), answers, [100, 4_300]), ['2000 ping', '4200 ping']);
  });

  it('is not asked without streams, while it takes what is sent, or while nothing of it is read', () => {
    assert.deepEqual(watching(new SessionWatch(limits, 0), () => ({}), [100, 5_000]), []);
    const takes = (nowMs: number) => ({ streamCount: 1, queuedBytes: 1_000, sentBytes: nowMs });
    assert.deepEqual(watching(new SessionWatch(limits, 0), takes, [100, 5_000]), []);
    const unread = () => ({ streamCount: 1, isReading: false });
    assert.deepEqual(watching(new SessionWatch(limits, 0), unread, [100, 5_000]), []);
  });

  it('has stalled when it takes too little of what waits for it, sooner while others wait', () => {
    const trickle = (nowMs: number) => ({ streamCount: 1, queuedBytes: 1_000, sentBytes: nowMs / 200 });
    assert.deepEqual(watching(new SessionWatch(limits, 0), trickle, [100, 1_100]), ['1100 stalled']);
    assert.deepEqual(watching(new SessionWatch(limits, 0), trickle, [100, 200], limits.busyStallTimeoutMs), ['200 stalled']);
  });
});
