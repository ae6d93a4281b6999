// K11-04, K11-05, K11-09 on a real store: over a real directory, and over a disk whose slowness is a test's.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import type { Operation } from '../testing/faulty-file-system.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { openFileStore, temporaryDirectory } from '../testing/temporary-file-store.ts';

const blockBytes = 4096;

/** A blob of one block of which no other has the bytes. */
function blob(number: number): { readonly digest: Digest; readonly bytes: Buffer; readonly name: string } {
  const bytes = Buffer.alloc(blockBytes, `blob ${number} `);
  const digest = Digest.of(bytes);
  return { digest, bytes, name: `sha256/${digest.hash}` };
}

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

function lines(log: RecordedLog, message: string): Line[] {
  return log.lines.flatMap((line) => {
    const [, level = '', text = '', json = '{}'] = /^(\w+) (.*?) (\{.*)$/.exec(line) ?? [];
    return text === message ? [{ level, message: text, fields: JSON.parse(json) as Record<string, unknown> }] : [];
  });
}

/** A store on a disk in memory, of which an operation takes as long as `slow` says. */
async function slowStore(slow: (operation: Operation, path: string) => number) {
  const [clock, log, meter, files] = [new ManualClock(), new RecordedLog(), new RecordedMeter(), new FaultyFileSystem()];
  await files.makeDirectory('/data');
  const store = await openFileStore('/data', {}, { files, clock, log, meter });
  files.fault = (operation, path) => {
    clock.advance(slow(operation, path));
    return undefined;
  };
  return { clock, log, meter, store };
}

describe('the journal of a store', () => {
  it('K11-04: one write and one eviction are there with digest and size, at debug', async () => {
    await using directory = await temporaryDirectory();
    const log = new RecordedLog();
    const store = await openFileStore(directory.path, { maxBytes: 64 * blockBytes }, { log });
    const first = blob(0);
    await store.blobs.put(first.digest, byteSourceOf(first.bytes));
    const [stored] = lines(log, 'stored');
    assert.deepEqual([stored?.level, stored?.fields['digest'], stored?.fields['sizeBytes']], ['debug', first.name, blockBytes]);
    assert.equal(typeof stored?.fields['tookMs'], 'number');
    await store.blobs.put(first.digest, byteSourceOf(first.bytes));
    assert.equal(lines(log, 'stored').length, 1, 'what was there is not written again');

    for (let number = 1; number <= 64; number += 1) await store.blobs.put(blob(number).digest, byteSourceOf(blob(number).bytes));
    await store.close();
    const [evicted] = lines(log, 'evicted');
    assert.deepEqual([evicted?.level, evicted?.fields['digest'], evicted?.fields['sizeBytes']], ['debug', first.name, blockBytes]);
  });

  it('K11-04: values are told by the digest that callers know', async () => {
    await using directory = await temporaryDirectory();
    const log = new RecordedLog();
    await using store = await openFileStore(directory.path, {}, { log });
    const { digest, bytes, name } = blob(0);
    await store.values.put({ kind: 'action_result', instance: 'main', digestFunction: sha256, hash: digest.hash }, byteSourceOf(bytes));
    const [stored] = lines(log, 'stored');
    assert.equal(stored?.fields['digest'], name);
    assert.match(String(stored?.fields['file']), /^action_result\/[0-9a-f]{64}$/);
  });

  it('K11-04: at info evictions are a line a minute, and writes none', async () => {
    await using directory = await temporaryDirectory();
    const [log, clock] = [new RecordedLog(), new ManualClock(Date.now())];
    log.debugEnabled = false;
    await using store = await openFileStore(directory.path, { maxBytes: 64 * blockBytes }, { log, clock });
    const put = async (from: number, to: number): Promise<void> => {
      for (let number = from; number < to; number += 1) await store.blobs.put(blob(number).digest, byteSourceOf(blob(number).bytes));
    };
    await put(0, 100);
    assert.deepEqual(lines(log, 'files go to make room for others').map(({ level, fields: { files, bytes, last } }) => [level, files, bytes, last]), [['info', 1, blockBytes, blob(0).name]]);
    const before = store.usage.evictedCount;
    clock.advance(60_000);
    await put(100, 101);
    const [, second] = lines(log, 'files go to make room for others');
    assert.deepEqual([second?.fields['files'], second?.fields['bytes']], [before, before * blockBytes]);
    assert.deepEqual([...lines(log, 'stored'), ...lines(log, 'evicted')], []);
  });

  it('K11-04: a corrupt file is a warning with its digest', async () => {
    await using directory = await temporaryDirectory();
    const { digest, bytes, name } = blob(0);
    {
      await using store = await openFileStore(directory.path);
      await store.blobs.put(digest, byteSourceOf(bytes));
    }
    await writeFile(`${directory.path}/objects/sha256/${digest.hash.slice(0, 2)}/${digest.hash}`, Buffer.alloc(blockBytes));
    const log = new RecordedLog();
    await using store = await openFileStore(directory.path, {}, { log });
    assert.equal(await store.blobs.get(digest), undefined);
    const [corrupt] = lines(log, 'a stored file is corrupt and counts as absent');
    assert.deepEqual([corrupt?.level, corrupt?.fields], ['warn', { digest: name, sizeBytes: blockBytes, reason: 'its bytes do not have its hash', fate: 'kept' }]);
  });

  it('K11-05: waits are in a histogram by operation and reason', async () => {
    await using directory = await temporaryDirectory();
    const [clock, meter] = [new ManualClock(Date.now()), new RecordedMeter()];
    await using store = await openFileStore(directory.path, { openReadsMax: 1, openWritesMax: 1, hotBytesMax: 1 }, { clock, meter });
    const large = Buffer.alloc(2 << 20, 'x'); // a stream, which holds its file until it is read
    const digest = Digest.of(large);
    await store.blobs.put(digest, byteSourceOf(large));
    const held = await store.blobs.get(digest);
    const waiting = store.blobs.get(digest);
    clock.advance(3_000);
    await held?.[Symbol.asyncDispose]();
    await (await waiting)?.[Symbol.asyncDispose]();
    assert.deepEqual(meter.records('kiln_store_wait_seconds{operation="read",reason="permit"}'), [0, 3]);

    const gate = Promise.withResolvers<void>();
    const other = Buffer.alloc(2 << 20, 'y');
    const slow = store.blobs.put(Digest.of(other), (async function* () {
      await gate.promise;
      yield other;
    })());
    const { digest: next, bytes } = blob(1);
    const behind = store.blobs.put(next, byteSourceOf(bytes));
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5_000);
    gate.resolve();
    await Promise.all([slow, behind]);
    const waits = (reason: string): readonly number[] => meter.records(`kiln_store_wait_seconds{operation="write",reason="${reason}"}`);
    assert.deepEqual(waits('permit'), [0, 0, 5]);
    for (const reason of ['room', 'lock', 'directory_sync']) assert.equal(waits(reason).length, 3, reason);
  });

  for (const [phase, operation, field] of [
    ['temp', 'createExclusive', 'tempMs'],
    ['write', 'write', 'writeMs'],
    ['sync', 'syncData', 'syncMs'],
    ['publish', 'rename', 'publishMs'],
    ['publish, by its directory,', 'syncDirectory', 'publishMs'],
  ] as const) {
    it(`K11-09: a ${phase} phase over 50 ms is told with all phases, and one of 50 ms is not`, async () => {
      let takesMs = 50;
      const { log, clock, store } = await slowStore((of, path) => (of === operation && !path.includes('recency') ? takesMs : 0));
      // The first write into a directory makes and syncs it as well.
      const one = blob(1);
      await store.blobs.put(one.digest, byteSourceOf(one.bytes));
      const message = 'a write to the data directory was slow';
      const before = lines(log, message).length;
      takesMs = 51;
      clock.advance(60_000);
      let sameDirectory = blob(2);
      for (let number = 3; !sameDirectory.digest.hash.startsWith(one.digest.hash.slice(0, 2)); number += 1) sameDirectory = blob(number);
      await store.blobs.put(sameDirectory.digest, byteSourceOf(sameDirectory.bytes));
      const slow = lines(log, message);
      assert.equal(slow.length, before + 1);
      const told = slow.at(-1);
      assert.deepEqual([told?.level, told?.fields['digest'], told?.fields['sizeBytes'], told?.fields[field]], ['info', sameDirectory.name, blockBytes, 51]);
      assert.equal(told?.fields['tookMs'], 51);
    });
  }

  it('K11-09: is told once a minute, with how many there were since, and not for a client that sends slowly', async () => {
    let takesMs = 200;
    const { log, clock, store } = await slowStore((operation) => (operation === 'syncData' ? takesMs : 0));
    for (let number = 0; number < 10; number += 1) await store.blobs.put(blob(number).digest, byteSourceOf(blob(number).bytes));
    clock.advance(60_000);
    await store.blobs.put(blob(10).digest, byteSourceOf(blob(10).bytes));
    const message = 'a write to the data directory was slow';
    assert.deepEqual(lines(log, message).map(({ fields }) => fields['othersSince']), [undefined, 9]);
    takesMs = 0;
    clock.advance(60_000);
    const large = Buffer.alloc(1 << 20, 'z');
    await store.blobs.put(Digest.of(large), (async function* () {
      clock.advance(90_000);
      yield large;
    })());
    assert.equal(lines(log, message).length, 2);
    assert.equal(lines(log, 'stored').at(-1)?.fields['receiveMs'], 90_000);
  });
});
