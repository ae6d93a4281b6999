// Reads of blobs and values that are records, by name: looked up, read, checked, and followed where the record has moved
// meanwhile. What is wrong is taken out of service and absent.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { ReusedMemory, lentBytesMax } from '../base/reused-memory.ts';
import type { LentMemory } from '../base/reused-memory.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctionNumbered } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import type { HotRecords } from './hot-records.ts';
import { KeyWords, blobTag, keyBytes } from './key-words.ts';
import type { ValueIdentity } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import { planReads } from './read-plan.ts';
import type { PlannedRead, ReadLimits, WantedRecord } from './read-plan.ts';
import { RecordBytes } from './record-codec.ts';
import { decodePointer } from './record-payloads.ts';
import type { RecordQuarantine, RecordSubject } from './record-quarantine.ts';
import { recordIn } from './segment-store.ts';
import type { ReadRecord, SegmentStore } from './segment-store.ts';
import type { SmallPuts } from './small-puts.ts';
import type { ValuePuts } from './value-puts.ts';

/** A blob that is a record, by its index in a list of digests. */
export interface WantedBlob extends WantedRecord {
  /** Its hash was found right since the start. */
  readonly isVerified: boolean;
}

/** The bytes of a blob; undefined: it is none, or corrupt and out of service now. */
export type BlobResult = Uint8Array | undefined | CacheError;

/** One result for each digest of a list, in its order. */
export interface BlobResults extends Array<BlobResult> {
  /** See `GetResults`. */
  done?: () => void;
}

/** A value as it was found, or the blob that it is. */
export interface FoundValue {
  readonly content: Uint8Array | Digest;
  /** Of the put that it came by: another one has a higher number. */
  readonly sequence: number;
}

export interface RecordReadsParts {
  readonly entries: LiveEntries;
  readonly store: SegmentStore;
  readonly quarantine: RecordQuarantine;
  /** Contents of blobs. */
  readonly hot: HotRecords;
  readonly smallPuts: Pick<SmallPuts, 'isUnderWay'>;
  readonly valuePuts: Pick<ValuePuts, 'isUnderWay'>;
  /** Told of each value that is found: that is a use. */
  readonly useValue: (slot: Slot) => void;
}

/** Reading a gap of a page costs less than another read; what is read at once stays in memory as long as any of it. */
const readLimits: ReadLimits = { gapBytesMax: 4_096, readBytesMax: 262_144 };
/** Kept between batches that are read from the page cache: a few of them, since each is answered in its turn as a rule. */
const keptBytesMax = 4 * 1_048_576;
const wrongChecksum = 'its checksum is wrong';
const wrongHash = 'its bytes do not have its hash';

export class RecordReads {
  readonly #parts: RecordReadsParts;
  readonly #key = new KeyWords();
  readonly #memory = new ReusedMemory(keptBytesMax);

  constructor(parts: RecordReadsParts) {
    this.#parts = parts;
  }

  /**
   * A blob that is a record, right by its checksum, and by its hash if it was not read since the start. Undefined: it is none, or
   * corrupt and out of service now.
   */
  blob(digest: Digest, options?: CallOptions): MaybePromise<Uint8Array | undefined> {
    const slot = this.#blobSlot(digest);
    if (slot === -1) return undefined;
    const { blobs } = this.#parts.entries;
    const record = this.#parts.store.read(blobs, slot, options);
    if (!isPromise(record)) return record === 'moved' ? this.blob(digest, options) : this.#checkedBlob(digest, slot, record);
    const place = placeOf(blobs, slot);
    return record.then((later) => {
      const now = this.#blobSlot(digest);
      if (later !== 'moved' && isAt(blobs, now, place)) return this.#checkedBlob(digest, now, later);
      return this.#elsewhere(digest, later, options);
    });
  }

  /** The bytes of one of `digests`, the record of `slot`, if they are in memory; in this turn. Nobody writes to them. */
  inMemory(digests: DigestList, slot: Slot): Uint8Array | undefined {
    const { hot, entries } = this.#parts;
    const { blobs } = entries;
    return isWholeKey(digests) && blobs.isVerified(slot) ? hot.get(blobs.segmentOf(slot), blobs.offsetOf(slot)) : undefined;
  }

  /** What to read for the blob that is the record of `slot`, in this turn; `index` is its place in a list of digests. */
  wanted(index: number, slot: Slot): WantedBlob {
    const { entries } = this.#parts;
    const { blobs } = entries;
    return { index, segment: blobs.segmentOf(slot), offset: blobs.offsetOf(slot), bytes: entries.recordBytes(blobs, slot), isVerified: blobs.isVerified(slot) };
  }

  /**
   * As `blob` for many, which were looked up in this turn: one result at the index of each, in `results`. What cannot be read is a
   * result too. Undefined: all of them are there.
   */
  blobs(digests: DigestList, wanted: readonly WantedBlob[], results: BlobResults, options?: CallOptions): Promise<void> | undefined {
    const { hot, store } = this.#parts;
    const late: Promise<void>[] = [];
    const isKnown = isWholeKey(digests);
    let isLate = false;
    const settle = (blob: WantedBlob, read: RecordBytes | CacheError): void => {
      const { index } = blob;
      const known = isKnown && blob.isVerified && !isLate && read instanceof RecordBytes ? read.payloadAt(blob.offset, blob.bytes) : undefined;
      if (known !== undefined) {
        hot.offer(blob.segment, blob.offset, known);
        results[index] = known;
        return;
      }
      const result = this.#outcome(digests, blob, read, options);
      if (isPromise(result)) late.push(result.then((later) => void (results[index] = later)));
      else results[index] = result;
    };
    const plan = planReads(wanted, readLimits);
    const lend = (): LentMemory | undefined => {
      const memory = this.#memoryFor(plan);
      if (memory !== undefined) setDone(results, () => memory.giveBack());
      return memory;
    };
    const reading = store.readMany(plan, settle, options, lend);
    isLate = true;
    if (reading !== undefined) return reading.then(() => Promise.all(late)).then(() => undefined);
    return late.length === 0 ? undefined : Promise.all(late).then(() => undefined);
  }

  /** Right by its checksum; that is a use. Undefined: absent, or corrupt and out of service now. */
  value(identity: ValueIdentity, options?: CallOptions): MaybePromise<FoundValue | undefined> {
    const slot = this.#valueSlot(identity);
    if (slot === -1) return undefined;
    this.#parts.useValue(slot);
    const { values } = this.#parts.entries;
    const record = this.#parts.store.read(values, slot, options);
    if (!isPromise(record)) return record === 'moved' ? this.value(identity, options) : this.#checkedValue(identity, slot, record);
    const place = placeOf(values, slot);
    return record.then((later) => {
      const now = this.#valueSlot(identity);
      if (later !== 'moved' && isAt(values, now, place)) return this.#checkedValue(identity, now, later);
      // What was the last put when it was asked for is an answer; what is wrong is nothing that another put is to blame for.
      const found = later === 'moved' || later === 'wrong' ? undefined : this.#checkedValue(identity, -1, later);
      return found ?? this.value(identity, options);
    });
  }

  /** Undefined: for more than is kept. */
  #memoryFor(plan: readonly PlannedRead[]): LentMemory | undefined {
    let planned = 0;
    for (const { bytes } of plan) planned += bytes;
    return planned > lentBytesMax ? undefined : this.#memory.take(planned);
  }

  /** What was read of an entry that has gone or moved meanwhile, if it is right; else what is there by now. */
  #elsewhere(digest: Digest, record: ReadRecord | 'moved' | 'wrong', options: CallOptions | undefined): MaybePromise<Uint8Array | undefined> {
    const right = record === 'moved' || record === 'wrong' ? undefined : this.#checkedBlob(digest, -1, record);
    return right ?? this.blob(digest, options);
  }

  #outcome(digests: DigestList, wanted: WantedBlob, read: RecordBytes | CacheError, options?: CallOptions): MaybePromise<BlobResult> {
    if (!(read instanceof RecordBytes)) return read;
    const record = recordIn(read, wanted.offset, wanted.bytes);
    const digest = digests.at(wanted.index);
    return settled(() => {
      // It may have moved while others were waited for; then it is read alone, and judged by that.
      if (record === 'wrong') return this.blob(digest, options);
      const slot = this.#blobSlot(digest);
      return isAt(this.#parts.entries.blobs, slot, wanted) ? this.#checkedBlob(digest, slot, record) : this.#elsewhere(digest, record, options);
    });
  }

  /** @param slot of the blob where the record was read; -1: it is not there any more, so nothing is said of it. */
  #checkedBlob(digest: Digest, slot: Slot, record: ReadRecord | 'wrong'): MaybePromise<Uint8Array | undefined> {
    const { blobs } = this.#parts.entries;
    if (record === 'wrong') return slot === -1 ? undefined : this.#discardBlob(digest, slot, wrongChecksum);
    if (digest.function.hashBytes > keyBytes && Buffer.compare(record.head.hash, Buffer.from(digest.hash, 'hex')) !== 0) return undefined;
    if (slot !== -1 && blobs.isVerified(slot)) return record.payload;
    if (digest.function.hashHex(record.payload) !== digest.hash) return slot === -1 ? undefined : this.#discardBlob(digest, slot, wrongHash);
    if (slot !== -1) blobs.setVerified(slot);
    return record.payload;
  }

  #checkedValue(identity: ValueIdentity, slot: Slot, record: ReadRecord | 'wrong'): MaybePromise<FoundValue | undefined> {
    if (record === 'wrong') return slot === -1 ? undefined : this.#discardValue(identity, slot, 0, wrongChecksum);
    const { head, payload } = record;
    if (!head.isPointer) return { content: payload, sequence: head.sequence };
    const pointer = decodePointer(payload);
    const digestFunction = pointer && digestFunctionNumbered(pointer.functionNumber);
    if (pointer !== undefined && digestFunction?.hashBytes === pointer.hash.byteLength) {
      return { content: Digest.ofChecked(digestFunction, Buffer.from(pointer.hash).toString('hex'), pointer.sizeBytes), sequence: head.sequence };
    }
    return slot === -1 ? undefined : this.#discardValue(identity, slot, head.logicalBytes, 'it points to no blob');
  }

  async #discardBlob(digest: Digest, slot: Slot, reason: string): Promise<undefined> {
    const { entries, quarantine, smallPuts } = this.#parts;
    const subject: RecordSubject = {
      kind: 'blob',
      functionNumber: digest.function.wireValue,
      hash: Buffer.from(digest.hash, 'hex'),
      instance: '',
      logicalBytes: entries.blobs.sizeOf(slot),
      label: `${digest.function.name}/${digest.hash}`,
      isBack: () => smallPuts.isUnderWay(digest) || this.#blobSlot(digest, true) !== -1,
    };
    await quarantine.take(entries.blobs, slot, subject, reason);
  }

  async #discardValue(identity: ValueIdentity, slot: Slot, logicalBytes: number, reason: string): Promise<undefined> {
    const { entries, quarantine, valuePuts } = this.#parts;
    const { kind, digestFunction, hash, instance } = identity;
    const subject: RecordSubject = {
      kind: kind === 'action_result' ? 'actionResult' : 'opaque',
      functionNumber: digestFunction.wireValue,
      hash: Buffer.from(hash, 'hex'),
      instance,
      logicalBytes,
      label: `${kind}/${digestFunction.name}/${hash}`,
      isBack: () => valuePuts.isUnderWay(identity) || this.#valueSlot(identity) !== -1,
    };
    await quarantine.take(entries.values, slot, subject, reason);
  }

  /** -1: absent, or, unless `orFile`, a file. */
  #blobSlot(digest: Digest, orFile = false): Slot {
    const { blobs } = this.#parts.entries;
    const slot = this.#key.setHash(blobTag(digest.function.wireValue), digest.hash) ? blobs.find(this.#key) : -1;
    return slot !== -1 && !orFile && blobs.isFile(slot) ? -1 : slot;
  }

  #valueSlot(identity: ValueIdentity): Slot {
    this.#key.setValue(identity);
    return this.#parts.entries.values.find(this.#key);
  }
}

/** Not enumerable: results are an array to whoever looks at them. */
function setDone(results: BlobResults, value: () => void): void {
  Object.defineProperty(results, 'done', { value });
}

/** Longer hashes than a key has are compared with the one of the record. */
function isWholeKey(digests: DigestList): boolean {
  return digests.function.hashBytes <= keyBytes;
}

interface Place {
  readonly segment: number;
  readonly offset: number;
}

function placeOf(index: BlobIndex, slot: Slot): Place {
  return { segment: index.segmentOf(slot), offset: index.offsetOf(slot) };
}

/** Whether the record that was read is still the one of the entry. */
function isAt(index: BlobIndex, slot: Slot, { segment, offset }: Place): boolean {
  return slot !== -1 && index.segmentOf(slot) === segment && index.offsetOf(slot) === offset;
}

/** What `read` gives, or the CacheError that it fails with. */
function settled<T>(read: () => MaybePromise<T>): MaybePromise<T | CacheError> {
  const failure = (thrown: unknown): CacheError => {
    if (thrown instanceof CacheError) return thrown;
    throw thrown;
  };
  try {
    const result = read();
    return isPromise(result) ? result.catch(failure) : result;
  } catch (thrown) {
    return failure(thrown);
  }
}
