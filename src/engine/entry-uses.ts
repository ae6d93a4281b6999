// That an entry was used: its lease begins again, and it is told to the log of uses. Both only where a third of the lease is
// gone, since most of what is used was used a moment before.
import { assert } from '../base/assert.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import { useStepS } from './entry-codec.ts';
import { KeyWords } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { UseLog } from './use-log.ts';

/** Of what has to be remembered at all, as a part of the lease. */
const renewedShare = 1 / 3;

/**
 * How old the known use of an entry may be before the next one counts. What is kept for a lease of `leaseS` from its known use on
 * must be kept for so much longer.
 * @param ageMaxS what is not used for so long goes; 0: no limit.
 */
export function renewAfterS(leaseS: number, ageMaxS: number): number {
  const shorterS = ageMaxS === 0 ? leaseS : Math.min(leaseS, ageMaxS);
  return Math.max(useStepS, Math.floor(shorterS * renewedShare));
}

export class EntryUses {
  readonly #entries: LiveEntries;
  #useLog: Pick<UseLog, 'note'> | undefined;
  readonly #renewAfterS: number;
  readonly #key = new KeyWords();

  constructor(entries: LiveEntries, renewAfterS: number) {
    assert(renewAfterS >= useStepS, 'times of use are not known any better');
    this.#entries = entries;
    this.#renewAfterS = renewAfterS;
  }

  /** Uses are told to the log of uses from here on. */
  begin(useLog: Pick<UseLog, 'note'>): void {
    this.#useLog = useLog;
  }

  /** What was used after that and used again now tells nothing new, as `BlobIndex.wasUsedAfter` has it. */
  knownAfterS(nowS: number): number {
    return nowS - this.#renewAfterS;
  }

  /** It was used now. */
  note(index: BlobIndex, slot: Slot, nowS: number): void {
    if (index.wasUsedAfter(slot, nowS - this.#renewAfterS)) return; // nearly always
    const usedAtS = index.usedAtS(slot);
    if (nowS - usedAtS < this.#renewAfterS && index.wasTouched(slot)) {
      if (!index.wasUsed(slot)) index.setUsed(slot, usedAtS); // moved since: what is used goes another round
      return;
    }
    if (!this.#entries.use(index, slot, nowS)) return;
    index.keyOf(slot, this.#key);
    this.#useLog?.note(this.#key.words[0] ?? 0, this.#key.words[1] ?? 0, nowS);
  }

  /** As `note`, if there is such an entry. */
  noteKey(index: BlobIndex, words: Uint32Array, tag: number, nowS: number): void {
    this.#key.words.set(words);
    this.#key.tag = tag;
    const slot = index.find(this.#key);
    if (slot !== -1) this.note(index, slot, nowS);
  }
}
