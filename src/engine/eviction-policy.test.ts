// Which step comes next, case by case, and what holds in every state.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { nextEviction } from './eviction-policy.ts';
import type { EvictionState, StreamState } from './eviction-policy.ts';

const mebibyte = 1_048_576;
const at = (timeS: number) => ({ begunS: timeS, meanUseS: timeS });
const emptyStream: StreamState = { bytes: 0, liveBytes: 0, sealedCount: 0, oldest: undefined };
const packed: StreamState = { bytes: 10 * mebibyte, liveBytes: 10 * mebibyte, sealedCount: 9, oldest: at(500) };
const calm: EvictionState = {
  neededBytes: 0,
  excessCount: 0,
  leaseFloorS: 1_000,
  ageFloorS: -Infinity,
  blob: packed,
  value: emptyStream,
  valueBytesMax: mebibyte * 5,
  files: { bytes: 0, candidateUseS: undefined },
  leasedBytes: 0,
  spareSegments: 0,
  stockSegments: 0,
  hasDeadSegment: false,
  trashBytes: 0,
  idleUploadBytes: 0,
  isFruitless: false,
};

function next(more: Partial<EvictionState>) {
  return nextEviction({ ...calm, ...more });
}

function candidate(useS: number | undefined) {
  return { bytes: 20 * mebibyte, candidateUseS: useS };
}

describe('nextEviction, for room', () => {
  const need = { neededBytes: mebibyte };

  it('does nothing without need', () => assert.deepEqual(next({}), { kind: 'enough' }));

  it('takes what costs nothing first: what is being deleted, free files, segments in which nothing counts', () => {
    assert.deepEqual(next({ ...need, spareSegments: 1, trashBytes: mebibyte, hasDeadSegment: true }), { kind: 'wait_for_trash' });
    assert.deepEqual(next({ ...need, spareSegments: 1, trashBytes: mebibyte - 1, hasDeadSegment: true }), { kind: 'drop_free' });
    assert.deepEqual(next({ ...need, trashBytes: mebibyte - 1, hasDeadSegment: true }), { kind: 'recycle_dead' });
  });

  it('K2-14: lets go what the log will need soon before it breaks a promise, and after all else', () => {
    const leased = { ...packed, oldest: at(1_000) };
    const last = { ...need, blob: leased, leasedBytes: leased.liveBytes - 1, idleUploadBytes: 1, stockSegments: 1 };
    assert.deepEqual(next(last), { kind: 'drop_free' });
    assert.deepEqual(next({ ...last, files: candidate(999) }), { kind: 'evict_file' });
    assert.deepEqual(next({ ...last, stockSegments: 0 }), { kind: 'recycle', stream: 'blob', reason: 'room' });
  });

  it('gives up uploads that nobody goes on with before it breaks a promise, and after all else', () => {
    const leased = { ...packed, oldest: at(1_000) };
    const last = { ...need, blob: leased, leasedBytes: leased.liveBytes, idleUploadBytes: 1 };
    assert.deepEqual(next(last), { kind: 'give_up_upload' });
    assert.deepEqual(next({ ...last, idleUploadBytes: 0 }), { kind: 'all_leased' });
    assert.deepEqual(next({ ...last, files: candidate(999) }), { kind: 'evict_file' });
    assert.deepEqual(next({ ...last, trashBytes: 1 }), { kind: 'wait_for_trash' });
  });

  it('lets go what was not used for longest, be it a file or a segment', () => {
    assert.deepEqual(next({ ...need, files: candidate(499) }), { kind: 'evict_file' });
    assert.deepEqual(next({ ...need, files: candidate(501) }), { kind: 'recycle', stream: 'blob', reason: 'room' });
  });

  it('takes a segment to be as old as what counts in it, on the average, and not as it is itself', () => {
    const blob = { ...packed, oldest: { begunS: 10, meanUseS: 700 } };
    assert.deepEqual(next({ ...need, blob, files: candidate(699) }), { kind: 'evict_file' });
    assert.deepEqual(next({ ...need, blob, files: candidate(701) }), { kind: 'recycle', stream: 'blob', reason: 'room' });
  });

  it('lets results go before the blobs that they need', () => {
    assert.deepEqual(next({ ...need, value: { ...packed, bytes: mebibyte, oldest: at(559) } }), { kind: 'recycle', stream: 'value', reason: 'room' });
    assert.deepEqual(next({ ...need, value: { ...packed, bytes: mebibyte, oldest: at(561) } }), { kind: 'recycle', stream: 'blob', reason: 'room' });
  });

  it('lets values go that take more than their share', () => {
    assert.deepEqual(next({ ...need, value: { ...packed, oldest: at(900) } }), { kind: 'recycle', stream: 'value', reason: 'room' });
  });

  it('K2-14: leaves alone what was used within the lease as long as a file is not leased', () => {
    const blob = { ...packed, oldest: at(1_000) };
    assert.deepEqual(next({ ...need, blob, files: candidate(999) }), { kind: 'evict_file' });
  });

  it('looks for bytes that nothing counts on where all was used within the lease', () => {
    const blob = { ...packed, oldest: at(1_000), liveBytes: 7 * mebibyte };
    assert.deepEqual(next({ ...need, blob, leasedBytes: 7 * mebibyte }), { kind: 'recycle', stream: 'blob', reason: 'room' });
  });

  it('goes around once for what is not leased and stands among what is', () => {
    const blob = { ...packed, oldest: at(1_000) };
    assert.deepEqual(next({ ...need, blob, leasedBytes: 9 * mebibyte }), { kind: 'recycle', stream: 'blob', reason: 'room' });
    assert.deepEqual(next({ ...need, blob, leasedBytes: 9 * mebibyte, isFruitless: true }), { kind: 'all_leased' });
  });

  it('says when everything is leased', () => {
    const blob = { ...packed, oldest: at(1_000) };
    assert.deepEqual(next({ ...need, blob, leasedBytes: 10 * mebibyte }), { kind: 'all_leased' });
    assert.deepEqual(next({ ...need, blob, leasedBytes: 10 * mebibyte, trashBytes: 1 }), { kind: 'wait_for_trash' });
  });

  it('does not give up the only segment, which is written to', () => {
    const blob = { ...packed, bytes: mebibyte, liveBytes: mebibyte, sealedCount: 0 };
    assert.deepEqual(next({ ...need, blob }), { kind: 'all_leased' });
  });
});

describe('nextEviction, without need of room', () => {
  it('K2-13: lets the oldest go while there are more entries than allowed', () => {
    assert.deepEqual(next({ excessCount: 1 }), { kind: 'recycle', stream: 'blob', reason: 'count' });
    assert.deepEqual(next({ excessCount: 1, blob: { ...packed, sealedCount: 0 } }), { kind: 'recycle', stream: 'blob', reason: 'count' });
    assert.deepEqual(next({ excessCount: 1, files: candidate(499) }), { kind: 'evict_file' });
    assert.deepEqual(next({ excessCount: 1, blob: emptyStream }), { kind: 'enough' });
    assert.deepEqual(next({ excessCount: 1, blob: { ...packed, oldest: at(1_000) } }), { kind: 'enough' });
  });

  it('K2-13: lets go what is too old, and stops there', () => {
    assert.deepEqual(next({ ageFloorS: 501 }), { kind: 'recycle', stream: 'blob', reason: 'age' });
    assert.deepEqual(next({ ageFloorS: 500 }), { kind: 'enough' });
    assert.deepEqual(next({ ageFloorS: 501, blob: { ...packed, oldest: { begunS: 500, meanUseS: 900 } } }), { kind: 'recycle', stream: 'blob', reason: 'age' });
    assert.deepEqual(next({ ageFloorS: 501, blob: emptyStream, files: candidate(500) }), { kind: 'evict_file' });
  });

  it('writes a stream anew of which little counts, unless it is short', () => {
    const wasteful = { ...packed, liveBytes: 5 * mebibyte - 1 };
    assert.deepEqual(next({ blob: wasteful }), { kind: 'recycle', stream: 'blob', reason: 'waste' });
    assert.deepEqual(next({ blob: { ...wasteful, sealedCount: 4 } }), { kind: 'enough' });
    assert.deepEqual(next({ hasDeadSegment: true, blob: wasteful }), { kind: 'recycle_dead' });
  });
});

function randomStream(random: SeededRandom): StreamState {
  const count = random.integer(0, 8);
  if (count === 0) return emptyStream;
  const bytes = count * mebibyte;
  const hasRecords = random.fraction() < 0.8;
  return { bytes, liveBytes: hasRecords ? random.integer(0, bytes) : 0, sealedCount: count - random.integer(0, 1), oldest: hasRecords ? { begunS: random.integer(800, 1_100), meanUseS: random.integer(900, 1_100) } : undefined };
}

function randomState(random: SeededRandom): EvictionState {
  const [blob, value] = [randomStream(random), randomStream(random)];
  const hasFiles = random.fraction() < 0.7;
  const files = { bytes: hasFiles ? random.integer(1, 20 * mebibyte) : 0, candidateUseS: hasFiles && random.fraction() < 0.7 ? random.integer(900, 999) : undefined };
  return {
    neededBytes: random.integer(-mebibyte, mebibyte),
    excessCount: random.integer(-5, 5),
    leaseFloorS: 1_000,
    ageFloorS: random.pick([-Infinity, random.integer(900, 1_000)]),
    blob,
    value,
    valueBytesMax: 4 * mebibyte,
    files,
    leasedBytes: random.integer(0, blob.liveBytes + value.liveBytes + files.bytes),
    spareSegments: random.pick([0, 0, 0, 2]),
    stockSegments: random.pick([0, 0, 2]),
    hasDeadSegment: random.fraction() < 0.1,
    trashBytes: random.pick([0, 0, random.integer(0, 2 * mebibyte)]),
    idleUploadBytes: random.pick([0, 0, random.integer(0, mebibyte)]),
    isFruitless: random.fraction() < 0.3,
  };
}

describe('nextEviction, in every state', () => {
  it('K2-14: gives up nothing for room that was used within the lease while something older may go', (t) => {
    const random = seededRandom(t);
    for (let count = 0; count < 20_000; count += 1) {
      const state = randomState(random);
      if (state.neededBytes <= 0 || state.isFruitless) continue;
      const step = nextEviction(state);
      if (step.kind !== 'recycle') continue;
      const useS = state[step.stream].oldest?.meanUseS ?? Infinity;
      if (useS - (step.stream === 'value' ? 60 : 0) < state.leaseFloorS) continue;
      assert.equal(state.files.candidateUseS, undefined);
      for (const { sealedCount, oldest } of [state.blob, state.value]) assert.ok(sealedCount === 0 || oldest === undefined || oldest.meanUseS >= state.leaseFloorS);
    }
  });

  it('never says that all is leased while a file may go, or a segment has not been tried', (t) => {
    const random = seededRandom(t);
    for (let count = 0; count < 20_000; count += 1) {
      const state = randomState(random);
      if (nextEviction(state).kind !== 'all_leased') continue;
      assert.equal(state.files.candidateUseS, undefined);
      const isTried = [state.blob, state.value].every(({ sealedCount, oldest }) => sealedCount === 0 || oldest === undefined || oldest.meanUseS >= state.leaseFloorS);
      assert.ok(state.isFruitless || isTried);
    }
  });

  it('asks only for what is there', (t) => {
    const random = seededRandom(t);
    for (let count = 0; count < 20_000; count += 1) {
      const state = randomState(random);
      const step = nextEviction(state);
      if (step.kind === 'evict_file') assert.notEqual(state.files.candidateUseS, undefined);
      if (step.kind === 'recycle') assert.ok(state[step.stream].bytes > 0 && (state[step.stream].sealedCount > 0 || step.reason === 'count' || step.reason === 'age'));
      if (step.kind === 'drop_free') assert.ok(state.spareSegments > 0 || state.stockSegments > 0);
      if (step.kind === 'wait_for_trash') assert.ok(state.trashBytes > 0);
      if (step.kind === 'enough') assert.ok(state.neededBytes <= 0);
    }
  });
});
