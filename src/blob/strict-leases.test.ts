// Where leases are strict, what is promised never takes more than half of the store, however much comes at once.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import type { EngineStore } from './engine-store.ts';

const maxBytes = 4 * 2 ** 20;
const options = { maxBytes, segmentBytes: 65_536, smallBytesMax: 8_192, leases: 'strict', leaseMs: 3_600_000 } as const;

/** What went through; the rest was refused for want of leases. */
async function stored(puts: readonly Promise<unknown>[]): Promise<number> {
  let count = 0;
  for (const outcome of await Promise.allSettled(puts)) {
    if (outcome.status === 'fulfilled') count += 1;
    else assert.ok(outcome.reason instanceof CacheError && outcome.reason.kind === 'disk_full' && /are leased/.test(outcome.reason.message), String(outcome.reason));
  }
  return count;
}

/** Half of the store and no more is leased, and nearly that. */
function checkHalf(store: EngineStore, largest: number): void {
  const { leasedBytes } = store.usage;
  // A blob counts with its head, and a file in blocks: what is let in is counted as its bytes alone until it is stored.
  assert.ok(leasedBytes <= (maxBytes / 2) * 1.05 && leasedBytes > maxBytes / 2 - 2 * largest, `${leasedBytes} bytes are leased`);
}

describe('K2-14: strict leases', () => {
  it('let in no more of a batch than half of the store, and again when there is less', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore(options);
    const { store } = opened;
    const contents = Array.from({ length: 600 }, () => random.bytes(8_000));
    const results = await store.blobs.putMany(contents.map((bytes) => ({ digest: Digest.of(bytes), bytes })));
    const refused = results.filter((result) => result !== undefined);
    assert.ok(refused.length > 300 && refused.every(({ kind }) => kind === 'disk_full'), `${refused.length} of 600 were refused`);
    checkHalf(store, 8_000);
    const again = await store.blobs.putMany(contents.map((bytes) => ({ digest: Digest.of(bytes), bytes })));
    assert.deepEqual(again.map((result) => result === undefined), results.map((result) => result === undefined), 'what is there is there, the rest is refused again');
  });

  it('nor of files and values that come at the same time, and what failed does not count', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore(options);
    const { store } = opened;
    const gone = new Error('the client is gone');
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const bytes = random.bytes(100_000);
        const cutOff = (async function* (): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(0, 50_000);
          throw gone;
        })();
        await assert.rejects(store.blobs.put(Digest.of(bytes), cutOff), gone);
      }),
    );
    const files = Array.from({ length: 20 }, () => random.bytes(100_000)).map((bytes) => store.blobs.put(Digest.of(bytes), byteSourceOf(bytes)));
    const values = Array.from({ length: 20 }, (_, number) =>
      store.values.put({ kind: 'opaque', instance: '', digestFunction: sha256, hash: Digest.of(Buffer.from([number])).hash }, byteSourceOf(random.bytes(20_000))),
    );
    assert.ok((await stored([...files, ...values])) >= 19);
    checkHalf(store, 100_000);
  });
});
