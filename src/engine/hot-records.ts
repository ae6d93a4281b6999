// Contents of records in memory, by the place of their record, so that what is asked for often costs neither a read nor a
// checksum. What is kept was right when it was taken; whether an entry still points to that place is for the caller to ask.
import { assert } from '../base/assert.ts';

/** Beside a content: its row at the load of the table, the view of it, and its place in the list of its slab. */
export const hotRecordOverheadBytes = 256;
/** Slabs go as a whole. So many of them, up to that size each. */
const slabsLeast = 16;
const slabBytesMax = 262_144;
/** Below it there is nothing to gain. */
const slabBytesLeast = 4_096;
/** What a content may take of a slab. */
const contentShare = 1 / 4;
/** A slab of which more was asked for stays, and has another round; of others that goes on in the next slab. */
const survivingShare = 1 / 2;
/** So many stay when room is made; the next one goes whatever was asked for, so that it is made soon. */
const stayingMax = 8;
/** A bit for each place that was read once: a million, of which half are set at most. */
const seenBits = 2 ** 20;
const seenMax = seenBits / 2;
const rowsLeast = 1_024;
const loadMax = 0.5;

interface Slab {
  readonly memory: Buffer;
  usedBytes: number;
  /** Two words for each place that was taken in it. */
  readonly places: number[];
}

interface Survivor {
  readonly low: number;
  readonly high: number;
  readonly content: Uint8Array;
}

/**
 * At most `bytesMax`, in slabs that are filled one after the other. The oldest goes first, and what was asked for since it was
 * taken stays or goes on into the newest: a list of second chances (CLOCK) without an order to keep at each hit. A content is taken when
 * it is read for the second time, so whoever reads everything once flushes nothing. Nothing in a slab is ever written over:
 * who was given a content may keep it.
 *
 * A place is two words: the lower has the offset in units of 8 and 8 bits of the segment, the upper the rest of the segment
 * plus one. In typed arrays and not in a Map, which would make an object of each number that it looks up.
 */
export class HotRecords {
  readonly bytesMax: number;
  readonly #slabBytes: number;
  /** Oldest first; the last one is filled. */
  readonly #slabs: Slab[] = [];
  /** The place of each row, 0 and 0 where it is free; an open table with linear probing. */
  #places = new Int32Array(0);
  #contents: (Uint8Array | undefined)[] = [];
  /** Asked for since it was taken. */
  #isUsed = new Uint8Array(0);
  #mask = -1;
  #count = 0;
  #seen: Uint32Array | undefined;
  #seenCount = 0;

  constructor(bytesMax: number) {
    assert(bytesMax >= 0, 'a bound in bytes is not negative');
    this.bytesMax = bytesMax;
    const slabBytes = Math.min(slabBytesMax, Math.floor(bytesMax / slabsLeast));
    this.#slabBytes = slabBytes < slabBytesLeast ? 0 : slabBytes;
  }

  /** Contents that are kept. */
  get count(): number {
    return this.#count;
  }

  /** Slabs, and what each content costs beside. */
  get usedBytes(): number {
    return this.#slabs.length * this.#slabBytes + this.#count * hotRecordOverheadBytes;
  }

  /** The content of the record that stands there. Nobody writes to it. */
  get(segment: number, offset: number): Uint8Array | undefined {
    if (this.#count === 0) return undefined;
    const row = this.#rowOf(lowOf(segment, offset), highOf(segment));
    if (row < 0) return undefined;
    this.#isUsed[row] = 1;
    return this.#contents[row];
  }

  /** The record that stands there was read, and has this content, of which a copy is kept if it was read before. */
  offer(segment: number, offset: number, content: Uint8Array): void {
    const bytes = content.byteLength;
    if (bytes === 0 || bytes > this.#slabBytes * contentShare) return;
    const low = lowOf(segment, offset);
    const high = highOf(segment);
    if (!this.#wasSeen(low, high) || this.#rowOf(low, high) >= 0) return;
    let slab = this.#slabs.at(-1);
    if (slab === undefined || slab.usedBytes + bytes > this.#slabBytes) slab = this.#nextSlab();
    while (this.usedBytes + hotRecordOverheadBytes > this.bytesMax && this.#slabs.length > 1) this.#dropOldest([]);
    if (slab.usedBytes + bytes <= this.#slabBytes && this.usedBytes + hotRecordOverheadBytes <= this.bytesMax) this.#add(slab, { low, high, content });
  }

  /** Other records will stand in the segment, or none. */
  forget(segment: number): void {
    if (this.#count === 0) return;
    const [high, lowest] = [highOf(segment), lowOf(segment, 0) >>> 24];
    const gone: number[] = [];
    for (let at = 0; at < this.#places.length; at += 2) {
      const low = this.#places[at] ?? 0;
      if (this.#places[at + 1] === high && low >>> 24 === lowest) gone.push(low);
    }
    for (const low of gone) this.#remove(this.#rowOf(low, high));
    if (this.#count === 0) this.#slabs.length = 0;
  }

  /** An empty slab but for what goes on into it, for which room was made. */
  #nextSlab(): Slab {
    const survivors: Survivor[] = [];
    let staying = 0;
    while (this.usedBytes + this.#slabBytes > this.bytesMax && this.#slabs.length > 0) {
      if (staying < stayingMax && this.#stays()) staying += 1;
      else this.#dropOldest(survivors);
    }
    const slab: Slab = { memory: Buffer.allocUnsafeSlow(this.#slabBytes), usedBytes: 0, places: [] };
    this.#slabs.push(slab);
    const survivingBytes = this.#slabBytes * survivingShare;
    for (const survivor of survivors) {
      if (slab.usedBytes + survivor.content.byteLength > survivingBytes || this.usedBytes + hotRecordOverheadBytes > this.bytesMax) break;
      this.#add(slab, survivor);
    }
    return slab;
  }

  /** The oldest slab becomes the newest one, as one of which nothing was asked for yet, if enough was. */
  #stays(): boolean {
    const slab = this.#slabs[0];
    assert(slab !== undefined, 'there is an oldest slab');
    const rows: number[] = [];
    let usedBytes = 0;
    for (let at = 0; at < slab.places.length; at += 2) {
      const row = this.#rowOf(slab.places[at] ?? 0, slab.places[at + 1] ?? 0);
      if (row < 0 || this.#isUsed[row] !== 1) continue;
      rows.push(row);
      usedBytes += this.#contents[row]?.byteLength ?? 0;
    }
    if (usedBytes <= this.#slabBytes * survivingShare) return false;
    for (const row of rows) this.#isUsed[row] = 0;
    this.#slabs.push(...this.#slabs.splice(0, 1));
    return true;
  }

  #dropOldest(survivors: Survivor[]): void {
    const slab = this.#slabs.shift();
    assert(slab !== undefined, 'there is a slab to drop');
    for (let at = 0; at < slab.places.length; at += 2) {
      const [low, high] = [slab.places[at] ?? 0, slab.places[at + 1] ?? 0];
      const row = this.#rowOf(low, high);
      const content = row < 0 ? undefined : this.#contents[row];
      // Forgotten, and taken again from another record since.
      if (content === undefined || content.buffer !== slab.memory.buffer) continue;
      if (this.#isUsed[row] === 1) survivors.push({ low, high, content });
      this.#remove(row);
    }
  }

  #add(slab: Slab, { low, high, content }: Survivor): void {
    const { usedBytes } = slab;
    slab.memory.set(content, usedBytes);
    slab.usedBytes += content.byteLength;
    slab.places.push(low, high);
    if (this.#count >= (this.#mask + 1) * loadMax) this.#grow();
    const row = ~this.#rowOf(low, high);
    assert(row >= 0, 'a place is taken once');
    this.#places[2 * row] = low;
    this.#places[2 * row + 1] = high;
    this.#contents[row] = new Uint8Array(slab.memory.buffer, slab.memory.byteOffset + usedBytes, content.byteLength);
    this.#isUsed[row] = 0;
    this.#count += 1;
  }

  #wasSeen(low: number, high: number): boolean {
    this.#seen ??= new Uint32Array(seenBits / 32);
    const bit = mixed(low, high) & (seenBits - 1);
    const mask = 1 << (bit & 31);
    if (((this.#seen[bit >>> 5] ?? 0) & mask) !== 0) return true;
    if (this.#seenCount >= seenMax) {
      this.#seen.fill(0);
      this.#seenCount = 0;
    }
    this.#seen[bit >>> 5] = (this.#seen[bit >>> 5] ?? 0) | mask;
    this.#seenCount += 1;
    return false;
  }

  /** ~ of the free row where it would be, if it is not there. */
  #rowOf(low: number, high: number): number {
    const places = this.#places;
    const mask = this.#mask;
    if (mask < 0) return -1;
    for (let row = mixed(low, high) & mask; ; row = (row + 1) & mask) {
      const found = places[2 * row + 1];
      if (found === high && places[2 * row] === low) return row;
      if (found === 0) return ~row;
    }
  }

  /** Closes the gap: what a search would no longer find behind it moves up. */
  #remove(row: number): void {
    assert(row >= 0, 'what is removed is there');
    const places = this.#places;
    const mask = this.#mask;
    let hole = row;
    for (let from = (row + 1) & mask; places[2 * from + 1] !== 0; from = (from + 1) & mask) {
      const home = mixed(places[2 * from] ?? 0, places[2 * from + 1] ?? 0) & mask;
      if (((from - home) & mask) < ((from - hole) & mask)) continue; // a search for it begins behind the hole
      places[2 * hole] = places[2 * from] ?? 0;
      places[2 * hole + 1] = places[2 * from + 1] ?? 0;
      this.#contents[hole] = this.#contents[from];
      this.#isUsed[hole] = this.#isUsed[from] ?? 0;
      hole = from;
    }
    places[2 * hole] = 0;
    places[2 * hole + 1] = 0;
    this.#contents[hole] = undefined;
    this.#count -= 1;
  }

  #grow(): void {
    const [places, contents, isUsed] = [this.#places, this.#contents, this.#isUsed];
    const rows = Math.max(rowsLeast, 2 * (this.#mask + 1));
    this.#mask = rows - 1;
    this.#places = new Int32Array(2 * rows);
    this.#contents = new Array<Uint8Array | undefined>(rows).fill(undefined);
    this.#isUsed = new Uint8Array(rows);
    for (let before = 0; before < isUsed.length; before += 1) {
      const [low, high] = [places[2 * before] ?? 0, places[2 * before + 1] ?? 0];
      if (high === 0) continue;
      const row = ~this.#rowOf(low, high);
      this.#places[2 * row] = low;
      this.#places[2 * row + 1] = high;
      this.#contents[row] = contents[before];
      this.#isUsed[row] = isUsed[before] ?? 0;
    }
  }
}

/** Records stand at multiples of 8 below 128 MiB, and the ordinal of a segment has 24 bits. */
function lowOf(segment: number, offset: number): number {
  return (offset >>> 3) | (segment << 24);
}

/** Never 0. */
function highOf(segment: number): number {
  return (segment >>> 8) + 1;
}

/** Neighbours are spread: they are some hundred units apart as often as not. */
function mixed(low: number, high: number): number {
  const mix = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  return mix ^ (mix >>> 15);
}
