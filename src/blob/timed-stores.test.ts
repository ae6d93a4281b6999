// K11-05, K11-09 on a store of segments: over a real directory, and over a disk whose slowness is a test's.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import { valueStoreConformance } from '../testing/value-store-conformance.ts';
import type { BlobStore } from './blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';
import { MemoryValueStore } from './memory-value-store.ts';
import { StoreJournal } from './store-journal.ts';
import { TimedBlobStore } from './timed-blob-store.ts';
import { TimedValueStore } from './timed-value-store.ts';
import type { ValueKey } from './value-store.ts';

const large = Buffer.alloc(2 << 20, 'x');
const largeDigest = Digest.of(large);
const content = Buffer.from('content');
const digest = Digest.of(content);
const key: ValueKey = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: digest.hash };
const message = 'a write to the data directory was slow';

class Timed {
  readonly clock = new ManualClock();
  readonly log = new RecordedLog();
  readonly meter = new RecordedMeter();
  readonly journal = new StoreJournal(this);

  blobs(inner: BlobStore): TimedBlobStore {
    return new TimedBlobStore(inner, this.journal, this.clock);
  }

  waits(operation: string, reason: string): readonly number[] {
    return this.meter.records(`kiln_store_wait_seconds{operation="${operation}",reason="${reason}"}`);
  }

  /** What was told of slow writes. */
  slow(): readonly Record<string, unknown>[] {
    return this.log.lines.filter((line) => line.startsWith(`info ${message} `)).map((line) => JSON.parse(line.slice(`info ${message} `.length)) as Record<string, unknown>);
  }

  /** A store that goes through these steps with each put, and takes so long for each. */
  stepping(steps: readonly (readonly [string, number])[]): TimedBlobStore {
    return this.blobs(
      blobStoreWith(new MemoryBlobStore(), {
        put: async (_digest, bytes, options) => {
          for await (const _piece of bytes);
          for (const [step, durationMs] of steps) {
            options?.onStep?.(step);
            this.clock.advance(durationMs);
          }
        },
      }),
    );
  }
}

blobStoreConformance('timed store', async () => ({ store: new Timed().blobs(new MemoryBlobStore()), async [Symbol.asyncDispose]() {} }));
valueStoreConformance('timed store', async () => {
  const { journal, clock } = new Timed();
  return { store: new TimedValueStore(new MemoryValueStore(), journal, clock), async [Symbol.asyncDispose]() {} };
});

describe('the times of a store', () => {
  it('K11-05: waits are in a histogram by operation and reason', async () => {
    await using opened = await temporaryEngineStore({ openReadsMax: 1, openWritesMax: 1, hotBytesMax: 1 });
    const timed = new Timed();
    const store = timed.blobs(opened.store.blobs);
    await store.put(largeDigest, byteSourceOf(large));
    for (const reason of ['permit', 'room', 'lock', 'directory_sync']) assert.deepEqual(timed.waits('write', reason), [0], reason);
    const held = await store.get(largeDigest);
    const waiting = store.get(largeDigest);
    timed.clock.advance(3_000);
    await held?.[Symbol.asyncDispose]();
    await (await waiting)?.[Symbol.asyncDispose]();
    assert.deepEqual(timed.waits('read', 'permit'), [0, 3]);

    const gate = Promise.withResolvers<void>();
    const [one, other] = [Buffer.alloc(2 << 20, 'y'), Buffer.alloc(1 << 20, 'z')];
    const slow = store.put(Digest.of(one), (async function* () {
      await gate.promise;
      yield one;
    })());
    const behind = store.put(Digest.of(other), byteSourceOf(other));
    await new Promise((resolve) => setImmediate(resolve));
    timed.clock.advance(5_000);
    gate.resolve();
    await Promise.all([slow, behind]);
    assert.deepEqual(timed.waits('write', 'permit'), [0, 0, 5]);
  });

  it('K11-05: a small blob that finds room at once stands in no line', async () => {
    await using opened = await temporaryEngineStore();
    const timed = new Timed();
    const store = timed.blobs(opened.store.blobs);
    await opened.store.blobs.put(Digest.of(Buffer.from('before')), byteSourceOf(Buffer.from('before'))); // the first one waits for a segment
    await store.put(digest, byteSourceOf(content));
    await (await store.get(digest))?.[Symbol.asyncDispose]();
    for (const reason of ['permit', 'room', 'lock', 'directory_sync']) assert.deepEqual(timed.waits('write', reason), [], reason);
    assert.deepEqual(timed.waits('read', 'permit'), []);
  });

  for (const step of ['create', 'sync', 'rename', 'directory sync', 'commit']) {
    it(`K11-09: a step of the disk (${step}) over 50 ms is told with all others, and one of 50 ms is not`, async () => {
      const timed = new Timed();
      await timed.stepping([['room', 900], [step, 50], ['lock', 900]]).put(digest, byteSourceOf(content));
      assert.deepEqual(timed.slow(), []);
      await timed.stepping([['room', 900], [step, 51], ['lock', 900]]).put(digest, byteSourceOf(content));
      const name = step === 'directory sync' ? 'directorySyncMs' : `${step}Ms`;
      assert.deepEqual(timed.slow(), [{ digest: `sha256/${digest.hash}`, sizeBytes: content.byteLength, tookMs: 1_851, writeMs: 0, receiveMs: 0, roomMs: 900, [name]: 51, lockMs: 900 }]);
    });
  }

  it('K11-09: what a blob takes may grow with its length', async () => {
    const timed = new Timed();
    await timed.stepping([['sync', 150]]).put(largeDigest, byteSourceOf(large));
    assert.deepEqual(timed.slow(), []);
    await timed.stepping([['sync', 50 + large.byteLength / 20_000 + 1]]).put(largeDigest, byteSourceOf(large));
    assert.equal(timed.slow().length, 1);
  });

  it('K11-09: is told once a minute, with how many there were since, and not for a client that sends slowly', async () => {
    const timed = new Timed();
    const slow = timed.stepping([['sync', 200]]);
    for (let count = 0; count < 10; count += 1) await slow.put(digest, byteSourceOf(content));
    timed.clock.advance(60_000);
    await slow.put(digest, byteSourceOf(content));
    assert.deepEqual(timed.slow().map(({ othersSince }) => othersSince), [undefined, 9]);
    timed.clock.advance(60_000);
    await timed.stepping([]).put(digest, (async function* () {
      timed.clock.advance(90_000);
      yield content;
    })());
    assert.equal(timed.slow().length, 2);
  });

  it('K11-09: batches and values are told as well, but not for the time in which somebody else judges', async () => {
    const timed = new Timed();
    const { clock, journal } = timed;
    const inner = new MemoryBlobStore();
    const batches = timed.blobs(blobStoreWith(inner, { putMany: async (blobs) => (clock.advance(51), inner.putMany(blobs)) }));
    await batches.putMany([{ digest, bytes: content }]);
    assert.deepEqual(timed.slow(), [{ blobs: 1, sizeBytes: content.byteLength, digest: `sha256/${digest.hash}`, tookMs: 51, writeMs: 51 }]);
    clock.advance(60_000);
    const values = new TimedValueStore(new MemoryValueStore(), journal, clock);
    await values.put(key, byteSourceOf(content));
    const takesLong = (): boolean => (clock.advance(1_000), true);
    assert.equal(await values.putFirst(key, byteSourceOf(Buffer.from('another')), takesLong), false);
    assert.equal(timed.slow().length, 1);
    const slow = new TimedValueStore({ capabilities: { survives: 'nothing', valueBytesMax: 10 }, get: () => undefined, putFirst: async () => true, put: async () => clock.advance(51) }, journal, clock);
    await slow.put(key, byteSourceOf(content));
    assert.deepEqual(timed.slow()[1], { kind: 'action_result', instance: 'main', digest: `sha256/${digest.hash}`, sizeBytes: 0, tookMs: 51, writeMs: 51 });
  });
});
