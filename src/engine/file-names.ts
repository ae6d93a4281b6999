// Which large file an entry of the index is. The key has the whole hash, except where it was cut: then its commit has it, or, where
// that is damaged, the name of the file.
import { assert } from '../base/assert.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { Slot } from './blob-index.ts';
import type { CutNames } from './cut-names.ts';
import { KeyWords, functionNumberOf, keyBytes } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { ReadRecord, SegmentStore } from './segment-store.ts';

export class FileNames {
  readonly #entries: LiveEntries;
  readonly #records: Pick<SegmentStore, 'readAt'>;
  readonly #cut: Pick<CutNames, 'find'>;

  constructor(entries: LiveEntries, records: Pick<SegmentStore, 'readAt'>, cut: Pick<CutNames, 'find'>) {
    this.#entries = entries;
    this.#records = records;
    this.#cut = cut;
  }

  /** The slot is looked at in this turn only. Undefined: the commit that says it is damaged or has just been moved, and there is no such file. @throws CacheError `unavailable`, `busy`. */
  digestOf(slot: Slot): MaybePromise<Digest | undefined> {
    const { blobs } = this.#entries;
    const digestFunction = functionOf(functionNumberOf(blobs.tagOf(slot)));
    const sizeBytes = blobs.sizeOf(slot);
    const key = new KeyWords();
    blobs.keyOf(slot, key);
    if (digestFunction.hashBytes <= keyBytes) return Digest.ofChecked(digestFunction, key.hex().slice(0, digestFunction.hexLength), sizeBytes);
    const place = { segment: blobs.segmentOf(slot), offset: blobs.offsetOf(slot), bytes: this.#entries.recordBytes(blobs, slot) };
    const read = this.#records.readAt(place);
    const digestIn = (record: ReadRecord | 'wrong'): MaybePromise<Digest | undefined> => {
      const hash = record === 'wrong' || record.head.kind !== 'commit' ? '' : Buffer.from(record.head.hash).toString('hex');
      return hash.startsWith(key.hex()) ? Digest.ofChecked(digestFunction, hash, sizeBytes) : this.#cut.find(key, sizeBytes);
    };
    return isPromise(read) ? read.then(digestIn) : digestIn(read);
  }
}

function functionOf(number: number): DigestFunction {
  const found = digestFunctions.find(({ wireValue }) => wireValue === number);
  assert(found !== undefined, 'an entry is of a function that is known');
  return found;
}
