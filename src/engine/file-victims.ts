// Which large file goes next: one that is older than is allowed, else SIEVE's victim, looked for a thousand or so at a time, and held until
// it is evicted, or used after all.
import type { NextTurn } from '../base/clock.ts';
import { AgedFiles } from './aged-files.ts';
import type { AgedLook } from './aged-files.ts';
import { useStepS } from './entry-codec.ts';
import type { Slot } from './blob-index.ts';
import { digestText } from './digest-text.ts';
import { KeyWords, functionNumberOf } from './key-words.ts';
import type { LeaseBook } from './lease-book.ts';
import type { LiveEntries } from './live-entries.ts';
import type { KeyPrefix, SieveLook, SieveOrder } from './sieve-order.ts';

/** See LargeFiles. */
export interface EvictableFiles {
  remove(slot: Slot, reason: 'evicted', mayGo: (slot: Slot) => boolean): Promise<boolean>;
  isHeld(key: KeyWords): boolean;
}

export interface FileVictimsPorts {
  readonly order: SieveOrder;
  readonly entries: LiveEntries;
  readonly files: EvictableFiles;
  readonly leases: Pick<LeaseBook, 'isPinned' | 'unpinnedCount'>;
  readonly nowS: () => number;
  readonly nextTurn: NextTurn;
}

/** The file that goes next. */
export interface FileVictim {
  /** Function and hash, as far as the key has it: the first 32 bytes. */
  readonly digest: string;
  readonly usedAtS: number;
  readonly sizeBytes: number;
}

/** In one turn of the loop: about a millisecond, each in memory that nobody has touched for long. */
const looksMax = 1_024;

export class FileVictims {
  readonly #ports: FileVictimsPorts;
  readonly #aged: AgedFiles;
  readonly #key = new KeyWords();
  #victim: KeyPrefix | undefined;
  /** With a lower floor of leases none is found, unless something was unpinned since. */
  #noneBelowS = -Infinity;
  #unpinnedCount = 0;

  constructor(ports: FileVictimsPorts) {
    this.#ports = ports;
    this.#aged = new AgedFiles(ports.order);
  }

  /**
   * Undefined: every file is leased, pinned or held, or there is none. What is found stays found until it is evicted or used.
   * @param ageFloorS what was not used since is too old, and goes first; -Infinity: nothing is.
   */
  async find(leaseFloorS: number, ageFloorS = -Infinity): Promise<FileVictim | undefined> {
    const aged = await this.#findAged(leaseFloorS, ageFloorS);
    const held = aged ?? this.#held(leaseFloorS);
    if (held !== undefined) return held;
    const { order, leases, nowS, nextTurn } = this.#ports;
    if (leaseFloorS < this.#noneBelowS && leases.unpinnedCount === this.#unpinnedCount) return undefined;
    this.#unpinnedCount = leases.unpinnedCount;
    // What comes from now on was used now or later.
    const untilS = Math.min(Math.ceil(leaseFloorS / useStepS) * useStepS, nowS());
    // Twice around: the first round takes the marks of use away.
    for (let looks = 2 * order.count; looks > 0; looks -= looksMax) {
      this.#victim = order.victim((low, high) => this.#look(low, high, leaseFloorS), Math.min(looks, looksMax));
      const found = this.#held(leaseFloorS);
      if (found !== undefined) return found;
      await nextTurn();
    }
    this.#noneBelowS = untilS + 1;
    return undefined;
  }

  /**
   * Evicts what `find` found. The entry is looked at before this returns. Undefined: it was used, pinned or gone by then.
   * Resolves when its name is durably gone. @throws CacheError `unavailable`.
   */
  async evict(leaseFloorS: number): Promise<FileVictim | undefined> {
    const victim = this.#held(leaseFloorS);
    const prefix = this.#victim;
    this.#victim = undefined;
    if (victim === undefined || prefix === undefined) return undefined;
    const slot = this.#ports.entries.blobs.findPrefix(prefix.low, prefix.high);
    try {
      // In this order: a pin that ends by being asked for is a use.
      if (await this.#ports.files.remove(slot, 'evicted', (at) => !this.#isPinned(at) && !this.#ports.entries.blobs.wasUsed(at))) return victim;
    } catch (thrown) {
      this.#keep(prefix);
      throw thrown;
    }
    this.#keep(prefix);
    return undefined;
  }

  async #findAged(leaseFloorS: number, ageFloorS: number): Promise<FileVictim | undefined> {
    const { nowS, nextTurn } = this.#ports;
    while (this.#aged.isDue(nowS(), ageFloorS)) {
      const held = this.#held(leaseFloorS);
      if (held !== undefined && held.usedAtS < ageFloorS) return held;
      const found = this.#aged.step({ nowS: nowS(), ageFloorS }, looksMax, (low, high) => this.#usedAtS(low, high), (low, high) => this.#lookAged(low, high, leaseFloorS));
      if (found !== undefined) {
        if (this.#victim !== undefined) this.#keep(this.#victim);
        this.#victim = found;
      } else await nextTurn();
    }
    return undefined;
  }

  #usedAtS(low: number, high: number): number | undefined {
    const slot = this.#fileAt(low, high);
    return slot === -1 ? undefined : this.#ports.entries.blobs.usedAtS(slot);
  }

  /** A use that is too long ago does not count any more, whether the hand has come by since or not. */
  #lookAged(low: number, high: number, leaseFloorS: number): AgedLook {
    const { blobs } = this.#ports.entries;
    const slot = this.#fileAt(low, high);
    const wasUsed = slot !== -1 && blobs.wasUsed(slot);
    if (wasUsed) blobs.clearUsed(slot);
    const look = this.#look(low, high, leaseFloorS);
    if (look === 'take' || look === 'gone') return look;
    return 'kept';
  }

  /** What was found, if it may still go. */
  #held(leaseFloorS: number): FileVictim | undefined {
    const victim = this.#victim;
    if (victim === undefined) return undefined;
    const { blobs } = this.#ports.entries;
    const look = this.#look(victim.low, victim.high, leaseFloorS);
    if (look === 'take') {
      const slot = blobs.findPrefix(victim.low, victim.high);
      return { digest: this.#digestAt(slot), usedAtS: blobs.usedAtS(slot), sizeBytes: blobs.sizeOf(slot) };
    }
    this.#victim = undefined;
    if (look !== 'gone') this.#ports.order.append(victim.low, victim.high);
    return undefined;
  }

  /** It could not be removed: it goes to the end of the order, if it is there at all. */
  #keep(prefix: KeyPrefix): void {
    if (this.#fileAt(prefix.low, prefix.high) !== -1) this.#ports.order.append(prefix.low, prefix.high);
  }

  #look(low: number, high: number, leaseFloorS: number): SieveLook {
    const { entries, files } = this.#ports;
    const { blobs } = entries;
    const slot = this.#fileAt(low, high);
    if (slot === -1) return 'gone';
    // First: a pin that ends by being asked for is a use.
    const isPinned = this.#isPinned(slot);
    if (blobs.wasUsed(slot)) {
      blobs.clearUsed(slot);
      return 'used';
    }
    if (blobs.usedAtS(slot) >= leaseFloorS) return 'kept';
    return isPinned || files.isHeld(this.#key) ? 'kept' : 'take';
  }

  /** `this.#key` is that of the slot afterwards. */
  #isPinned(slot: Slot): boolean {
    this.#ports.entries.blobs.keyOf(slot, this.#key);
    return this.#ports.leases.isPinned(this.#key);
  }

  #digestAt(slot: Slot): string {
    const { blobs } = this.#ports.entries;
    blobs.keyOf(slot, this.#key);
    return digestText(functionNumberOf(blobs.tagOf(slot)), this.#key.hex());
  }

  #fileAt(low: number, high: number): Slot {
    const { blobs } = this.#ports.entries;
    const slot = blobs.findPrefix(low, high);
    return slot !== -1 && blobs.isFile(slot) ? slot : -1;
  }
}
