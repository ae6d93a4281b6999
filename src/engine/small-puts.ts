// Puts of blobs that are records. One record for all who put the same blob at the same time: they wait for the same sync.
// Where there is room in the log, which is nearly always, a put costs no promise: thousands of them end in one pass over
// what a sync made durable (docs/benchmarks.md, store-small-writes).
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { unlessCancelled } from '../base/unless-cancelled.ts';
import type { Digest } from '../digest/digest.ts';
import type { SyncOutcome } from './group-sync.ts';
import { KeyWords, blobTag, keyBytes } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { AppendRequest } from './append-request.ts';
import type { LogWriter } from './log-writer.ts';
import { notDurable } from './not-durable.ts';
import { PutsUnderWay } from './puts-under-way.ts';
import type { KeyedPut } from './puts-under-way.ts';
import { recordBytes } from './record-codec.ts';
import type { RecordPlace } from './segment-store.ts';

export interface PutParts {
  readonly entries: LiveEntries;
  readonly writer: Pick<LogWriter, 'claim' | 'append' | 'appendNow'>;
  /** Now, in seconds since 1970. */
  readonly nowS: () => number;
  /** Told of each record that was written: its bytes are in the page cache. */
  readonly written: (place: RecordPlace) => void;
}

interface NewPut {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly settled: PutSettled;
}

/** Told once of a put: without a failure the blob is durable and in the index. Must not throw. */
export type PutSettled = (failure?: CacheError) => void;

/** Also what is asked of the log: one object for all of it. */
class SmallPut implements AppendRequest, KeyedPut<SmallPut> {
  readonly kind = 'blob';
  readonly functionNumber: number;
  readonly hash: Uint8Array;
  readonly instance = '';
  readonly logicalBytes: number;
  /** Since it is appended: its lease begins then, however long it waited for room. */
  usedAtS = 0;
  readonly payload: Uint8Array;
  readonly digest: Digest;
  readonly number: number;
  readonly settled: PutSettled;
  next: SmallPut | undefined;
  /** Where its record is, once it has a place. */
  place: RecordPlace | undefined;
  isOver = false;
  /** Of those who came later with the same blob. */
  #later: PromiseWithResolvers<void> | undefined;

  /** `key` is that of the digest, `number` that of the key. */
  constructor({ digest, bytes, settled }: NewPut, key: KeyWords, number: number) {
    this.functionNumber = digest.function.wireValue;
    this.hash = digest.function.hashBytes === keyBytes ? key.bytes() : Buffer.from(digest.hash, 'hex');
    this.logicalBytes = bytes.byteLength;
    this.payload = bytes;
    this.digest = digest;
    this.number = number;
    this.settled = settled;
  }

  /** Settles as the put does. */
  get end(): Promise<void> {
    this.#later ??= Promise.withResolvers<void>();
    return this.#later.promise;
  }

  tell(failure: CacheError | undefined): void {
    this.settled(failure);
    if (failure === undefined) this.#later?.resolve();
    else this.#later?.reject(failure);
  }
}

export class SmallPuts {
  readonly #entries: LiveEntries;
  readonly #writer: PutParts['writer'];
  readonly #nowS: () => number;
  readonly #written: PutParts['written'];
  /** Bound: the claims that the writer lets wait, and what it lets be unsynced. */
  readonly #underWay = new PutsUnderWay<SmallPut>();
  readonly #key = new KeyWords();
  /** Those who wait for the put of somebody else included. */
  #openCount = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor({ entries, writer, nowS, written }: PutParts) {
    this.#entries = entries;
    this.#writer = writer;
    this.#nowS = nowS;
    this.#written = written;
  }

  /** Whether somebody puts the blob at the moment. */
  isUnderWay(digest: Digest): boolean {
    return this.#find(digest) !== undefined;
  }

  /** Resolves when nobody puts anything. For one caller, when nobody comes any more. */
  idle(): Promise<void> {
    if (this.#openCount === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }

  /** As `begin`. Resolves once the blob is durable and in the index. @throws CacheError `busy`, `disk_full`, `unavailable`, `cancelled`. */
  put(digest: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.begin(digest, bytes, (failure) => (failure === undefined ? resolve() : reject(failure)), options);
    });
  }

  /**
   * The blob is not in the index; `bytes` are right and never change from here on. `settled` is told when it is durable and in the
   * index, or of `busy`, `disk_full`, `unavailable` or `cancelled`, and of these perhaps before this returns. Cancelling ends the
   * wait for room, and the wait for the put of somebody else; what is written is waited for.
   */
  begin(digest: Digest, bytes: Uint8Array, settled: PutSettled, options?: CallOptions): void {
    this.#openCount += 1;
    const other = this.#find(digest);
    const put = new SmallPut({ digest, bytes, settled }, this.#key, this.#entries.blobs.numberOf(this.#key));
    if (other === undefined) this.#begin(put, options);
    else void this.#beginLater(put, other, options);
  }

  /** Sets the key. */
  #find(digest: Digest): SmallPut | undefined {
    assert(this.#key.setHash(blobTag(digest.function.wireValue), digest.hash), 'a digest has a hash of its function');
    return this.#underWay.find(digest, this.#entries.blobs.numberOf(this.#key));
  }

  #begin(put: SmallPut, options?: CallOptions): void {
    this.#underWay.add(put);
    put.usedAtS = this.#nowS();
    try {
      put.place = this.#writer.appendNow(put, (outcome) => this.#settled(put, outcome));
    } catch (thrown) {
      this.#ended(put, CacheError.from(thrown));
      return;
    }
    if (put.place === undefined) void this.#appendLater(put, options);
  }

  /** Once there is room. */
  async #appendLater(put: SmallPut, options?: CallOptions): Promise<void> {
    try {
      options?.onStep?.('room in the log');
      using room = await this.#writer.claim(recordBytes(put.hash.byteLength, 0, put.logicalBytes), 'external', options);
      options?.onStep?.('sync');
      put.usedAtS = this.#nowS();
      put.place = this.#writer.append(room, put, (outcome) => this.#settled(put, outcome));
    } catch (thrown) {
      this.#ended(put, CacheError.from(thrown));
    }
  }

  /** Once somebody else's put of the same blob has failed without being tried; else it ends as that one. */
  async #beginLater(put: SmallPut, other: SmallPut, options?: CallOptions): Promise<void> {
    for (let before: SmallPut | undefined = other; before !== undefined; before = this.#find(put.digest)) {
      const failure = await failureOf(unlessCancelled(before.end, 'another put of the same blob was waited for', options));
      // Cancelled was the other call, which was first and had to wait for room: then it is our turn.
      if (failure?.kind === 'cancelled' && options?.signal?.aborted !== true) continue;
      this.#told(put, failure);
      return;
    }
    this.#begin(put, options);
  }

  #settled(put: SmallPut, outcome: SyncOutcome): void {
    if (outcome.kind === 'failed') return this.#ended(put, notDurable(outcome.cause));
    try {
      this.#index(put);
    } catch (thrown) {
      this.#ended(put, CacheError.from(thrown)); // others wait for what is told in the same pass
      return;
    }
    this.#ended(put, undefined);
  }

  /** It is durable. */
  #index({ place, functionNumber, hash, logicalBytes: sizeBytes, usedAtS }: SmallPut): void {
    assert(place !== undefined, 'what is durable has a place');
    this.#written(place);
    this.#key.setBytes(blobTag(functionNumber), hash);
    this.#entries.put(this.#entries.blobs, this.#key, { segment: place.segment, offset: place.offset, sizeBytes, usedAtS, sequence: 0, isFile: false, isPointer: false, isVerified: true });
  }

  /** Also where a mistake of ours came in between: nobody waits for it for ever, and it is told once. */
  #ended(put: SmallPut, failure: CacheError | undefined): void {
    if (put.isOver) return;
    put.isOver = true;
    this.#underWay.remove(put);
    this.#told(put, failure);
  }

  #told(put: SmallPut, failure: CacheError | undefined): void {
    put.tell(failure);
    this.#openCount -= 1;
    if (this.#openCount === 0) this.#idle?.resolve();
  }
}

/** What it fails with; undefined: it does not. */
function failureOf(work: Promise<void>): Promise<CacheError | undefined> {
  return work.then(
    () => undefined,
    (thrown: unknown) => CacheError.from(thrown),
  );
}
