// A directory of format 1, opened by the store of segments.
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { ObjectLayout } from '../engine/object-layout.ts';
import { FormatOneStore } from '../testing/format-one-store.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RememberingLog } from '../testing/remembering-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { fillFormatOne } from '../testing/taken-over.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore } from '../testing/temporary-engine-store.ts';

describe('EngineStore on a directory of format 1', () => {
  it('K1-03: has every blob and value that the store of that format had, and after another start as well', async (t) => {
    await using directory = await temporaryDirectory();
    const clock = new ManualClock(Date.now());
    const before = await FormatOneStore.open(directory.path, { clock });
    const { blobs, values } = await fillFormatOne(before, clock, seededRandom(t));
    await before.close();
    const changed = Buffer.from('changed after the take-over');
    for (let start = 0; start < 3; start += 1) {
      const log = new RememberingLog();
      await using store = await openEngineStore(directory.path, {}, { log, clock });
      assert.deepEqual(log.lines.filter((line) => /^(?:warn|error)/.test(line)), []);
      for (const { digest, bytes } of blobs) {
        assert.equal((await store.blobs.findMissing(DigestList.of(digest))).length, 0);
        const found = await store.blobs.get(digest);
        assert.ok(found !== undefined && Buffer.from(await collect(found, 1 << 20)).equals(bytes), digest.toString());
      }
      for (const [at, { key, bytes }] of values.entries()) {
        const found = await store.values.get(key);
        const expected = at === 0 && start > 0 ? changed : bytes;
        assert.ok(found !== undefined && Buffer.from(await collect(found, 1 << 20)).equals(expected), `value ${at} at start ${start}`);
      }
      const [first] = values;
      assert.ok(first !== undefined);
      if (start === 0) await store.values.put(first.key, byteSourceOf(changed));
    }
  });

  it('a blob whose file was lost is absent, and can be put again', async (t) => {
    await using directory = await temporaryDirectory();
    const random = seededRandom(t);
    const bytes = random.bytes(5_000);
    const digest = Digest.of(bytes);
    const before = await FormatOneStore.open(directory.path, { clock: new ManualClock(Date.now()) });
    await before.blobs.put(digest, byteSourceOf(bytes));
    await before.close();
    await (await openEngineStore(directory.path)).close();
    await rename(new ObjectLayout(directory.path).final(digest.key), `${directory.path}/elsewhere`);
    await using store = await openEngineStore(directory.path);
    assert.equal(await store.blobs.get(digest), undefined);
    await store.blobs.put(digest, byteSourceOf(bytes));
    const found = await store.blobs.get(digest);
    assert.ok(found !== undefined && Buffer.from(await collect(found, 1 << 20)).equals(bytes));
  });
});
