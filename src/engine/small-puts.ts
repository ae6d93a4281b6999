// Puts of blobs that are records. One record for all who put the same blob at the same time: they wait for the same sync.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { unlessCancelled } from '../base/unless-cancelled.ts';
import type { Digest, DigestKey } from '../digest/digest.ts';
import { KeyWords, blobTag } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { RoomClaim } from './log-claims.ts';
import type { LogWriter } from './log-writer.ts';
import { notDurable } from './not-durable.ts';
import { recordBytes } from './record-codec.ts';
import type { RecordPlace } from './segment-store.ts';

export interface PutParts {
  readonly entries: LiveEntries;
  readonly writer: Pick<LogWriter, 'claim' | 'append'>;
  /** Now, in seconds since 1970. */
  readonly nowS: () => number;
  /** Told of each record that was written: its bytes are in the page cache. */
  readonly written: (place: RecordPlace) => void;
}

interface NewBlob {
  readonly digest: Digest;
  readonly hash: Buffer;
  readonly bytes: Uint8Array;
}

export class SmallPuts {
  readonly #entries: LiveEntries;
  readonly #writer: PutParts['writer'];
  readonly #nowS: () => number;
  readonly #written: PutParts['written'];
  /** Bound: the claims that the writer lets wait, and what it lets be unsynced. */
  readonly #underWay = new Map<DigestKey, Promise<void>>();
  readonly #key = new KeyWords();

  constructor({ entries, writer, nowS, written }: PutParts) {
    this.#entries = entries;
    this.#writer = writer;
    this.#nowS = nowS;
    this.#written = written;
  }

  /** Whether somebody puts the blob at the moment. */
  isUnderWay(key: DigestKey): boolean {
    return this.#underWay.has(key);
  }

  /**
   * The blob is not in the index; `bytes` are right and never change from here on. Resolves once it is durable and in the
   * index. Cancelling ends the wait for room, and the wait for the put of somebody else; what is written is waited for.
   * @throws CacheError `busy`, `disk_full`, `unavailable`, `cancelled`.
   */
  async put(digest: Digest, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    const { key } = digest;
    for (;;) {
      const other = this.#underWay.get(key);
      if (other === undefined) return this.#begin(key, { digest, hash: Buffer.from(digest.hash, 'hex'), bytes }, options);
      try {
        await unlessCancelled(other, 'another put of the same blob was waited for', options);
        return;
      } catch (thrown) {
        // Cancelled was the other call, which was first and had to wait for room: then it is our turn.
        if (!(thrown instanceof CacheError) || thrown.kind !== 'cancelled' || options?.signal?.aborted === true) throw thrown;
      }
    }
  }

  #begin(key: DigestKey, blob: NewBlob, options?: CallOptions): Promise<void> {
    const claim = this.#writer.claim(recordBytes(blob.hash.byteLength, 0, blob.bytes.byteLength), 'external', options);
    const put = isPromise(claim) ? claim.then((room) => this.#append(room, blob)) : this.#append(claim, blob);
    this.#underWay.set(key, put);
    const done = (): void => void this.#underWay.delete(key);
    put.then(done, done);
    return put;
  }

  #append(claim: RoomClaim, { digest, hash, bytes }: NewBlob): Promise<void> {
    using _room = claim;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const functionNumber = digest.function.wireValue;
    const usedAtS = this.#nowS();
    const { segment, offset, bytes: writtenBytes } = this.#writer.append(
      claim,
      { kind: 'blob', functionNumber, hash, instance: '', logicalBytes: bytes.byteLength, usedAtS, payload: bytes },
      (outcome) => {
        if (outcome.kind === 'failed') return reject(notDurable(outcome.cause));
        this.#written({ segment, offset, bytes: writtenBytes });
        this.#key.setBytes(blobTag(functionNumber), hash);
        this.#entries.put(this.#entries.blobs, this.#key, { segment, offset, sizeBytes: bytes.byteLength, usedAtS, sequence: 0, isFile: false, isPointer: false, isVerified: true });
        resolve();
      },
    );
    return promise;
  }
}
