// Reads of records: right ones or none, at once only where that holds nobody up, and never from a file that is another's.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { sha256 } from '../digest/digest-function.ts';
import { emptyDisk } from '../testing/disk-image.ts';
import { HandWrittenSegment } from '../testing/hand-written-log.ts';
import { emptyParts } from '../testing/recovered-parts.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { SimulatedMachine } from '../testing/simulated-machine.ts';
import type { Slot } from './blob-index.ts';
import { HotRecords } from './hot-records.ts';
import { KeyWords, blobTag } from './key-words.ts';
import { PageCacheGuess } from './page-cache-guess.ts';
import { planReads } from './read-plan.ts';
import type { WantedRecord } from './read-plan.ts';
import { segmentBytesLeast } from './segment-format.ts';
import { SegmentStore, recordIn } from './segment-store.ts';
import type { ReadRecord, RecordPlace } from './segment-store.ts';

const directory = '/data/segments';
const nowS = 1_700_000_000;
const planLimits = { gapBytesMax: 4_096, readBytesMax: 262_144 };

/** Segments with some blobs each, all of them in the index. */
class World implements AsyncDisposable {
  readonly machine: SimulatedMachine;
  readonly parts = emptyParts(nowS);
  readonly store: SegmentStore;
  readonly places = new Map<string, RecordPlace>();
  /** How often files were asked, and which. */
  readonly hot = new HotRecords(2 ** 20);
  readonly reads = { now: 0, later: 0 };
  /** How often memory for reads was asked for. */
  lends = 0;
  readonly opened: string[] = [];
  #sequence = 1;

  constructor(machine: SimulatedMachine, options: { readonly openFilesMax?: number; readonly readsMax?: number; readonly waitingReadsMax?: number } = {}) {
    this.machine = machine;
    const { disk, clock } = machine;
    const files = {
      openLog: async (path: string, access?: 'read') => {
        this.opened.push(path.slice(path.lastIndexOf('/') + 1));
        const file = await disk.openLog(path, access);
        if (file === undefined) return undefined;
        const counted = (into: Uint8Array, position: number): number => {
          this.reads.now += 1;
          return file.readNow(into, position);
        };
        const later = (into: Uint8Array, position: number): Promise<number> => {
          this.reads.later += 1;
          return file.read(into, position);
        };
        return { ...file, readNow: counted, read: later };
      },
    };
    this.store = new SegmentStore({ files, clock, guess: new PageCacheGuess(2 ** 20), hot: this.hot }, { table: this.parts.segments, entries: this.parts.entries }, { directory, openFilesMax: 8, readsMax: 4, waitingReadsMax: 100, ...options });
  }

  async segment(id: number, contents: readonly string[]): Promise<number> {
    const written = await HandWrittenSegment.begin(this.machine, directory, { id, stream: 'blob', firstSequence: 1 });
    const { ordinal } = this.parts.segments.add({ id, stream: 'blob', nonce: written.nonce, segmentBytes: segmentBytesLeast, begunS: nowS, state: 'open', endOffset: written.endOffset, records: 0, sealSequence: undefined });
    for (const content of contents) {
      const payload = Buffer.from(content);
      const place = { segment: ordinal, ...written.append({ kind: 'blob', digestFunction: sha256, hash: sha256.hashHex(payload), sequence: this.#sequence, usedAtS: nowS, payload }) };
      this.#sequence += 1;
      this.places.set(content, place);
      this.parts.entries.put(this.parts.blobs, this.key(content), { segment: ordinal, offset: place.offset, sizeBytes: payload.byteLength, usedAtS: nowS, sequence: 0, isFile: false, isPointer: false, isVerified: false });
    }
    written.write();
    await written.close();
    return ordinal;
  }

  key(content: string): KeyWords {
    const key = new KeyWords();
    assert.ok(key.setHash(blobTag(sha256.wireValue), sha256.hashHex(Buffer.from(content))));
    return key;
  }

  slot(content: string): Slot {
    return this.parts.blobs.find(this.key(content));
  }

  place(content: string): RecordPlace {
    return this.places.get(content) ?? assert.fail(`there is no ${content}`);
  }

  async read(content: string): Promise<string> {
    const read = await this.store.read(this.parts.blobs, this.slot(content));
    return typeof read === 'string' ? read : read.payload.toString();
  }

  /** What each of them is, in their order; a promise where something had to be waited for. */
  readMany(contents: readonly string[]): MaybePromise<readonly (string | undefined)[]> {
    const plan = planReads(contents.map((content, index): WantedRecord => ({ index, ...this.place(content) })), planLimits);
    const texts: (string | undefined)[] = contents.map(() => undefined);
    const reading = this.store.readMany(plan, ({ index, offset, bytes }, read) => {
      assert.equal(texts[index], undefined);
      texts[index] = text(read instanceof CacheError ? read : recordIn(read, offset, bytes));
    }, undefined, () => {
      this.lends += 1;
      return undefined;
    });
    return reading === undefined ? texts : reading.then(() => texts);
  }

  spoil(id: number, offset: number): void {
    const path = `${directory}/${id.toString(16).padStart(16, '0')}.blob`;
    const bytes = Buffer.from(this.machine.disk.files().get(path) ?? assert.fail());
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    this.machine.disk.tamper(path, bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
  }
}

async function onDisk(t: TestContext, work: (world: World) => Promise<void>, options?: ConstructorParameters<typeof World>[1]): Promise<void> {
  using machine = new SimulatedMachine(seededRandom(t).seed, emptyDisk, 1_700_000_000_000);
  const all = async (): Promise<void> => {
    await machine.disk.makeDirectory(directory);
    await using world = new World(machine, options);
    await work(world);
  };
  await machine.finish(all());
  assert.deepEqual(machine.disk.violations, []);
}

function text(read: ReadRecord | 'wrong' | CacheError | undefined): string | undefined {
  return read === undefined || typeof read === 'string' ? read : read instanceof CacheError ? read.kind : read.payload.toString();
}

describe('SegmentStore', () => {
  it('reads off the loop first, and at once what was read or written lately', (t) => onDisk(t, async (world) => {
    await world.segment(1, ['one', 'two', '']);
    const first = world.store.read(world.parts.blobs, world.slot('one'));
    assert.ok(isPromise(first));
    const record = await first;
    assert.ok(typeof record === 'object');
    assert.equal(record.payload.toString(), 'one');
    assert.equal(Buffer.from(record.head.hash).toString('hex'), sha256.hashHex(Buffer.from('one')));
    const again = world.store.read(world.parts.blobs, world.slot('one'));
    assert.ok(!isPromise(again) && typeof again === 'object' && again.payload.toString() === 'one');
    assert.equal(await world.read(''), '');
    assert.equal(world.reads.later, 1);
    // Of a segment that is open, what was written counts as read.
    await world.segment(2, ['three', 'four']);
    world.store.written(world.place('three'));
    assert.equal(await world.read('three'), 'three'); // opens the segment
    const written = world.store.readAt(world.place('three'));
    assert.ok(!isPromise(written));
  }));

  it('believes the page cache no more where a read on the loop was slow', (t) => onDisk(t, async (world) => {
    const ordinal = await world.segment(1, ['one']);
    await world.read('one');
    const { clock, disk } = world.machine;
    using _open = await world.store.open(ordinal);
    disk.fault = (operation) => {
      if (operation === 'read') clock.advance(50);
      return undefined;
    };
    for (let read = 0; read < 3; read += 1) assert.ok(!isPromise(world.store.readAt(world.place('one'))));
    disk.fault = () => undefined;
    assert.ok(isPromise(world.store.readAt(world.place('one'))));
  }));

  it('reads many with few reads, by their index, whichever are wrong', (t) => onDisk(t, async (world) => {
    const contents = Array.from({ length: 30 }, (_, index) => `content ${index}`);
    await world.segment(1, contents.slice(0, 20));
    await world.segment(2, contents.slice(20));
    world.spoil(1, world.place('content 3').offset + 90); // payload
    world.spoil(2, world.place('content 25').offset + 30); // head
    const wanted = ['content 29', 'content 3', 'content 0', 'content 25', 'content 3', 'content 19'];
    const expected = ['content 29', 'wrong', 'content 0', 'wrong', 'wrong', 'content 19'];
    const read = world.readMany(wanted);
    assert.ok(isPromise(read));
    assert.deepEqual(await read, expected);
    assert.deepEqual([world.reads.later, world.lends], [2, 0]);
    const again = world.readMany(wanted);
    assert.deepEqual(again, expected); // at once
    assert.deepEqual([world.reads.now, world.lends], [2, 1]);
  }));

  it('says that a record is wrong, or that it moved while it was read', (t) => onDisk(t, async (world) => {
    await world.segment(1, ['one', 'two']);
    const other = await world.segment(2, ['three']);
    world.spoil(1, world.place('one').offset + 90);
    assert.equal(await world.read('one'), 'wrong');
    assert.equal(await world.read('one'), 'wrong'); // at once, this time
    const { blobs, entries } = world.parts;
    const elsewhere = await world.segment(3, ['one at first']);
    for (const change of [() => entries.moveTo(blobs, world.slot('one'), other, 8_192), () => entries.remove(blobs, world.slot('one'))]) {
      if (world.store.openCount > 0) await world.store.forget(world.parts.blobs.segmentOf(world.slot('one')));
      entries.put(blobs, world.key('one'), { segment: world.place('one').segment, offset: world.place('one').offset, sizeBytes: 3, usedAtS: nowS, sequence: 0, isFile: false, isPointer: false, isVerified: false });
      await world.store.forget(world.place('one').segment);
      const reading = world.store.read(blobs, world.slot('one'));
      assert.ok(isPromise(reading));
      change();
      assert.equal(await reading, 'moved');
    }
    assert.ok(elsewhere > other);
  }));

  it('lets go of the contents of a segment that is forgotten', (t) => onDisk(t, async (world) => {
    const ordinal = await world.segment(1, ['one']);
    for (let read = 0; read < 2; read += 1) world.hot.offer(ordinal, 8_192, Buffer.from('one'));
    assert.equal(world.hot.count, 1);
    await world.store.forget(ordinal);
    assert.equal(world.hot.count, 0);
  }));

  it('is short of nothing behind the end of a file that somebody cut', (t) => onDisk(t, async (world) => {
    const ordinal = await world.segment(1, ['one']);
    assert.equal(await world.store.readAt({ segment: ordinal, offset: 24_576 - 8, bytes: 96 }), 'wrong');
    assert.equal(await world.store.readAt({ segment: ordinal, offset: 2 ** 19, bytes: 96 }), 'wrong');
    // Nor is a record that is longer or shorter than who asks believes.
    for (const bytes of [-8, 8]) assert.equal(await world.store.readAt({ ...world.place('one'), bytes: world.place('one').bytes + bytes }), 'wrong');
  }));

  it('counts a segment as read until the read has ended, and opens it once for many', (t) => onDisk(t, async (world) => {
    const ordinal = await world.segment(1, ['one', 'two', 'three']);
    const { segments } = world.parts;
    const reads = ['one', 'two', 'three'].map((content) => world.read(content));
    assert.ok(segments.at(ordinal).readers > 0);
    let isUnused = false;
    const unused = segments.whenUnused(ordinal).then(() => void (isUnused = true));
    assert.equal(isUnused, false);
    assert.deepEqual(await Promise.all(reads), ['one', 'two', 'three']);
    await unused;
    assert.equal(segments.at(ordinal).readers, 0);
    assert.deepEqual(world.opened, ['0000000000000001.blob']);
  }));

  it('keeps a bounded number of files open, and none closed that is in use', (t) => onDisk(t, async (world) => {
    const ids = Array.from({ length: 9 }, (_, index) => index + 1);
    for (const id of ids) await world.segment(id, [`of ${id}`]);
    using held = await world.store.open(world.place('of 1').segment);
    for (const id of ids) {
      assert.equal(await world.read(`of ${id}`), `of ${id}`);
      assert.ok(world.store.openCount <= 3);
    }
    assert.equal(held.file.readNow(Buffer.alloc(8), 0), 8);
    assert.equal(world.opened.filter((name) => name.startsWith('0000000000000001')).length, 1);
    // Those that were used last are open.
    const count = world.opened.length;
    await world.read('of 9');
    await world.read('of 8');
    assert.equal(world.opened.length, count);
    await world.read('of 2');
    assert.equal(world.opened.length, count + 1);
  }, { openFilesMax: 3 }));

  it('bounds the reads that may go to the disk, and ends a wait that is cancelled', (t) => onDisk(t, async (world) => {
    const contents = Array.from({ length: 6 }, (_, index) => `content ${index}`);
    const ordinal = await world.segment(1, contents);
    const abort = new AbortController();
    const reads = contents.slice(0, 4).map((content, index) => world.store.readAt(world.place(content), index === 3 ? { signal: abort.signal } : undefined));
    assert.deepEqual(world.store.reads, { running: 2, waiting: 2 });
    await assert.rejects(async () => world.store.readAt(world.place('content 4')), { kind: 'busy' });
    assert.deepEqual(await world.readMany(['content 5']), ['busy']);
    abort.abort();
    await assert.rejects(async () => reads[3], { kind: 'cancelled' });
    for (const read of reads.slice(0, 3)) assert.ok(typeof (await read) === 'object');
    assert.equal(world.parts.segments.at(ordinal).readers, 0);
    assert.deepEqual(world.store.reads, { running: 0, waiting: 0 });
  }, { readsMax: 2, waitingReadsMax: 2 }));

  it('K1-04: an error of the disk is no absence, for one read or for many', (t) => onDisk(t, async (world) => {
    const [one] = [await world.segment(1, ['one']), await world.segment(2, ['two'])];
    const { disk } = world.machine;
    await world.read('one');
    disk.fault = (operation, path) => (operation === 'read' && path.includes('1.blob') ? 'EIO' : undefined);
    assert.throws(() => world.store.readAt(world.place('one')), { kind: 'unavailable' });
    assert.deepEqual(await world.readMany(['one', 'two']), ['unavailable', 'two']);
    await world.store.forget(one);
    await assert.rejects(async () => world.store.readAt(world.place('one')), { kind: 'unavailable' });
    disk.fault = (operation) => (operation === 'open' ? 'EMFILE' : undefined);
    await world.store.forget(one);
    await assert.rejects(async () => world.store.readAt(world.place('one')), { kind: 'busy' });
    disk.fault = () => undefined;
    assert.equal(await world.read('one'), 'one');
    await world.store.forget(one);
    await disk.remove(`${directory}/0000000000000001.blob`);
    await assert.rejects(async () => world.store.readAt(world.place('one')), /0000000000000001\.blob is gone/);
    assert.equal(world.parts.segments.at(one).readers, 0);
  }));

  it('waits for its reads when it closes, and begins no other', (t) => onDisk(t, async (world) => {
    await world.segment(1, ['one', 'two']);
    const ordinal = world.place('one').segment;
    const held = await world.store.open(ordinal);
    let isClosed = false;
    const closed = world.store[Symbol.asyncDispose]().then(() => void (isClosed = true));
    await assert.rejects(async () => world.store.readAt(world.place('two')), { kind: 'unavailable' });
    assert.equal(held.file.readNow(Buffer.alloc(8), 0), 8);
    assert.equal(isClosed, false);
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    await closed;
    assert.equal(world.store.openCount, 0);
    assert.throws(() => world.store.open(ordinal), { kind: 'unavailable' });
  }));
});
