// Blobs of a batch that are there already and come again. Nothing of them is written, but what was sent must be right all the
// same: whoever sends wrong bytes has to hear of it, also where somebody else sent right ones before (REAPI CAS-13).
import { CacheError } from '../base/cache-error.ts';
import type { Slot } from '../engine/blob-index.ts';
import { checkWhole } from '../engine/digest-check.ts';
import { keyBytes } from '../engine/key-words.ts';
import type { WantedBlob } from '../engine/record-reads.ts';
import type { StoreEngine } from '../engine/store-engine.ts';
import type { BlobBytes, PutResult } from './blob-store.ts';
import { sizeOfBlob } from './listed-blob.ts';

/**
 * Compares them with what is stored where that is verified and at hand, which is as good as a hash of them and costs a third of
 * it; the others are hashed. Added, and checked, in one turn of the loop: slots hold no longer.
 */
export class PresentBlobs {
  readonly #engine: StoreEngine;
  readonly #blobs: readonly BlobBytes[];
  readonly #results: PutResult[];
  /** By index of the blob. */
  readonly #slots: Slot[] = [];
  readonly #comparable: WantedBlob[] = [];
  readonly #hashed: number[] = [];

  /** @param results where a refusal goes to the index of its blob. */
  constructor(engine: StoreEngine, blobs: readonly BlobBytes[], results: PutResult[]) {
    this.#engine = engine;
    this.#blobs = blobs;
    this.#results = results;
  }

  /** The blob of that index is there, with the size of its digest. Of a hash that is longer than a key, it may be another one. */
  add(index: number, slot: Slot, blob: BlobBytes): void {
    const { blobs } = this.#engine;
    this.#slots[index] = slot;
    const { hashBytes } = (blob.listed?.digests ?? blob.digest).function;
    if (hashBytes <= keyBytes && blobs.isVerified(slot) && !blobs.isFile(slot) && blob.bytes.byteLength === sizeOfBlob(blob)) this.#comparable.push(this.#engine.wantedBlob(index, slot));
    else this.#hashed.push(index);
  }

  /** Refuses what is wrong; the rest was used now. Returns the indexes of those that are right where something else is stored. */
  check(): readonly number[] {
    const nowS = this.#engine.nowS();
    const differing: number[] = [];
    if (this.#comparable.length > 0) {
      this.#engine.compareBlobs(this.#comparable, (index) => this.#blobs[index]?.bytes, (index, isSame) => {
        if (isSame === undefined) this.#hashed.push(index);
        else if (isSame) this.#use(index, nowS);
        else differing.push(index);
      });
    }
    for (const index of this.#hashed) if (this.#isRight(index)) this.#use(index, nowS);
    return differing.filter((index) => this.#isRight(index));
  }

  #use(index: number, nowS: number): void {
    this.#engine.touchBlob(this.#slots[index] ?? -1, nowS);
  }

  #isRight(index: number): boolean {
    const blob = this.#blobs[index];
    try {
      if (blob !== undefined) checkWhole(blob.digest, blob.bytes);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof CacheError)) throw thrown;
      this.#results[index] = thrown;
      return false;
    }
  }
}
