// All of the segment engine under one roof: what the stores of blobs and values call. Names and bytes only; what a size that
// is wrong means, what is held in memory for whom, and what a range is, is for those above.
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { hashWordCount } from '../base/hex-words.ts';
import type { BodyHasher } from '../base/log-files.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import type { EngineOptions, EnginePorts } from './engine-options.ts';
import type { EngineParts } from './engine-parts.ts';
import { usageOf } from './engine-usage.ts';
import type { EngineUsage } from './engine-usage.ts';
import type { OpenFile } from './file-byte-source.ts';
import { KeyWords, blobTag } from './key-words.ts';
import type { ValueIdentity } from './key-words.ts';
import { openEngine } from './open-engine.ts';
import { recordBytes } from './record-codec.ts';
import { encodePointer } from './record-payloads.ts';
import type { BlobResults, FoundValue, WantedBlob } from './record-reads.ts';
import type { PutSettled } from './small-puts.ts';
import type { Uploads } from './uploads.ts';

/** Of the offsets in a segment: together with the 24 bits of its ordinal a whole number. */
const placeSpan = 2 ** 27;
/** Another server, or this one started again, takes a moment (REAPI ERR-4). */
const closingRetryMs = 1_000;

export class StoreEngine implements AsyncDisposable {
  readonly blobs: BlobIndex;
  readonly values: BlobIndex;
  readonly #parts: EngineParts;
  readonly #key = new KeyWords();
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  private constructor(parts: EngineParts) {
    this.#parts = parts;
    this.blobs = parts.entries.blobs;
    this.values = parts.entries.values;
  }

  /**
   * Takes in what is in the directory, which this process owns and which has format 2, and mends what a crash has left.
   * @throws CacheError `failed_precondition` (a newer Kiln wrote here), `unavailable`, `disk_full`; the system's errors.
   */
  static async open(options: EngineOptions, ports: EnginePorts): Promise<StoreEngine> {
    return new StoreEngine(await openEngine(options, ports));
  }

  /** Blobs up to here are records. */
  get smallBytesMax(): number {
    return this.#parts.smallBytesMax;
  }

  get uploads(): Uploads {
    return this.#parts.uploads;
  }

  get usage(): EngineUsage {
    return usageOf(this.#parts);
  }

  /** -1: absent. The slot is right until the next await, and is no use of the blob. @throws CacheError `unavailable` once closing. */
  findBlob(digestFunction: DigestFunction, hash: string): Slot {
    this.#checkOpen();
    return this.#key.setHash(blobTag(digestFunction.wireValue), hash) ? this.blobs.find(this.#key) : -1;
  }

  /** As `findBlob`, for one of many. */
  findListed(digests: DigestList, index: number): Slot {
    const { words } = digests;
    if (words === undefined) return this.findBlob(digests.function, digests.hashAt(index));
    this.#checkOpen();
    return this.blobs.findWords(words, index * hashWordCount, blobTag(digests.function.wireValue));
  }

  /** A use of what was used after that tells nothing new; `BlobIndex.look` takes it. */
  knownUseS(nowS: number): number {
    return this.#parts.uses.knownAfterS(nowS);
  }

  /** Now, in whole seconds since 1970, by a clock that does not jump. Many uses at once share one look. */
  nowS(): number {
    return this.#parts.nowS();
  }

  /** It was used: it stays for a lease from now on. */
  touchBlob(slot: Slot, nowS: number): void {
    this.#parts.uses.note(this.blobs, slot, nowS);
  }

  /** Of the last put of that key; 0: there is none. */
  sequenceOfValue(value: ValueIdentity): number {
    this.#key.setValue(value);
    const slot = this.values.find(this.#key);
    return slot === -1 ? 0 : this.values.sequenceOf(slot);
  }

  /**
   * Stores a blob of at most `smallBytesMax` whose hash the caller has checked; `bytes` do not change until this settles. Who puts
   * the same blob meanwhile waits for the same sync. Resolves once it is durable.
   * @throws CacheError `busy`, `disk_full`, `unavailable`, `cancelled`.
   */
  async putSmall(digest: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    const slot = this.findBlob(digest.function, digest.hash);
    if (slot !== -1) return this.touchBlob(slot, this.nowS());
    if (this.#parts.ledger.isFloorLost) await this.#parts.evictor.checkFloor(options);
    return this.#admitted(bytes.byteLength, () => this.#parts.smallPuts.put(digest, bytes, options));
  }

  /**
   * As `putSmall`, of one of many, in the turn in which `findBlob` has not found it: no promise each. `settled` is told as by
   * `SmallPuts.begin`. @throws CacheError `disk_full`: then nothing is begun, and it is told nothing.
   */
  beginPut(digest: Digest, bytes: Uint8Array, settled: PutSettled, options?: CallOptions): void {
    if (this.#parts.ledger.isFloorLost) {
      void this.putSmall(digest, bytes, options).then(() => settled(undefined), (thrown: unknown) => settled(CacheError.from(thrown)));
      return;
    }
    const admitted = this.#parts.leases.admit(bytes.byteLength, this.nowS());
    this.#parts.smallPuts.begin(digest, bytes, admitted === undefined ? settled : ending(admitted, settled), options);
  }

  /** Stores a blob of any size as a file, in pieces as they come, checked in passing. @throws as `putSmall`; `invalid_argument`. */
  async putFile(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    this.#checkOpen();
    return this.#tracked(this.#admitted(digest.sizeBytes, () => this.#parts.files.put(digest, bytes, options)));
  }

  /**
   * The last put wins. With `over`: only while the put of that number is the last one (0: there is none), those under way
   * included; else nothing is put and it resolves to false. `bytes` do not change until this settles.
   * @throws CacheError as `putSmall`.
   */
  async putValue(identity: ValueIdentity, bytes: Uint8Array, { over }: { readonly over?: number | undefined }, options?: CallOptions): Promise<boolean> {
    this.#checkOpen();
    return this.#tracked(this.#admitted(bytes.byteLength, () => this.#putValue(identity, bytes, over, options)));
  }

  /** A blob that is a record, right; undefined: it is none, or corrupt and out of service now. @throws CacheError `unavailable`, `busy`, `cancelled`. */
  readBlob(digest: Digest, options?: CallOptions): MaybePromise<Uint8Array | undefined> {
    this.#checkOpen();
    return this.#trackedMaybe(this.#parts.reads.blob(digest, options));
  }

  /** The bytes of one of `digests`, the record of `slot`, if they are in memory; in this turn. Nobody writes to them. */
  blobInMemory(digests: DigestList, slot: Slot): Uint8Array | undefined {
    return this.#parts.reads.inMemory(digests, slot);
  }

  /** What `readBlobs` takes for the blob that is the record of `slot`; both in this turn. */
  wantedBlob(index: number, slot: Slot): WantedBlob {
    return this.#parts.reads.wanted(index, slot);
  }

  /**
   * As `readBlob` for many of `digests`: one result at the index of each, in `results`; what cannot be read is a result too.
   * Undefined: all of them are there.
   */
  readBlobs(digests: DigestList, wanted: readonly WantedBlob[], results: BlobResults, options?: CallOptions): Promise<void> | undefined {
    this.#checkOpen();
    const reading = this.#parts.reads.blobs(digests, wanted, results, options);
    return reading && this.#tracked(reading);
  }

  /** Right by its checksum; that is a use. Undefined: absent, or corrupt and out of service now. @throws as `readBlob`. */
  readValue(identity: ValueIdentity, options?: CallOptions): MaybePromise<FoundValue | undefined> {
    this.#checkOpen();
    return this.#trackedMaybe(this.#parts.reads.value(identity, options));
  }

  /** A blob that is a file; undefined when it is gone. What is open stays readable whatever becomes of the blob. */
  openFile(digest: Digest, options?: CallOptions): Promise<OpenFile | undefined> {
    this.#checkOpen();
    return this.#tracked(this.#parts.files.openRead(digest, options));
  }

  /** Whether the hash of what stands at that place was found right since the start. */
  isVerified(digest: Digest, place: number): boolean {
    return place !== -1 && this.placeOfBlob(digest) === place && this.blobs.isVerified(this.findBlob(digest.function, digest.hash));
  }

  markVerified(digest: Digest): void {
    const slot = this.findBlob(digest.function, digest.hash);
    if (slot !== -1) this.blobs.setVerified(slot);
  }

  /** For `expectedBytes` of a body; off the loop where that is worth it. The caller disposes it. */
  beginHash(digestFunction: DigestFunction, expectedBytes: number): BodyHasher {
    return this.#parts.hashes.begin(digestFunction.name, expectedBytes);
  }

  /**
   * All of them that are there stay until disposed, or for 120 seconds.
   * @throws CacheError `resource_exhausted`: a quarter of the store would be pinned; then none is.
   */
  pin(digests: DigestList): Disposable {
    this.#checkOpen();
    const { entries, leases } = this.#parts;
    const requests = [];
    for (let index = 0; index < digests.length; index += 1) {
      const key = new KeyWords();
      const slot = key.setHash(blobTag(digests.function.wireValue), digests.hashAt(index)) ? this.blobs.find(key) : -1;
      if (slot !== -1) requests.push({ key, bytes: entries.usedBytes(this.blobs, slot) });
    }
    return leases.pin(requests);
  }

  /** Which put of a blob is there, for who reads it over a while: another one has another number. -1: absent. */
  placeOfBlob(digest: Digest): number {
    const slot = this.findBlob(digest.function, digest.hash);
    return slot === -1 ? -1 : this.blobs.segmentOf(slot) * placeSpan + this.blobs.offsetOf(slot);
  }

  /**
   * The bytes of a file are wrong, as a reader found who saw it at `place`: absent at once, and kept for whoever wants to know why.
   * Does nothing where something else is by now: another upload has brought it, or it was moved and is found out by the next reader.
   */
  async quarantineFile(digest: Digest, place: number, reason: string): Promise<void> {
    if (place === -1 || this.placeOfBlob(digest) !== place) return;
    const slot = this.findBlob(digest.function, digest.hash);
    if (this.blobs.isFile(slot)) await this.#tracked(this.#quarantineFile(digest, slot, reason));
  }

  /** Refuses new calls, finishes those under way, writes down the order of use and syncs it. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.resolve(); // whoever asks from now on is refused
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await this.#parts.smallPuts.idle();
    await this.#parts.end.disposeAsync();
  }

  async #putValue(identity: ValueIdentity, bytes: Uint8Array, over: number | undefined, options?: CallOptions): Promise<boolean> {
    const { valuePuts, valueRecordBytesMax, ledger, evictor } = this.#parts;
    if (ledger.isFloorLost) await evictor.checkFloor(options);
    const whole = recordBytes(identity.digestFunction.hashBytes, Buffer.byteLength(identity.instance), bytes.byteLength);
    const isPointer = whole > valueRecordBytesMax;
    // What it points to is durable before anything points to it (K1-11).
    const payload = isPointer ? await this.#putPointed(bytes, options) : bytes;
    const value = { identity, logicalBytes: bytes.byteLength, payload, isPointer };
    if (over !== undefined) return valuePuts.putOver(value, over, options);
    await valuePuts.put(value, options);
    return true;
  }

  async #putPointed(bytes: Uint8Array, options?: CallOptions): Promise<Uint8Array> {
    using hasher = this.beginHash(sha256, bytes.byteLength);
    await hasher.update(bytes);
    const digest = Digest.ofChecked(sha256, await hasher.hex(), bytes.byteLength);
    const slot = this.#blobSlot(digest);
    if (slot !== -1) this.touchBlob(slot, this.nowS());
    else if (bytes.byteLength <= this.smallBytesMax) await this.#parts.smallPuts.put(digest, bytes, options);
    else await this.#parts.files.put(digest, byteSourceOf(bytes), options);
    return encodePointer({ functionNumber: sha256.wireValue, hash: Buffer.from(digest.hash, 'hex'), sizeBytes: bytes.byteLength });
  }

  async #quarantineFile(digest: Digest, slot: Slot, reason: string): Promise<void> {
    const { log, files } = this.#parts;
    this.#parts.corruptFiles.count += 1;
    log.warn('a stored file is corrupt and counts as absent', { digest: `${digest.function.name}/${digest.hash}`, sizeBytes: this.blobs.sizeOf(slot), reason });
    try {
      await files.remove(slot, 'corrupt');
    } catch (thrown) {
      log.error('a corrupt file could not be moved to quarantine', thrown, { digest: `${digest.function.name}/${digest.hash}`, reason });
    }
  }

  #blobSlot(digest: Digest): Slot {
    return this.#key.setHash(blobTag(digest.function.wireValue), digest.hash) ? this.blobs.find(this.#key) : -1;
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new CacheError('unavailable', 'the store is shutting down', { details: [{ kind: 'retry_after', delayMs: closingRetryMs }] });
  }

  /** @throws CacheError `disk_full`: `work` is not begun. */
  #admitted<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const admitted = this.#parts.leases.admit(bytes, this.nowS());
    return admitted === undefined ? work() : work().finally(() => admitted[Symbol.dispose]());
  }

  #trackedMaybe<T>(work: MaybePromise<T>): MaybePromise<T> {
    return isPromise(work) ? this.#tracked(work) : work;
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    const done = (): void => void this.#running.delete(work);
    work.then(done, done);
    return work;
  }
}

function ending(admitted: Disposable, settled: PutSettled): PutSettled {
  return (failure) => {
    admitted[Symbol.dispose]();
    settled(failure);
  };
}
