// What was read late is judged by where it was read: what has come into its place meanwhile is not to blame for it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { HandSyncedLog } from '../testing/hand-synced-log.ts';
import { HotRecords } from './hot-records.ts';
import { RecordReads } from './record-reads.ts';
import type { BlobResult, RecordReadsParts } from './record-reads.ts';
import type { PlannedRead, WantedRecord } from './read-plan.ts';
import type { RecordBytes } from './record-codec.ts';

const nowS = 1_700_000_000;
const right = Buffer.from('what was stored');
const wrong = Buffer.from('what was spoilt before its checksum was made');
const digest = Digest.of(right);
const hash = Buffer.from(digest.hash, 'hex');

/** Reads wait until `answer` is called; each gives what stood at its place when it was asked for. */
class Rig {
  readonly log = new HandSyncedLog({ segmentBytes: 65_536, leaseS: 3_600, nowS: () => nowS });
  readonly #waiting: (() => void)[] = [];
  /** Reads that were asked for. */
  count = 0;
  /** Places of what was taken out of service. */
  readonly discarded: number[] = [];
  readonly reads = new RecordReads({
    entries: this.log.entries,
    store: {
      read: async (index: HandSyncedLog['entries']['blobs'], slot: number) =>
        this.#later(() => this.log.readAt({ segment: index.segmentOf(slot), offset: index.offsetOf(slot), bytes: this.log.entries.recordBytes(index, slot) })),
      readMany: async (plan: readonly PlannedRead[], settle: (record: WantedRecord, read: RecordBytes) => void) => {
        for (const { records } of plan) for (const record of records) settle(record, await this.#later(() => this.log.bytesAt(record)));
      },
    },
    quarantine: {
      take: async (index: HandSyncedLog['entries']['blobs'], slot: number) => {
        this.discarded.push(index.offsetOf(slot));
        this.log.entries.remove(index, slot);
      },
    },
    hot: new HotRecords(0),
    smallPuts: { isUnderWay: () => false },
    valuePuts: { isUnderWay: () => false },
    useValue: () => undefined,
  } as unknown as RecordReadsParts);

  /** The record of the blob, right by its checksum, whatever its bytes are; not verified since the start. */
  put(bytes: Uint8Array): number {
    const { offset } = this.log.putBlob(hash, bytes, nowS);
    const { blobs } = this.log.entries;
    const slot = this.log.findBlob(hash);
    this.log.entries.put(blobs, this.log.keyOfBlob(hash), {
      segment: blobs.segmentOf(slot), offset, sizeBytes: bytes.byteLength, usedAtS: nowS, sequence: 0, isFile: false, isPointer: false, isVerified: false,
    });
    return offset;
  }

  async answer(): Promise<void> {
    for (const go of this.#waiting.splice(0)) go();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }

  async #later<T>(read: () => T): Promise<T> {
    this.count += 1;
    const result = read();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
    return result;
  }
}

/** As `blob`, and as one of many. */
const ways: readonly (readonly [string, (rig: Rig) => Promise<unknown>])[] = [
  ['alone', async ({ reads }) => reads.blob(digest)],
  [
    'among others',
    async ({ reads, log }) => {
      const results: BlobResult[] = [undefined];
      await reads.blobs(DigestList.of(digest), [reads.wanted(0, log.findBlob(hash))], results);
      return results[0];
    },
  ],
];

describe('RecordReads, late', () => {
  for (const [way, read] of ways) {
    it(`K1-02: takes a record out of service whose bytes do not have its hash, read ${way}`, async () => {
      const rig = new Rig();
      const offset = rig.put(wrong);
      const reading = read(rig);
      await rig.answer();
      assert.equal(await reading, undefined);
      assert.deepEqual(rig.discarded, [offset]);
    });

    it(`K1-03: leaves alone what was put in its place while it was read, and reads that, ${way}`, async () => {
      const rig = new Rig();
      rig.put(wrong);
      const reading = read(rig);
      // Another reader found it out, and a client has put it anew.
      rig.log.entries.remove(rig.log.entries.blobs, rig.log.findBlob(hash));
      rig.put(right);
      await rig.answer();
      await rig.answer();
      assert.deepEqual(await reading, right);
      assert.deepEqual(rig.discarded, []);
      assert.equal(rig.count, 2);
      assert.equal(rig.log.entries.blobs.isVerified(rig.log.findBlob(hash)), true, 'what stands there now was read and found right');
    });

    it(`says nothing of what moved while it was read, ${way}: it is right, and read once`, async () => {
      const rig = new Rig();
      rig.put(right);
      const reading = read(rig);
      rig.put(right);
      await rig.answer();
      assert.deepEqual(await reading, right);
      assert.equal(rig.count, 1);
      assert.equal(rig.log.entries.blobs.isVerified(rig.log.findBlob(hash)), false);
    });
  }

  it('gives a value that was replaced while it was read: it was the last put when it was asked for', async () => {
    const rig = new Rig();
    const identity = { kind: 'opaque' as const, instance: '', digestFunction: sha256, hash: digest.hash };
    rig.log.putValue(hash, Buffer.from('one'), nowS);
    rig.log.sync('value');
    const reading = Promise.resolve(rig.reads.value(identity));
    rig.log.putValue(hash, Buffer.from('two'), nowS);
    rig.log.sync('value');
    await rig.answer();
    const found = await reading;
    assert.equal(found && String(found.content), 'one');
    assert.deepEqual(rig.discarded, []);
  });
});
