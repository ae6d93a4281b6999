// K11-04: what goes is told with the digest that callers know.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha256, sha512 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { temporaryEngineStore } from '../testing/temporary-engine-store.ts';

describe('the log of evictions', () => {
  it('K11-04: has each blob at debug, with function, hash and size', async () => {
    const log = new RecordedLog();
    const clock = new ManualClock(Date.now());
    await using opened = await temporaryEngineStore({ maxBytes: 1 << 20, leaseMs: 1_000 }, { log, clock });
    const { blobs } = opened.store;
    const contents = [[sha256, 3_000], [blake3, 90_000], [sha512, 4_000], [sha512, 80_000]] as const;
    const digests = contents.map(([digestFunction, length], at) => ({ digest: Digest.of(Buffer.alloc(length, `first ${at}`), digestFunction), bytes: Buffer.alloc(length, `first ${at}`) }));
    for (const { digest, bytes } of digests) await blobs.put(digest, byteSourceOf(bytes));
    clock.advance(600_000);
    for (let round = 0; digests.some(({ digest }) => !gone(log, digest)); round += 1) {
      assert.ok(round < 200, log.lines.slice(-5).join('\n'));
      const bytes = Buffer.alloc(round % 2 === 0 ? 60_000 : 90_000, `later ${round}`);
      await blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    }
    assert.equal((await blobs.findMissing(DigestList.of(digests[0]?.digest ?? assert.fail()))).length, 1);
  });
});

/** Of longer hashes a file is known by the first 32 bytes. */
function gone(log: RecordedLog, { function: { name }, hash }: Digest): boolean {
  return log.lines.some((line) => line.startsWith('debug evicted ') && line.includes(`"digest":"${name}/${hash.slice(0, 64)}`) && /"sizeBytes":\d+,"unusedS":[56]\d\d/.test(line));
}
