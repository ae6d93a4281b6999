// Where every blob, large file or value is: from a key of 32 bytes and a tag to a place on the disk, for tens of millions of them.
// Extendible hashing over chunks of two or three pages: a chunk that is full grows by a page, and one of three pages becomes two
// of two. So growing moves some ten thousand entries at a time, memory is never more than what the entries need at a load of 0.57,
// and no pause is longer than a few milliseconds. Nothing here waits, reads a clock or knows a file.
import { assert } from '../base/assert.ts';
import { EntryChunk } from './entry-chunk.ts';
import { ChunkControl, directoryDepthMax } from './chunk-control.ts';
import { EntryCodec, fileFlag, pointerFlag, touchedFlag, usedFlag, verifiedFlag } from './entry-codec.ts';
import type { NewEntry } from './entry-codec.ts';
import { KeyMix } from './key-mix.ts';
import { EntryPages, keyWords, pageSlotBits, pageSlots } from './entry-pages.ts';
import type { EntryPage } from './entry-pages.ts';
import type { KeyWords } from './key-words.ts';

/**
 * Where an entry stands: chunk << 14 | slot; -1: absent. Right until the next insert or remove, so it is not kept over an
 * await. `generation` tells whether that happened.
 */
export type Slot = number;

export interface IndexOptions {
  /** Two words of 32 bits that nobody outside can guess; others for each process. */
  readonly salt: readonly [number, number];
  /** Whether entries have sequence numbers, 8 bytes more each. */
  readonly hasSequences: boolean;
  /** Now, in seconds since 1970. */
  readonly startS: number;
}

const slotBits = 14;
const slotMask = (1 << slotBits) - 1;
const placeMask = pageSlots - 1;
/** What a Slot has room for: a thousand million entries. */
const chunksMax = 2 ** (31 - slotBits);
/** Pages of a chunk before and after it grew. */
const narrowPages = 2;
const widePages = 3;

/** One writer and reader, in one thread. */
export class BlobIndex {
  readonly #mix: KeyMix;
  readonly #entries: EntryCodec;
  readonly #pages: EntryPages;
  readonly #control = new ChunkControl();
  readonly #chunks: EntryChunk[] = [];
  /** For splits: of each slot, to which half its entry goes. */
  readonly #isOne = new Uint8Array(widePages * pageSlots);
  #count = 0;
  #generation = 0;

  constructor({ salt, hasSequences, startS }: IndexOptions) {
    this.#mix = new KeyMix(salt);
    this.#entries = new EntryCodec(startS, hasSequences);
    this.#pages = new EntryPages(this.#entries.recordWords);
    this.#addChunk(new EntryChunk(this.#pages, narrowPages, { depth: 0, prefix: 0 }));
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of all buffers, whether entries use them or not. It never shrinks. */
  get allocatedBytes(): number {
    return this.#pages.allocatedBytes + this.#control.allocatedBytes;
  }

  /** Grows whenever slots become invalid. */
  get generation(): number {
    return this.#generation;
  }

  /** Bits that the directory goes by. */
  get depth(): number {
    return this.#control.depth;
  }

  find(key: KeyWords): Slot {
    const { words, tag } = key;
    this.#mix.of(words[0] ?? 0, words[1] ?? 0);
    const number = this.#mixedChunk();
    const chunk = this.#chunk(number);
    const fingerprint = this.#mix.fingerprint >>> 0;
    const home = chunk.homeOf(fingerprint);
    let pageNumber = home >> pageSlotBits;
    // Page by page: most searches end in the one they begin in.
    for (let place = home & placeMask; ; place = 0) {
      const page = chunk.page(pageNumber);
      for (; place < pageSlots; place += 1) {
        const found = page[place];
        if (found === 0) return -1;
        if (found === fingerprint && hasKey(page, this.#entries.keyAt(place), words) && this.#tagAt(page, place) === tag) return (number << slotBits) | (pageNumber << pageSlotBits) | place;
      }
      pageNumber = chunk.nextPage(pageNumber);
    }
  }

  /** First entry whose key begins with these two words, whatever its tag; for records that keep no more of a key. */
  findPrefix(low: number, high: number): Slot {
    this.#mix.of(low, high);
    const number = this.#mixedChunk();
    const chunk = this.#chunk(number);
    const fingerprint = this.#mix.fingerprint >>> 0;
    for (let slot = chunk.homeOf(fingerprint); ; slot = chunk.next(slot)) {
      const page = chunk.pageOf(slot);
      const found = page[slot & placeMask];
      if (found === 0) return -1;
      const at = this.#entries.keyAt(slot & placeMask);
      if (found === fingerprint && page[at] === low >>> 0 && page[at + 1] === high >>> 0) return (number << slotBits) | slot;
    }
  }

  /** Adds what is not there yet: presence is a mistake of the caller. All slots become invalid but the one returned. */
  insert(key: KeyWords, entry: NewEntry): Slot {
    const { words, tag } = key;
    this.#entries.check(tag, entry);
    this.#mix.of(words[0] ?? 0, words[1] ?? 0);
    let number = this.#mixedChunk();
    while (this.#chunk(number).count >= this.#chunk(number).countMax) {
      this.#grow(number);
      this.#mix.of(words[0] ?? 0, words[1] ?? 0);
      number = this.#mixedChunk();
    }
    const chunk = this.#chunk(number);
    const fingerprint = this.#mix.fingerprint >>> 0;
    let slot = chunk.homeOf(fingerprint);
    let page = chunk.pageOf(slot);
    for (let found = page[slot & placeMask]; found !== 0; found = page[slot & placeMask]) {
      assert(found !== fingerprint || !hasKey(page, this.#entries.keyAt(slot & placeMask), words) || this.#tagAt(page, slot & placeMask) !== tag, 'the key is not in the index yet');
      slot = chunk.next(slot);
      page = chunk.pageOf(slot);
    }
    const place = slot & placeMask;
    // Nobody looks at the record of a free slot, so only what makes it one in use is under the lock.
    this.#entries.write(page, this.#entries.detailsAt(place), tag, entry);
    const at = this.#entries.keyAt(place);
    for (let word = 0; word < keyWords; word += 1) page[at + word] = words[word] ?? 0;
    this.#control.begin(number);
    page[place] = fingerprint;
    chunk.count += 1;
    this.#control.end(number);
    this.#count += 1;
    this.#generation += 1;
    return (number << slotBits) | slot;
  }

  /** Everything but the key becomes that of `entry`; it counts as not used. */
  replace(slot: Slot, entry: NewEntry): void {
    const page = this.#pageOf(slot);
    const tag = this.#tagAt(page, slot & placeMask);
    this.#entries.check(tag, entry);
    this.#control.begin(slot >> slotBits);
    this.#entries.write(page, this.#detailsOf(slot), tag, entry);
    this.#control.end(slot >> slotBits);
  }

  /** Its record stands there now; it counts as not used since. */
  moveTo(slot: Slot, segment: number, offset: number): void {
    const page = this.#pageOf(slot);
    this.#entries.checkPlace(segment, offset);
    this.#control.begin(slot >> slotBits);
    this.#entries.writePlace(page, this.#detailsOf(slot), segment, offset);
    this.clearUsed(slot);
    this.#control.end(slot >> slotBits);
  }

  /** All slots become invalid. */
  remove(slot: Slot): void {
    this.#pageOf(slot);
    const number = slot >> slotBits;
    this.#control.begin(number);
    this.#chunk(number).remove(slot & slotMask);
    this.#control.end(number);
    this.#count -= 1;
    this.#generation += 1;
  }

  keyOf(slot: Slot, into: KeyWords): void {
    const page = this.#pageOf(slot);
    const at = this.#entries.keyAt(slot & placeMask);
    for (let word = 0; word < keyWords; word += 1) into.words[word] = page[at + word] ?? 0;
    into.tag = this.#tagAt(page, slot & placeMask);
  }

  tagOf(slot: Slot): number {
    return this.#tagAt(this.#pageOf(slot), slot & placeMask);
  }

  segmentOf(slot: Slot): number {
    return (this.#pageOf(slot)[this.#detailsOf(slot)] ?? 0) >>> 8;
  }

  offsetOf(slot: Slot): number {
    return ((this.#pageOf(slot)[this.#detailsOf(slot) + 1] ?? 0) >>> 8) * 8;
  }

  sizeOf(slot: Slot): number {
    return this.#entries.sizeBytes(this.#pageOf(slot), this.#detailsOf(slot));
  }

  /** Rounded up to a multiple of 16. */
  usedAtS(slot: Slot): number {
    return this.#entries.usedAtS(this.#pageOf(slot), this.#detailsOf(slot));
  }

  sequenceOf(slot: Slot): number {
    return this.#entries.sequence(this.#pageOf(slot), this.#detailsOf(slot));
  }

  isFile(slot: Slot): boolean {
    return this.#hasFlag(slot, fileFlag);
  }

  isPointer(slot: Slot): boolean {
    return this.#hasFlag(slot, pointerFlag);
  }

  isVerified(slot: Slot): boolean {
    return this.#hasFlag(slot, verifiedFlag);
  }

  /** Used since it was written or moved. */
  wasUsed(slot: Slot): boolean {
    return this.#hasFlag(slot, usedFlag);
  }

  /** Used since it was written: its record tells an older time of use. */
  wasTouched(slot: Slot): boolean {
    return this.#hasFlag(slot, touchedFlag);
  }

  setVerified(slot: Slot): void {
    this.#setFlags(slot, verifiedFlag, 0);
  }

  setUsed(slot: Slot, usedAtS: number): void {
    this.#entries.writeUse(this.#pageOf(slot), this.#detailsOf(slot), usedAtS);
    this.#setFlags(slot, usedFlag | touchedFlag, 0);
  }

  clearUsed(slot: Slot): void {
    this.#setFlags(slot, 0, usedFlag);
  }

  /**
   * For walks over everything: chunk by chunk, from 0 on, up to the count as it is then. What a chunk loses by a split goes to
   * a new one behind all others, so such a walk meets everything that stays, and some of it twice.
   */
  get chunkCount(): number {
    return this.#chunks.length;
  }

  /** In no order that means anything. Nothing may be inserted or removed until it has ended. */
  *slotsOf(chunk: number): Generator<Slot, void, undefined> {
    const generation = this.#generation;
    for (const slot of this.#chunk(chunk).usedSlots()) {
      assert(generation === this.#generation, 'the index stays as it is while its slots are gone through');
      yield (chunk << slotBits) | slot;
    }
  }

  /** Even while nothing changes the chunk; see chunk-control.ts. */
  versionOf(chunk: number): number {
    return this.#control.version(chunk);
  }

  /** Number of the chunk where the key belongs that was mixed last. */
  #mixedChunk(): number {
    const { directory, depth } = this.#control;
    // A shift by 32 would be one by 0.
    return directory[depth === 0 ? 0 : this.#mix.table >>> (32 - depth)] ?? 0;
  }

  #chunk(number: number): EntryChunk {
    const chunk = this.#chunks[number];
    assert(chunk !== undefined, 'the index has no such chunk');
    return chunk;
  }

  /** Of a slot that is in use. */
  #pageOf(slot: Slot): EntryPage {
    const page = this.#chunk(slot >> slotBits).pageOf(slot & slotMask);
    assert(page[slot & placeMask] !== 0, 'a slot is not used after it became invalid');
    return page;
  }

  #detailsOf(slot: Slot): number {
    return this.#entries.detailsAt(slot & placeMask);
  }

  #tagAt(page: EntryPage, place: number): number {
    return (page[this.#entries.detailsAt(place)] ?? 0) & 0xff;
  }

  #hasFlag(slot: Slot, flag: number): boolean {
    return ((this.#pageOf(slot)[this.#detailsOf(slot) + 1] ?? 0) & flag) !== 0;
  }

  /** One word, so that no reader can see half of it. */
  #setFlags(slot: Slot, set: number, clear: number): void {
    const page = this.#pageOf(slot);
    const at = this.#detailsOf(slot) + 1;
    page[at] = ((page[at] ?? 0) & ~clear) | set;
  }

  #grow(number: number): void {
    if (this.#chunk(number).pages.length === narrowPages) this.#widen(number);
    else this.#split(number);
    this.#generation += 1;
  }

  #widen(number: number): void {
    const before = this.#chunk(number);
    const after = new EntryChunk(this.#pages, widePages, before);
    for (const page of before.pages) {
      for (let place = 0; place < pageSlots; place += 1) if (page[place] !== 0) after.adopt(page, place);
    }
    this.#control.begin(number);
    this.#chunks[number] = after;
    this.#control.describe(number, after);
    before.end(this.#pages);
    this.#control.end(number);
  }

  #split(number: number): void {
    const before = this.#chunk(number);
    assert(this.#chunks.length < chunksMax, 'the index has room for more chunks');
    assert(before.depth < directoryDepthMax, 'keys of the index are spread evenly');
    const depth = before.depth + 1;
    // With evenly mixed keys a half never needs more than two pages, but it must not overflow them if it did.
    const ones = this.#findOnes(before);
    const pagesFor = (count: number) => (count > before.countMax * (narrowPages / widePages) ? widePages : narrowPages);
    const zero = new EntryChunk(this.#pages, pagesFor(before.count - ones), { depth, prefix: before.prefix * 2 });
    const one = new EntryChunk(this.#pages, pagesFor(ones), { depth, prefix: before.prefix * 2 + 1 });
    for (const [number, page] of before.pages.entries()) {
      for (let place = 0; place < pageSlots; place += 1) {
        if (page[place] !== 0) (this.#isOne[number * pageSlots + place] === 1 ? one : zero).adopt(page, place);
      }
    }
    this.#control.begin(number);
    this.#chunks[number] = zero;
    this.#control.describe(number, zero);
    this.#addChunk(one);
    before.end(this.#pages);
    this.#control.end(number);
  }

  #addChunk(chunk: EntryChunk): void {
    const number = this.#chunks.length;
    this.#chunks.push(chunk);
    this.#control.describe(number, chunk);
    this.#control.publish(number, chunk);
  }

  /** Tells for each slot in use to which half its entry goes, and how many to the second. */
  #findOnes(chunk: EntryChunk): number {
    const shift = 31 - chunk.depth;
    let ones = 0;
    for (const [number, page] of chunk.pages.entries()) {
      for (let place = 0; place < pageSlots; place += 1) {
        if (page[place] === 0) continue;
        const at = this.#entries.keyAt(place);
        this.#mix.of(page[at] ?? 0, page[at + 1] ?? 0);
        const bit = (this.#mix.table >>> shift) & 1;
        this.#isOne[number * pageSlots + place] = bit;
        ones += bit;
      }
    }
    return ones;
  }
}

function hasKey(page: EntryPage, at: number, words: Uint32Array): boolean {
  return (
    page[at] === words[0] && page[at + 1] === words[1] && page[at + 2] === words[2] && page[at + 3] === words[3] &&
    page[at + 4] === words[4] && page[at + 5] === words[5] && page[at + 6] === words[6] && page[at + 7] === words[7]
  );
}
