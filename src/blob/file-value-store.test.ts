// Values in files: the contract, restarts and damage.
import assert from 'node:assert/strict';
import { chmod, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { sha256 } from '../digest/digest-function.ts';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { openFileStore, temporaryDirectory, temporaryFileStore } from '../testing/temporary-file-store.ts';
import { valueStoreConformance } from '../testing/value-store-conformance.ts';
import type { FileStore } from './file-store.ts';
import type { ValueKey, ValueStore } from './value-store.ts';

const open = async (hotBytesMax: number) => {
  const opened = await temporaryFileStore({ hotBytesMax, valueBytesMax: 4_000_000 });
  return { store: opened.store.values, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
};
valueStoreConformance('files', () => open(10_000_000));
valueStoreConformance('files, nothing kept in memory', () => open(0));

const key: ValueKey = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: '0c'.repeat(32) };
const value = new SeededRandom(3).bytes(1_000);

async function read(values: ValueStore): Promise<Buffer | undefined> {
  const source = await values.get(key);
  return source && Buffer.from(await collect(source, 10_000_000));
}

describe('memory of FileValueStore', () => {
  const mebibyte = 1024 * 1024;

  it('is what came of a value that is put, and given back when it is stored, refused, or fails', async () => {
    await using directory = await temporaryDirectory();
    const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 10 });
    await using store = await openFileStore(directory.path, { valueBytesMax: 3 * mebibyte }, { budget });
    const seen: number[] = [];
    const pieces = (count: number, then: () => void = () => {}) =>
      (async function* () {
        for (let piece = 0; piece < count; piece += 1) {
          yield new Uint8Array(mebibyte);
          seen.push(budget.usedBytes / mebibyte);
        }
        then();
      })();
    await store.values.put(key, pieces(3));
    assert.deepEqual(seen, [1, 2, 3]);
    assert.equal(budget.usedBytes, 0);
    await assert.rejects(store.values.put(key, pieces(4)), { code: 'invalid_argument' });
    await assert.rejects(store.values.put(key, pieces(1, () => assert.fail('broken off'))), { message: 'broken off' });
    assert.equal(budget.usedBytes, 0);
    budget.take(13.5 * mebibyte);
    await assert.rejects(store.values.put(key, pieces(2)), { code: 'unavailable' });
    assert.equal(budget.usedBytes, 13.5 * mebibyte);
    await store.values.put(key, byteSourceOf(value));
    assert.ok((await read(store.values))?.equals(value), 'a small one passes');
  });

  it('is waited for by who reads a large value from disk', async () => {
    await using directory = await temporaryDirectory();
    const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 10 });
    await using store = await openFileStore(directory.path, { hotBytesMax: 0 }, { budget });
    const large = new SeededRandom(4).bytes(mebibyte);
    await store.values.put(key, byteSourceOf(large));
    budget.take(12 * mebibyte);
    const reading = read(store.values);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(budget.waiterCount, 1);
    budget.give(12 * mebibyte);
    assert.ok((await reading)?.equals(large));
    assert.equal(budget.usedBytes, 0);
  });
});

describe('FileValueStore', () => {
  it('answers hot values and absence without a promise', async () => {
    await using opened = await temporaryFileStore();
    assert.equal(opened.store.values.get(key), undefined);
    await opened.store.values.put(key, byteSourceOf(value));
    assert.ok(!isPromise(opened.store.values.get(key)));
  });

  it('keeps what it counts in memory: neither what a value came in, nor its header', async () => {
    await using directory = await temporaryDirectory();
    const keptBytes = async (store: FileStore) => (await store.values.get(key))?.inMemory?.buffer.byteLength;
    {
      await using store = await openFileStore(directory.path);
      await store.values.put(key, byteSourceOf(Buffer.alloc(50_000, value).subarray(0, 1_000)));
      assert.equal(await keptBytes(store), 1_000);
    }
    await using store = await openFileStore(directory.path);
    await read(store.values);
    assert.equal(await keptBytes(store), 1_000);
  });

  it('finds the last value after a restart; replacing leaves no file behind (K1-24)', async () => {
    await using directory = await temporaryDirectory();
    {
      await using store = await openFileStore(directory.path);
      await Promise.all(
        Array.from({ length: 10 }, async (_, writer) => {
          for (let round = 0; round < 80; round += 1) await store.values.put(key, byteSourceOf(Buffer.from(`${writer} ${round}`)));
        }),
      );
      await store.values.put(key, byteSourceOf(value));
      assert.equal(store.usage.filesCount, 1);
    }
    const files = (await readdir(join(directory.path, 'values'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    assert.equal(files.length, 1);
    await using store = await openFileStore(directory.path);
    assert.deepEqual(await read(store.values), Buffer.from(value));
  });

  it('a put whose last sync fails leaves the one value or the other, whole, and counts what is there', async () => {
    for (const [replacing, hotBytesMax] of [[10, 0], [50_000, 0], [10, 1_000_000], [50_000, 1_000_000]] as const) {
      const disk = new FaultyFileSystem();
      await using store = await openFileStore('/data', { hotBytesMax }, { files: disk });
      await store.values.put(key, byteSourceOf(value));
      disk.fault = (operation, path) => (operation === 'syncDirectory' && path.includes('/action_result/') ? 'EIO' : undefined);
      const next = new SeededRandom(4).bytes(replacing);
      await assert.rejects(store.values.put(key, byteSourceOf(next)), { code: 'unavailable' });
      disk.fault = () => undefined;
      assert.ok((await read(store.values))?.equals(next), 'the rename was done');
      assert.equal(store.usage.quarantinedCount, 0);
      await using after = await openFileStore('/data', {}, { files: disk.afterKill() });
      assert.equal(after.usage.usedBytes, store.usage.usedBytes);
    }
  });

  it('a put whose rename fails leaves the value before', async () => {
    const disk = new FaultyFileSystem();
    await using store = await openFileStore('/data', { hotBytesMax: 0 }, { files: disk });
    await store.values.put(key, byteSourceOf(value));
    disk.fault = (operation) => (operation === 'rename' ? 'EIO' : undefined);
    await assert.rejects(store.values.put(key, byteSourceOf(new SeededRandom(4).bytes(50_000))), { code: 'unavailable' });
    disk.fault = () => undefined;
    assert.deepEqual(await read(store.values), Buffer.from(value));
  });

  it('a value damaged anywhere counts as absent, is quarantined, and can be put again', async () => {
    for (const position of [0, 8, 10, 11, 12, 14, 16, 24, 28, 32, 64, 68, 500, -1]) {
      await using directory = await temporaryDirectory();
      await putAndDamage(directory.path, position);
      await using store = await openFileStore(directory.path);
      assert.equal(await read(store.values), undefined, `byte ${position}`);
      assert.equal((await readdir(join(directory.path, 'quarantine'))).length, 1);
      await store.values.put(key, byteSourceOf(value));
      assert.deepEqual(await read(store.values), Buffer.from(value));
    }
  });

  it('CT-9: a first writer takes the place of a damaged value, of either kind, without being shown it', async () => {
    await using directory = await temporaryDirectory();
    await putAndDamage(directory.path, 500);
    await using store = await openFileStore(directory.path);
    const nobody = () => assert.fail('nothing can be read');
    assert.ok(await store.values.putFirst({ ...key, kind: 'opaque' }, byteSourceOf(Buffer.from('beside')), nobody));
    assert.ok(await store.values.putFirst(key, byteSourceOf(value), () => false));
    assert.deepEqual(await read(store.values), Buffer.from(value));
  });

  it('CT-9: whoever waits to write first can leave, and the others get their turn', async () => {
    await using opened = await temporaryFileStore();
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

  it('CT-9: a value of the other kind that is replaced while it is being read is looked at again', async () => {
    await using directory = await temporaryDirectory();
    const mebibyte = 1024 * 1024;
    const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 10 });
    await using store = await openFileStore(directory.path, { hotBytesMax: 0 }, { budget });
    const beside: ValueKey = { ...key, kind: 'opaque' };
    await store.values.put(beside, byteSourceOf(new Uint8Array(mebibyte)));
    budget.take(12 * mebibyte);
    const seen: number[] = [];
    const late = store.values.putFirst(key, byteSourceOf(value), ({ bytes }) => (seen.push(bytes.byteLength), true));
    while (budget.waiterCount === 0) await new Promise((resolve) => setImmediate(resolve));
    await store.values.put(beside, byteSourceOf(new Uint8Array(mebibyte + 1))); // longer than what is about to be read
    budget.give(12 * mebibyte);
    assert.equal(await late, false);
    assert.deepEqual(seen, [mebibyte + 1]);
    assert.equal(await read(store.values), undefined);
  });

  it('CT-9: writers who may overwrite and those who may not never lose what was acknowledged to the former', async () => {
    await using opened = await temporaryFileStore({ hotBytesMax: 0 });
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

/** Leaves a store with one value in `directory`, a bit of which is flipped; -1 is the last byte of its file. */
async function putAndDamage(directory: string, position: number): Promise<void> {
  await using before = await openFileStore(directory);
  await before.values.put(key, byteSourceOf(value));
  await before.close();
  const [file] = (await readdir(join(directory, 'values'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  assert.ok(file);
  const path = join(file.parentPath, file.name);
  const bytes = await readFile(path);
  const at = position === -1 ? bytes.byteLength - 1 : position;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
  await chmod(path, 0o600);
  await writeFile(path, bytes);
}
