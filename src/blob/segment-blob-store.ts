// Blobs in segments, and large ones as files. What survives, and how, is engine/store-engine.ts.
import { holdBody } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { mapBounded } from '../base/semaphore.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { Slot } from '../engine/blob-index.ts';
import { checkWhole, tooLong, wrongLength } from '../engine/digest-check.ts';
import type { BlobResults, WantedBlob } from '../engine/record-reads.ts';
import type { PutSettled } from '../engine/small-puts.ts';
import type { StoreEngine } from '../engine/store-engine.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, GetResults, PutResult } from './blob-store.ts';
import { FileStreams } from './file-streams.ts';
import { checkAccepted, checkKnownSize, checkRange, wrongSize } from './known-blob.ts';
import { sentBytesOf, sizeOfBlob } from './listed-blob.ts';
import { PutBatch } from './put-batch.ts';
import { SeenDigests } from './seen-digests.ts';
import type { WholeFiles } from './whole-files.ts';

export interface SegmentBlobStoreLimits {
  readonly blobBytesMax: number;
  /** What the engine keeps of what it is told is there. */
  readonly leaseMs: number;
  readonly survives: 'process_crash' | 'power_loss';
}

/** Read in one piece and checked before the first byte goes out; larger files are checked in passing. */
const wholeBytesMax = 1024 * 1024;
/** Files of one call that are read or written at the same time: enough to fill the thread pool and share syncs. */
const batchConcurrencyMax = 16;

/**
 * Promises the right bytes: the hash is checked when a blob is written and again on its first read after a start. Existence
 * and sizes are answered from memory, small blobs without a wait where the page cache has them. A blob found corrupt is
 * quarantined and absent; a sick disk is `unavailable`, never absence.
 */
export class SegmentBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #engine: StoreEngine;
  readonly #files: WholeFiles;
  readonly #streams: FileStreams;
  readonly #budget: ByteBudget;

  constructor(engine: StoreEngine, files: WholeFiles, limits: SegmentBlobStoreLimits, budget: ByteBudget) {
    this.capabilities = { leaseMs: limits.leaseMs, survives: limits.survives, blobBytesMax: limits.blobBytesMax };
    this.#engine = engine;
    this.#files = files;
    this.#streams = new FileStreams(engine);
    this.#budget = budget;
  }

  findMissing(digests: DigestList): MaybePromise<DigestList> {
    const engine = this.#engine;
    const missing = new SeenDigests(digests);
    const doubtful: Digest[] = [];
    const { sizes } = digests;
    const nowS = engine.nowS();
    const knownUseS = engine.knownUseS(nowS);
    const absent = digests.select((index) => {
      const slot = engine.findListed(digests, index);
      if (slot === -1) return missing.add(index);
      const known = engine.blobs.look(slot, sizes[index] ?? 0, knownUseS);
      if (known === 'to be used') engine.touchBlob(slot, nowS);
      else if (known === 'other size') doubtful.push(digests.at(index));
      return false;
    });
    // Either the blob lost its length and is absent after the check, or the digest is refused on the second try.
    if (doubtful.length === 0) return absent;
    return Promise.all(doubtful.map((digest) => this.#settleSize(digest, this.#slotOf(digest)))).then(() => this.findMissing(digests));
  }

  resolve(digestFunction: DigestFunction, hash: string): MaybePromise<Digest | undefined> {
    const slot = this.#engine.findBlob(digestFunction, hash);
    if (slot === -1) return undefined;
    this.#engine.touchBlob(slot, this.#engine.nowS());
    return Digest.parse(digestFunction, hash, this.#engine.blobs.sizeOf(slot));
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const slot = this.#slotOf(digest);
    if (slot === -1) return undefined;
    if (this.#isDoubtful(digest, slot)) return this.#settleSize(digest, slot).then(() => this.get(digest, options));
    if (options?.range !== undefined) checkRange(digest, options.range);
    this.#engine.touchBlob(slot, this.#engine.nowS());
    const isFile = this.#engine.blobs.isFile(slot);
    if (isFile && digest.sizeBytes > wholeBytesMax) return this.#streams.open(digest, options);
    const bytes = this.#whole(digest, isFile, options);
    return isPromise(bytes) ? bytes.then((read) => sourceOf(read, options)) : sourceOf(bytes, options);
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    const engine = this.#engine;
    const results: BlobResults = new Array<GetResult>(digests.length).fill(undefined);
    const [records, others]: [WantedBlob[], number[]] = [[], []];
    const { sizes } = digests;
    const nowS = engine.nowS();
    const knownUseS = engine.knownUseS(nowS);
    for (let index = 0; index < digests.length; index += 1) {
      const slot = engine.findListed(digests, index);
      if (slot === -1) continue;
      const known = engine.blobs.look(slot, sizes[index] ?? 0, knownUseS);
      if (known === 'other size' || engine.blobs.isFile(slot)) {
        others.push(index);
      } else {
        if (known === 'to be used') engine.touchBlob(slot, nowS);
        const inMemory = engine.blobInMemory(digests, slot);
        if (inMemory === undefined) records.push(engine.wantedBlob(index, slot));
        else results[index] = inMemory;
      }
    }
    const reading = records.length === 0 ? undefined : engine.readBlobs(digests, records, results, options);
    if (others.length === 0) return reading === undefined ? results : reading.then(() => results);
    const files = mapBounded(others, batchConcurrencyMax, async (position) => {
      results[position] = await outcome(() => this.#readAny(digests.at(position), options));
    });
    return Promise.all([reading, files]).then(() => results);
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    if (await this.#present(digest)) return;
    checkAccepted(digest, this.capabilities);
    if (digest.sizeBytes > this.#engine.smallBytesMax) return this.#engine.putFile(digest, bytes, options);
    // A small one is waited for in memory: a slow sender then holds no room in the log.
    using _held = holdBody(this.#budget, digest.sizeBytes);
    const whole = await receive(digest, bytes, options);
    checkWhole(digest, whole);
    await this.#engine.putSmall(digest, whole, options);
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    try {
      return this.#putMany(blobs, options);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  /** Not `async`: that is a second promise, and what it waits with, for each call. */
  #putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const engine = this.#engine;
    const batch = new PutBatch(blobs.length);
    let nowS: number | undefined;
    /** Not for the log, or there with another size. */
    const others: number[] = [];
    let index = 0;
    for (const blob of blobs) {
      const { listed } = blob;
      const sizeBytes = sizeOfBlob(blob);
      const slot = listed === undefined ? this.#slotOf(blob.digest) : engine.findListed(listed.digests, listed.index);
      // What was sent for what is there is thrown away, so nobody needs to know whether it is right.
      if (slot !== -1 && engine.blobs.sizeOf(slot) === sizeBytes && sentBytesOf(blob) === sizeBytes) engine.touchBlob(slot, (nowS ??= engine.nowS()));
      else if (slot !== -1 || sizeBytes > engine.smallBytesMax) others.push(index);
      else batch.begin(index, (settled) => this.#beginPut(blob, settled, options));
      index += 1;
    }
    if (others.length > 0) batch.add(this.#putOthers(blobs, others, batch.results, options));
    return batch.end();
  }

  /** The outcome of each of those at `positions` goes to its place in `results`. */
  async #putOthers(blobs: readonly BlobBytes[], positions: readonly number[], results: PutResult[], options?: CallOptions): Promise<void> {
    await mapBounded(positions, batchConcurrencyMax, async (position) => {
      const blob = blobs[position];
      if (blob !== undefined) results[position] = await outcome(() => this.#putOther(blob, options).then(() => undefined));
    });
  }

  /** Room is made for what its digest says, so that is what is looked at first. */
  async #putOther({ digest, bytes }: BlobBytes, options?: CallOptions): Promise<void> {
    if (bytes.byteLength !== digest.sizeBytes) throw wrongLength(digest, bytes.byteLength);
    await this.put(digest, byteSourceOf(bytes), options);
  }

  /** The bytes are the caller's until `settled` is told, and nobody writes to them before. */
  #beginPut({ digest, bytes }: BlobBytes, settled: PutSettled, options?: CallOptions): void {
    checkAccepted(digest, this.capabilities);
    checkWhole(digest, bytes);
    this.#engine.beginPut(digest, bytes, settled, options);
  }

  #slotOf(digest: Digest): Slot {
    return this.#engine.findBlob(digest.function, digest.hash);
  }

  /** Another size than asked for is not believed before the bytes were looked at. @throws CacheError `invalid_argument` where they were. */
  #isDoubtful(digest: Digest, slot: Slot): boolean {
    const { blobs } = this.#engine;
    if (blobs.sizeOf(slot) === digest.sizeBytes) return false;
    if (blobs.isVerified(slot)) throw wrongSize(digest, blobs.sizeOf(slot));
    return true;
  }

  /** When it resolves, the blob is verified, or out of service. @throws CacheError as `#isDoubtful`. */
  async #settleSize(digest: Digest, slot: Slot): Promise<void> {
    if (slot === -1 || !this.#isDoubtful(digest, slot)) return;
    if (this.#engine.blobs.isFile(slot)) await this.#streams.verify(digest);
    else await this.#engine.readBlob(digest);
  }

  /** Whether the blob is there; that is a use. @throws CacheError `invalid_argument` when it has another size. */
  async #present(digest: Digest): Promise<boolean> {
    for (let slot = this.#slotOf(digest); slot !== -1; slot = this.#slotOf(digest)) {
      if (this.#isDoubtful(digest, slot)) {
        await this.#settleSize(digest, slot);
      } else {
        checkKnownSize(digest, this.#engine.blobs.sizeOf(slot));
        this.#engine.touchBlob(slot, this.#engine.nowS());
        return true;
      }
    }
    return false;
  }

  async #readAny(digest: Digest, options?: CallOptions): Promise<Uint8Array | undefined> {
    if (!(await this.#present(digest))) return undefined;
    const slot = this.#slotOf(digest);
    return slot === -1 ? undefined : this.#whole(digest, this.#engine.blobs.isFile(slot), options);
  }

  /** All of a blob in memory, right; undefined when it is gone or corrupt. Shared: nobody writes to it. */
  #whole(digest: Digest, isFile: boolean, options?: CallOptions): MaybePromise<Uint8Array | undefined> {
    if (!isFile) return this.#engine.readBlob(digest, options);
    return this.#files.hot(digest) ?? this.#files.read(digest, options);
  }
}

/** Everything that is sent for a small blob, in an array of its own. Not judged, but for too many bytes. */
async function receive(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<Uint8Array> {
  const whole = new Uint8Array(digest.sizeBytes);
  let length = 0;
  for await (const chunk of bytes) {
    if (options?.signal?.aborted === true) throw new CacheError('cancelled', `the put of ${digest.toString()} was cancelled`);
    if (length + chunk.byteLength > digest.sizeBytes) throw tooLong(digest);
    whole.set(chunk, length);
    length += chunk.byteLength;
  }
  return whole.subarray(0, length);
}

function sourceOf(bytes: Uint8Array | undefined, options: GetOptions | undefined): ByteSource | undefined {
  if (bytes === undefined) return undefined;
  const range = options?.range;
  return byteSourceOf(range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length));
}

/** The value, or the CacheError that `work` failed with; anything else goes on. */
async function outcome<T>(work: () => Promise<T>): Promise<T | CacheError> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof CacheError) return thrown;
    throw thrown;
  }
}
