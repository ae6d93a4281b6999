// A directory of format 1, over real files: what is taken over, what is refused, and what older and
// newer Kilns say. Crashes are in take-over.crash.test.ts.
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { silentLog } from '../base/log.ts';
import type { MonotonicClock } from '../base/clock.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { LogFileSystem } from '../base/log-files.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { systemRandom } from '../platform/random.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { formatOneDirectory, restoreDirectory } from '../testing/format-one-directory.ts';
import { FormatOneStore } from '../testing/format-one-store.ts';
import { systemError } from '../testing/faulty-file-system.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { Mortality, mortalFiles, mortalSyncs } from '../testing/mortal-files.ts';
import type { BeforeOperation } from '../testing/mortal-files.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { assertInFormatTwo, fillFormatOne, readSegments } from '../testing/taken-over.ts';
import type { StoredContent } from '../testing/taken-over.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { ObjectLayout } from './object-layout.ts';
import { systemCode } from './storage-error.ts';
import { prepareFormatTwo } from './take-over.ts';
import { valueFileName } from './value-file.ts';

const real = new NodeLogFileSystem();
const options = { segmentBytes: 2 ** 20, valueBytesMax: 60_000 };

interface Fixture {
  readonly root: string;
  readonly content: StoredContent;
  readonly clock: ManualClock;
  readonly log: RecordedLog;
  readonly prepare: (ports?: { readonly files?: LogFileSystem; readonly before?: BeforeOperation; readonly signal?: AbortSignal; readonly root?: string; readonly monotonicClock?: MonotonicClock }) => Promise<void>;
}

async function formatOne(t: TestContext): Promise<Fixture> {
  const directory = await temporaryDirectory();
  t.after(() => directory[Symbol.asyncDispose]());
  const clock = new ManualClock(Date.now());
  const store = await FormatOneStore.open(directory.path, { clock });
  const content = await fillFormatOne(store, clock, seededRandom(t));
  await store.close();
  const log = new RecordedLog();
  const prepare: Fixture['prepare'] = async ({ files = real, before = () => undefined, signal, root = directory.path, monotonicClock = clock } = {}) => {
    const ports = { files: mortalFiles(files, before), smallSyncs: mortalSyncs(before), monotonicClock, wallClock: clock, random: systemRandom, log };
    await prepareFormatTwo({ ...options, directory: root }, ports, { signal });
  };
  return { root: directory.path, content, clock, log, prepare };
}

/** Every file and directory with its content, apart from times of access. */
async function treeOf(root: string): Promise<ReadonlyMap<string, string>> {
  const tree = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { ino, mtimeMs, mode } = await stat(path);
    tree.set(path.slice(root.length), `${ino} ${mode} ${entry.isFile() ? `${mtimeMs} ${(await readFile(path)).toString('base64')}` : ''}`);
  }
  return tree;
}

const changes = /^(?:createExclusive|createLog|rename|remove|removeDirectory|makeDirectory|write|writeNow|truncate|setMode|discard) /;

describe('taking over a directory of format 1', () => {
  it('blobs, values with their kinds and instances, and the order of use are in the segments; blobs stay the files they were', async (t) => {
    const { root, content, log, prepare } = await formatOne(t);
    const before = await treeOf(join(root, 'objects'));
    await prepare();
    assert.equal(await readFile(join(root, 'kiln-data-version'), 'latin1'), 'kiln data directory, format 2\n');
    await assertInFormatTwo(real, root, content);
    const after = await treeOf(join(root, 'objects'));
    for (const [path, what] of before) assert.equal(after.get(path), what, `${path} was not touched`);
    assert.deepEqual((await readdir(root)).filter((name) => !/^(?:objects|segments|kiln-data-version)$/.test(name)), [], 'values/ and recency/ are gone');
    assert.deepEqual(log.lines.filter((line) => !line.startsWith('info')), []);
    assert.equal(log.lines.length, 2, 'one line when it begins and one when it is done');
  });

  it('into the short segments of a small store, where the longest record needs a longer one', async (t) => {
    const { root, content, clock } = await formatOne(t);
    const store = await FormatOneStore.open(root, { clock });
    const key = { kind: 'opaque', instance: 'i'.repeat(60_000), digestFunction: sha256, hash: sha256.hashHex(Buffer.from('long')) } as const;
    const bytes = Buffer.alloc(9_000, 'v');
    await store.values.put(key, byteSourceOf(bytes));
    clock.advance(10_000);
    assert.ok(await store.values.get(key));
    await store.close();
    await prepareFormatTwo({ directory: root, segmentBytes: 2 ** 16, valueBytesMax: 10_000 }, { files: real, smallSyncs: mortalSyncs(() => undefined), monotonicClock: clock, wallClock: clock, random: systemRandom, log: silentLog });
    await assertInFormatTwo(real, root, { ...content, values: [...content.values, { key, bytes, usedMs: clock.nowMs() }] });
    const lengths = (await readSegments(real, join(root, 'segments'))).map(({ header }) => header.segmentBytes);
    assert.deepEqual(lengths, [2 ** 17, 2 ** 16]);
  });

  it('after it there is nothing to do, and a new directory has nothing to take over', async (t) => {
    const { root, content, prepare } = await formatOne(t);
    await prepare();
    const mortality = new Mortality();
    await prepare({ before: mortality.before });
    assert.deepEqual(mortality.operations.filter((operation) => changes.test(operation)), []);
    await assertInFormatTwo(real, root, content);
    const fresh = join(root, 'fresh');
    await mkdir(fresh);
    await prepare({ root: fresh });
    assert.deepEqual(await readdir(fresh), ['kiln-data-version']);
  });

  it('takes over what the store of that format really wrote', async () => {
    const fixture = await formatOneDirectory();
    await using directory = await temporaryDirectory();
    const [root, ours] = [join(directory.path, 'real'), join(directory.path, 'ours')];
    await restoreDirectory(fixture, root);
    const clock = new ManualClock(fixture.startMs);
    const store = await FormatOneStore.open(ours, { clock });
    const content = await fillFormatOne(store, clock, new SeededRandom(fixture.seed), fixture.sizes);
    await store.close();
    await prepareFormatTwo({ ...options, directory: root }, { files: real, smallSyncs: mortalSyncs(() => undefined), monotonicClock: clock, wallClock: clock, random: systemRandom, log: silentLog });
    await assertInFormatTwo(real, root, content);
  });

  it('a marker that is newer, or says something else, is refused and nothing is touched', async (t) => {
    const { root, prepare } = await formatOne(t);
    for (const text of ['kiln data directory, format 3\n', 'kiln data directory, format 01\n', 'kiln data directory, format 2', '']) {
      await writeFile(join(root, 'kiln-data-version'), text);
      const before = await treeOf(root);
      await assert.rejects(prepare(), { code: 'failed_precondition', message: /format 3, which this version|format 01, which|does not say what it should/ });
      assert.deepEqual(await treeOf(root), before);
    }
  });

  it('without room on the disk it is refused before anything is touched, with what is missing', async (t) => {
    const { root, prepare } = await formatOne(t);
    const before = await treeOf(root);
    const space = (freeBytes: number): LogFileSystem => Object.assign(new NodeLogFileSystem(), { space: async () => ({ totalBytes: 1 << 30, freeBytes }) });
    await assert.rejects(prepare({ files: space(1 << 20) }), { code: 'resource_exhausted', message: /older format.*MiB have to be free on its disk, where 1 MiB are: free .* more.*nothing was changed/ });
    assert.deepEqual(await treeOf(root), before);
    await prepare({ files: space(8 << 20) });
  });

  it('on a file system that is read-only, or where nothing may be written, nothing is touched', async (t) => {
    const { root, prepare } = await formatOne(t);
    const before = await treeOf(root);
    for (const code of ['EROFS', 'EACCES', 'ENOSPC']) {
      const refuse = (operation: string): void => {
        if (changes.test(`${operation} `)) throw systemError(code, operation);
      };
      await assert.rejects(prepare({ before: refuse }), (thrown) => systemCode(thrown) === code);
      assert.deepEqual(await treeOf(root), before, code);
    }
  });

  it('when it is cancelled, the directory has still format 1, and goes on later', async (t) => {
    const { root, content, prepare } = await formatOne(t);
    const cancel = new AbortController();
    let written = 0;
    await assert.rejects(prepare({ signal: cancel.signal, before: (operation) => void (operation === 'write' && (written += 1) === 1 && cancel.abort()) }), { code: 'cancelled' });
    assert.equal(await readFile(join(root, 'kiln-data-version'), 'latin1'), 'kiln data directory, format 1\n');
    await prepare();
    await assertInFormatTwo(real, root, content);
  });

  it('K1-02: values that are damaged go to quarantine, the others are taken over', async (t) => {
    const { root, content, prepare, log } = await formatOne(t);
    const layout = new ObjectLayout(root);
    const [first, second, ...others] = content.values;
    assert.ok(first && second);
    const names = [first, second].map(({ key }) => `${key.kind}/${valueFileName(key)}`);
    for (const [at, name] of names.entries()) {
      const path = layout.final(name);
      const bytes = await readFile(path);
      bytes.writeUInt8(bytes.readUInt8(at === 0 ? bytes.byteLength - 1 : 10) ^ 1, at === 0 ? bytes.byteLength - 1 : 10);
      await real.remove(path);
      await writeFile(path, bytes);
    }
    await prepare();
    await assertInFormatTwo(real, root, { ...content, values: others });
    assert.deepEqual((await readdir(join(root, 'quarantine'))).sort(), names.map((name) => `value-${name.slice(name.indexOf('/') + 1)}`).sort());
    assert.ok(log.lines.some((line) => line.includes('"damagedValues":2') || line.includes('damagedValues')));
  });

  it('what Kiln did not make stays where it is, and is reported', async (t) => {
    const { root, content, prepare, log } = await formatOne(t);
    const foreign = ['values/opaque/notes.txt', 'objects/sha256/ab/readme', 'objects/other'];
    for (const path of foreign) {
      await mkdir(join(root, path, '..'), { recursive: true });
      await writeFile(join(root, path), 'x');
    }
    await writeFile(join(root, 'objects/sha256/ab', `${'ab'.repeat(32)}.5.partial`), 'part');
    await prepare();
    for (const path of foreign) assert.equal(await readFile(join(root, path), 'utf8'), 'x');
    assert.deepEqual(await readdir(join(root, 'values'), { recursive: true }), ['opaque', 'opaque/notes.txt']);
    assert.deepEqual(await readdir(join(root, 'objects/sha256/ab')), ['readme'], 'a partial file is gone');
    assert.equal(log.lines.filter((line) => line.startsWith('warn')).length, 2);
    await assertInFormatTwo(real, root, content);
  });

  it('a long value whose blob is there already is pointed to it; a wrong one in its place is replaced', async (t) => {
    const { root, content, clock, prepare } = await formatOne(t);
    const long = content.values.find(({ bytes }) => bytes.byteLength > options.valueBytesMax);
    assert.ok(long);
    const digest = Digest.of(long.bytes);
    const store = await FormatOneStore.open(root, { clock });
    await store.blobs.put(digest, byteSourceOf(long.bytes));
    await store.close();
    const path = new ObjectLayout(root).final(digest.key);
    const copy = `${root}-copy`;
    t.after(() => real.discard(copy));
    await cp(root, copy, { recursive: true, preserveTimestamps: true });
    const { ino } = await stat(path);
    await prepare();
    assert.equal((await stat(path)).ino, ino);
    await assertInFormatTwo(real, root, content);
    const wrong = new ObjectLayout(copy).final(digest.key);
    await real.remove(wrong);
    await writeFile(wrong, Buffer.alloc(long.bytes.byteLength));
    await prepare({ root: copy });
    assert.ok((await readFile(wrong)).equals(long.bytes));
  });

  it('says how far it is, every five seconds', async (t) => {
    const { prepare, log } = await formatOne(t);
    let nowMs = 0;
    await prepare({ monotonicClock: { nowMs: () => (nowMs += 2_500) } });
    const lines = log.lines.filter((line) => line.includes('done'));
    for (const step of ['looking for', 'action results and other values', 'taking over blobs', 'removing']) assert.ok(lines.some((line) => line.includes(step)), step);
  });

  it('many values fill several segments, in order', async (t) => {
    const directory = await temporaryDirectory();
    t.after(() => directory[Symbol.asyncDispose]());
    const clock = new ManualClock(Date.now());
    const store = await FormatOneStore.open(directory.path, { clock });
    const random = seededRandom(t);
    const values = Array.from({ length: 60 }, (_, at) => ({ key: { kind: 'opaque', instance: 'i', digestFunction: sha256, hash: sha256.hashHex(Buffer.from([at])) } as const, bytes: Buffer.alloc(random.integer(0, 60_000), at), usedMs: 0 }));
    for (const { key, bytes } of values) {
      await store.values.put(key, byteSourceOf(bytes));
      clock.advance(10_000);
      assert.ok(await store.values.get(key));
    }
    await store.close();
    await prepareFormatTwo({ ...options, directory: directory.path }, { files: real, smallSyncs: mortalSyncs(() => undefined), monotonicClock: clock, wallClock: clock, random: systemRandom, log: silentLog });
    const segments = await readSegments(real, join(directory.path, 'segments'));
    assert.ok(segments.length > 1);
    const records = segments.flatMap((segment) => segment.records);
    assert.deepEqual(records.map(({ head }) => Buffer.from(head.hash).toString('hex')), values.map(({ key }) => key.hash));
    for (const [at, { payload }] of records.entries()) assert.ok(payload.equals(values[at]?.bytes ?? Buffer.alloc(0)));
  });
});
