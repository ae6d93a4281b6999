// Every byte that the store takes on the disk, by what it is for, and what was promised to writes that are under way. The
// only source of figures about use: nothing is summed up elsewhere, so nothing can disagree. Bytes are whole numbers, and what
// is not there cannot be taken away.
import { assert } from '../base/assert.ts';

export type SpaceCategory = 'segments' | 'free' | 'hints' | 'files' | 'uploads' | 'trash' | 'quarantine';
export const spaceCategories: readonly SpaceCategory[] = ['segments', 'free', 'hints', 'files', 'uploads', 'trash', 'quarantine'];

export interface SpaceLimits {
  /** What all of it may take; Infinity: the disk alone decides. */
  readonly maxBytes: number;
  /** What is left free on the disk whoever else writes to it. */
  readonly diskFloorBytes: number;
}

/** Room for one write. Disposing of it gives back what was not settled. */
export interface SpaceReservation extends Disposable {
  /** What is reserved now; 0 once it is settled or given back. */
  readonly bytes: number;
  /** Once: the write is on the disk and takes so many bytes, at most what was reserved; the rest is given back. */
  settle(category: SpaceCategory, bytes: number): void;
  /** False: there is no room for so many more, and nothing changed. */
  grow(bytes: number): boolean;
}

export class SpaceLedger {
  #maxBytes: number;
  readonly #diskFloorBytes: number;
  readonly #placed: Record<SpaceCategory, number> = { segments: 0, free: 0, hints: 0, files: 0, uploads: 0, trash: 0, quarantine: 0 };
  #placedBytes = 0;
  #reservedBytes = 0;
  /** What the disk has room for, our own included, as of the last look at it. */
  #diskBytes = Infinity;
  #isFloorLost = false;

  constructor({ maxBytes, diskFloorBytes }: SpaceLimits) {
    assert(maxBytes === Infinity || isBytes(maxBytes), 'the bound is a whole number of bytes');
    assert(isBytes(diskFloorBytes), 'the floor is a whole number of bytes');
    this.#maxBytes = maxBytes;
    this.#diskFloorBytes = diskFloorBytes;
  }

  /** See `SpaceLimits`. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** For a bound that follows from what a start finds, before anything was reserved. */
  setMax(maxBytes: number): void {
    assert(isBytes(maxBytes) && this.#reservedBytes === 0, 'the bound is set before anybody goes by it');
    this.#maxBytes = maxBytes;
  }

  /** Placed and reserved. It may be above the bound: after that was lowered, or when the disk fills up. */
  get usedBytes(): number {
    return this.#placedBytes + this.#reservedBytes;
  }

  get placedBytes(): number {
    return this.#placedBytes;
  }

  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** What may be used at the moment: `maxBytes`, or less when the disk has less. Not negative. */
  get boundBytes(): number {
    return Math.max(0, Math.min(this.#maxBytes, this.#diskBytes));
  }

  /** Others have filled the disk so far that its floor stays broken whatever goes of the store. As of the last look at it. */
  get isFloorLost(): boolean {
    return this.#isFloorLost;
  }

  /** What shares of the store are shares of: giving up what is promised is no use where the floor is lost. */
  get promisedBytesMax(): number {
    return this.#isFloorLost ? this.#maxBytes : this.boundBytes;
  }

  get diskFloorBytes(): number {
    return this.#diskFloorBytes;
  }

  bytesOf(category: SpaceCategory): number {
    return this.#placed[category];
  }

  /** So many bytes are on the disk, whether there was room or not: found at start, or reserved by nobody. */
  place(category: SpaceCategory, bytes: number): void {
    assert(isBytes(bytes), 'space is a whole number of bytes');
    this.#placed[category] += bytes;
    this.#placedBytes += bytes;
    assert(Number.isSafeInteger(this.usedBytes), 'space is counted exactly');
  }

  /** So many bytes are not on the disk any more. */
  remove(category: SpaceCategory, bytes: number): void {
    assert(isBytes(bytes), 'space is a whole number of bytes');
    assert(this.#placed[category] >= bytes, `no more is removed from ${category} than was placed there`);
    this.#placed[category] -= bytes;
    this.#placedBytes -= bytes;
  }

  move(from: SpaceCategory, to: SpaceCategory, bytes: number): void {
    this.remove(from, bytes);
    this.place(to, bytes);
  }

  /** Undefined: no room now. */
  tryReserve(bytes: number): SpaceReservation | undefined {
    return this.#tryAdd(bytes) ? new Reservation(bytes, { tryAdd: (more) => this.#tryAdd(more), end: (held, category, placed) => this.#end(held, category, placed) }) : undefined;
  }

  /**
   * `freeBytes` of the disk are free at the moment. Bytes that a write under way has written but not settled are in neither
   * figure, so they count twice until it is settled; that only errs to the safe side. Of the store `fixedBytes` stay whatever goes.
   */
  setFree(freeBytes: number, fixedBytes = 0): void {
    assert(freeBytes >= 0, 'a disk has no less than nothing free');
    this.#diskBytes = this.#placedBytes + Math.floor(freeBytes) - this.#diskFloorBytes;
    // What writes under way have written comes back if they end badly.
    this.#isFloorLost = this.#diskBytes + this.#reservedBytes < fixedBytes;
  }

  #tryAdd(bytes: number): boolean {
    assert(isBytes(bytes), 'space is a whole number of bytes');
    if (this.usedBytes + bytes > this.boundBytes) return false;
    this.#reservedBytes += bytes;
    assert(Number.isSafeInteger(this.usedBytes), 'space is counted exactly');
    return true;
  }

  #end(heldBytes: number, category: SpaceCategory | undefined, placedBytes: number): void {
    this.#reservedBytes -= heldBytes;
    assert(this.#reservedBytes >= 0, 'no more is given back than was reserved');
    if (category !== undefined) this.place(category, placedBytes);
  }
}

interface ReservingLedger {
  tryAdd(bytes: number): boolean;
  end(heldBytes: number, category: SpaceCategory | undefined, placedBytes: number): void;
}

class Reservation implements SpaceReservation {
  readonly #ledger: ReservingLedger;
  #bytes: number;
  #isOpen = true;

  constructor(bytes: number, ledger: ReservingLedger) {
    this.#bytes = bytes;
    this.#ledger = ledger;
  }

  get bytes(): number {
    return this.#bytes;
  }

  settle(category: SpaceCategory, bytes: number): void {
    assert(this.#isOpen, 'a reservation is settled once');
    assert(isBytes(bytes) && bytes <= this.#bytes, 'no more is settled than was reserved');
    this.#close(category, bytes);
  }

  grow(bytes: number): boolean {
    assert(this.#isOpen, 'a reservation grows until it is settled');
    if (!this.#ledger.tryAdd(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) this.#close(undefined, 0);
  }

  #close(category: SpaceCategory | undefined, placedBytes: number): void {
    const held = this.#bytes;
    this.#isOpen = false;
    this.#bytes = 0;
    this.#ledger.end(held, category, placedBytes);
  }
}

function isBytes(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
