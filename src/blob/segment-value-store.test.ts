// Values in segments beyond the contract: memory, damage, and who replaces whom.
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore, temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import type { ValueKey, ValueStore } from './value-store.ts';

const key: ValueKey = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: '0c'.repeat(32) };
const value = new SeededRandom(3).bytes(1_000);
const mebibyte = 1024 * 1024;

async function read(values: ValueStore, asked: ValueKey = key): Promise<Buffer | undefined> {
  const source = await values.get(asked);
  return source && Buffer.from(await collect(source, 10_000_000));
}

describe('memory of SegmentValueStore', () => {
  it('is what came of a value that is put, and given back when it is stored, refused, or fails', async () => {
    const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 10 });
    await using opened = await temporaryEngineStore({ valueBytesMax: 3 * mebibyte }, { budget });
    const { values } = opened.store;
    const seen: number[] = [];
    const pieces = (count: number, then: () => void = () => {}) =>
      (async function* () {
        for (let piece = 0; piece < count; piece += 1) {
          yield new Uint8Array(mebibyte);
          seen.push(budget.usedBytes / mebibyte);
        }
        then();
      })();
    await values.put(key, pieces(3));
    assert.deepEqual(seen, [1, 2, 3]);
    assert.equal(budget.usedBytes, 0);
    await assert.rejects(values.put(key, pieces(4)), { code: 'invalid_argument' });
    await assert.rejects(values.put(key, pieces(1, () => assert.fail('broken off'))), { message: 'broken off' });
    assert.equal(budget.usedBytes, 0);
    budget.take(13.5 * mebibyte);
    await assert.rejects(values.put(key, pieces(2)), { code: 'unavailable' });
    assert.equal(budget.usedBytes, 13.5 * mebibyte);
    await values.put(key, byteSourceOf(value));
    assert.ok((await read(values))?.equals(value), 'a small one passes');
  });

  it('is waited for by who reads a long value from disk', async () => {
    const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 10 });
    await using opened = await temporaryEngineStore({ hotBytesMax: 0 }, { budget });
    const { values } = opened.store;
    const long = new SeededRandom(4).bytes(mebibyte);
    await values.put(key, byteSourceOf(long));
    budget.take(12 * mebibyte);
    const reading = read(values);
    while (budget.waiterCount === 0) await new Promise((resolve) => setImmediate(resolve));
    budget.give(12 * mebibyte);
    assert.ok((await reading)?.equals(long));
    assert.equal(budget.usedBytes, 0);
  });
});

describe('SegmentValueStore', () => {
  it('answers values that were written lately, and absence, without a promise', async () => {
    await using opened = await temporaryEngineStore();
    const { values } = opened.store;
    assert.equal(values.get(key), undefined);
    await values.put(key, byteSourceOf(value));
    await values.get(key); // opens the segment
    assert.ok(!isPromise(values.get(key)));
  });

  it('K1-24: replacing values leaves no files, and no more records alive than there are values', async () => {
    await using directory = await temporaryDirectory();
    {
      await using store = await openEngineStore(directory.path);
      await Promise.all(
        Array.from({ length: 10 }, async (_, writer) => {
          for (let round = 0; round < 80; round += 1) await store.values.put(key, byteSourceOf(Buffer.from(`${writer} ${round}`)));
        }),
      );
      await store.values.put(key, byteSourceOf(value));
      assert.equal(store.usage.filesCount, 1);
    }
    assert.deepEqual(await readdir(join(directory.path, 'uploads')), []);
    await using store = await openEngineStore(directory.path);
    assert.equal(store.usage.filesCount, 1);
    assert.deepEqual(await read(store.values), Buffer.from(value));
  });

  it('a value damaged anywhere counts as absent, and can be put again', async () => {
    for (const position of [0, 4, 8, 9, 11, 12, 14, 16, 24, 32, 40, 44, 48, 56, 88, 100, 500, 1_090]) {
      await using directory = await temporaryDirectory();
      await putAndDamage(directory.path, position);
      await using store = await openEngineStore(directory.path);
      assert.equal(await read(store.values), undefined, `byte ${position}`);
      assert.equal((await readdir(join(directory.path, 'quarantine'))).length, 1, `byte ${position}`);
      await store.values.put(key, byteSourceOf(value));
      assert.deepEqual(await read(store.values), Buffer.from(value));
      await store.close();
      await using again = await openEngineStore(directory.path);
      assert.deepEqual(await read(again.values), Buffer.from(value), 'the value that was put again is what counts');
    }
  });

  it('CT-9: a first writer takes the place of a damaged value, of either kind, without being shown it', async () => {
    await using directory = await temporaryDirectory();
    await putAndDamage(directory.path, 500);
    await using store = await openEngineStore(directory.path);
    const nobody = () => assert.fail('nothing can be read');
    assert.ok(await store.values.putFirst({ ...key, kind: 'opaque' }, byteSourceOf(Buffer.from('beside')), nobody));
    assert.ok(await store.values.putFirst(key, byteSourceOf(value), () => false));
    assert.deepEqual(await read(store.values), Buffer.from(value));
  });

  it('K1-11: a long value is a blob, and a record that points to it', async () => {
    await using opened = await temporaryEngineStore();
    const { blobs, values } = opened.store;
    const long = new SeededRandom(5).bytes(100_000);
    await values.put(key, byteSourceOf(long));
    await values.put({ ...key, kind: 'opaque' }, byteSourceOf(long));
    assert.equal(opened.store.usage.blobsCount, 1);
    const stored = await blobs.get(Digest.of(long));
    assert.ok(stored !== undefined && Buffer.from(await collect(stored, 200_000)).equals(long));
    for (const kind of ['action_result', 'opaque'] as const) assert.ok((await read(values, { ...key, kind }))?.equals(long));
  });

  it('CT-9: whoever waits to write first can leave, and the others get their turn', async () => {
    await using opened = await temporaryEngineStore();
    const { values } = opened.store;
    await values.put(key, byteSourceOf(value));
    const { promise: decided, resolve: decide } = Promise.withResolvers<boolean>();
    const { promise: asked, resolve: isAsked } = Promise.withResolvers<void>();
    const first = values.putFirst(key, byteSourceOf(Buffer.from('1')), () => (isAsked(), decided));
    await asked;
    const abort = new AbortController();
    const second = values.putFirst(key, byteSourceOf(Buffer.from('2')), () => true, { signal: abort.signal });
    const third = values.putFirst(key, byteSourceOf(Buffer.from('3')), () => true);
    const other = values.putFirst({ ...key, instance: 'other' }, byteSourceOf(Buffer.from('4')), () => true);
    assert.equal(await other, true, 'other entries do not wait');
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    await assert.rejects(second, { code: 'cancelled' });
    decide(false);
    assert.deepEqual(await Promise.all([first, third]), [true, false]);
    assert.equal(String(await read(values)), '1');
  });

  it('CT-9: what does not stand is not replaced when somebody has put another value meanwhile, of either kind', async () => {
    await using opened = await temporaryEngineStore();
    const { values } = opened.store;
    const beside: ValueKey = { ...key, kind: 'opaque' };
    await values.put(beside, byteSourceOf(Buffer.from('incomplete')));
    const seen: string[] = [];
    const stands = async ({ bytes }: { readonly bytes: Uint8Array }): Promise<boolean> => {
      seen.push(Buffer.from(bytes).toString());
      if (seen.length === 1) await values.put(beside, byteSourceOf(Buffer.from('complete')));
      return seen.length > 1;
    };
    assert.equal(await values.putFirst(key, byteSourceOf(value), stands), false);
    assert.deepEqual(seen, ['incomplete', 'complete']);
    assert.equal(await read(values), undefined);
  });

  it('CT-9: writers who may overwrite and those who may not never lose what was acknowledged to the former', async () => {
    await using opened = await temporaryEngineStore();
    const { values } = opened.store;
    await values.put(key, byteSourceOf(Buffer.from('owner')));
    const text = async () => String(await read(values));
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        if (index % 4 === 0) await values.put(key, byteSourceOf(Buffer.from(`owner ${index}`)));
        else assert.equal(await values.putFirst(key, byteSourceOf(Buffer.from(`other ${index}`)), ({ bytes }) => String(Buffer.from(bytes)).startsWith('owner')), false);
        assert.match(await text(), /^owner/);
      }),
    );
  });
});

/** Leaves a store with one value in `directory`; a bit of the byte at `position` of its record is flipped. */
async function putAndDamage(directory: string, position: number): Promise<void> {
  {
    await using before = await openEngineStore(directory);
    await before.values.put(key, byteSourceOf(value));
  }
  const name = (await readdir(join(directory, 'segments'))).find((one) => one.endsWith('.value'));
  assert.ok(name !== undefined);
  const path = join(directory, 'segments', name);
  const bytes = await readFile(path);
  const at = 4_096 + position;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
  await writeFile(path, bytes);
}
