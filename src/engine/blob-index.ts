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
import type { KeyRow, MixedRow } from './key-mix.ts';
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
/** Share of the slots in use that a fill plans for: chunks differ by some hundred entries, and a few may come besides. */
const fillLoad = 0.8;
/** Keys of a fill that are mixed at once. */
export const rowKeysMax = 1_024;
/** Pages of a chunk before and after it grew. */
const narrowPages = 2;
const widePages = 3;

/** One writer and reader, in one thread. */
export class BlobIndex {
  readonly #mix: KeyMix;
  /** Packs what is inserted. */
  readonly codec: EntryCodec;
  readonly #pages: EntryPages;
  readonly #control = new ChunkControl();
  readonly #chunks: EntryChunk[] = [];
  /** For splits: of each slot, to which half its entry goes. */
  readonly #isOne = new Uint8Array(widePages * pageSlots);
  #count = 0;
  #generation = 0;
  #insertedSlot: Slot = -1;
  #isFilling = false;
  /** Of a fill. */
  readonly #row: MixedRow = { tables: new Int32Array(rowKeysMax), fingerprints: new Uint32Array(rowKeysMax) };

  constructor({ salt, hasSequences, startS }: IndexOptions) {
    this.#mix = new KeyMix(salt);
    this.codec = new EntryCodec(startS, hasSequences);
    this.#pages = new EntryPages(this.codec.recordWords);
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

  find({ words, tag }: KeyWords): Slot {
    return this.findWords(words, 0, tag);
  }

  /** As `find`, of the key in the eight words from `at` on and that tag. */
  findWords(words: Uint32Array, at: number, tag: number): Slot {
    this.#mix.of(words[at] ?? 0, words[at + 1] ?? 0);
    const number = this.#mixedChunk();
    const slot = this.#search(this.#chunk(number), words, at, tag);
    return slot < 0 ? -1 : (number << slotBits) | slot;
  }

  /** A number of 32 bits with a sign that belongs to the key as long as this index does, and that nobody foresees who chooses keys. */
  numberOf({ words }: KeyWords): number {
    this.#mix.of(words[0] ?? 0, words[1] ?? 0);
    return this.#mix.table;
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
      const at = this.codec.keyAt(slot & placeMask);
      if (found === fingerprint && page[at] === low >>> 0 && page[at + 1] === high >>> 0) return (number << slotBits) | slot;
    }
  }

  /** Adds what is not there yet: presence is a mistake of the caller. All slots become invalid but the one returned. */
  insert(key: KeyWords, entry: NewEntry): Slot {
    const there = this.insertUnlessThere(key, entry);
    assert(there === -1, 'the key is not in the index yet');
    return this.#insertedSlot;
  }

  /** -1: it was added, at `insertedSlot`. Otherwise where its key is, of which nothing has changed. All other slots become invalid. */
  insertUnlessThere({ words, tag }: KeyWords, entry: NewEntry): Slot {
    this.codec.pack(tag, entry);
    return this.insertPacked(words, 0);
  }

  /** As `insertUnlessThere`, of the key in the eight words from `at` on and the entry that `codec` has packed. */
  insertPacked(words: Uint32Array, at: number): Slot {
    this.#mix.of(words[at] ?? 0, words[at + 1] ?? 0);
    let number = this.#mixedChunk();
    while (this.#chunk(number).count >= this.#chunk(number).countMax) {
      this.#grow(number);
      this.#mix.of(words[at] ?? 0, words[at + 1] ?? 0);
      number = this.#mixedChunk();
    }
    const chunk = this.#chunk(number);
    const found = this.#search(chunk, words, at, (this.codec.packed[0] ?? 0) & 0xff);
    if (found >= 0) return (number << slotBits) | found;
    const page = chunk.pageOf(~found);
    const place = ~found & placeMask;
    // Nobody looks at the record of a free slot, so only what makes it one in use is under the lock.
    const keyAt = this.codec.keyAt(place);
    copyKey(page, keyAt, words, at);
    this.codec.write(page, keyAt + keyWords);
    if (!this.#isFilling) this.#control.begin(number);
    page[place] = this.#mix.fingerprint;
    chunk.count += 1;
    if (!this.#isFilling) this.#control.end(number);
    this.#count += 1;
    this.#generation += 1;
    this.#insertedSlot = (number << slotBits) | ~found;
    return -1;
  }

  /** Of the last insert that has added something. */
  get insertedSlot(): Slot {
    return this.#insertedSlot;
  }

  /**
   * Many entries come, about so many, and until `endFill` nobody looks in from elsewhere: there is room for them at once, and no change
   * is announced. Only while the index is empty.
   */
  beginFill(count: number): void {
    assert(this.#count === 0, 'an index that is filled was empty');
    this.#isFilling = true;
    const loaded = (pageCount: number): number => pageCount * pageSlots * fillLoad;
    let depth = 0;
    while (count > 2 ** depth * loaded(widePages) && depth < directoryDepthMax) depth += 1;
    const pageCount = count > 2 ** depth * loaded(narrowPages) ? widePages : narrowPages;
    for (const chunk of this.#chunks) chunk.end(this.#pages);
    this.#chunks.length = 0;
    for (let prefix = 0; prefix < 2 ** depth; prefix += 1) this.#addChunk(new EntryChunk(this.#pages, pageCount, { depth, prefix }));
    this.#generation += 1;
  }

  /** Before `fill`: its next keys, `rowKeysMax` at most. */
  mixRow(words: Uint32Array, row: KeyRow): void {
    this.#mix.row(words, row, this.#row);
  }

  /**
   * As `insertPacked`, of the key of that number in the row that was mixed last, which is in the words from `at` on. Said plainly, since
   * a start does it for each entry: with the mixing apart, a fill takes a sixth less. False: its key is there, and nothing has changed.
   */
  fill(words: Uint32Array, at: number, number: number): boolean {
    const { directory, depth } = this.#control;
    const chunk = this.#chunk(directory[depth === 0 ? 0 : (this.#row.tables[number] ?? 0) >>> (32 - depth)] ?? 0);
    if (!this.#isFilling || chunk.count >= chunk.countMax) return this.insertPacked(words, at) === -1;
    const fingerprint = this.#row.fingerprints[number] ?? 0;
    const { codec } = this;
    const tag = (codec.packed[0] ?? 0) & 0xff;
    const home = chunk.homeOf(fingerprint);
    let pageNumber = home >> pageSlotBits;
    for (let place = home & placeMask; ; place = 0) {
      const page = chunk.page(pageNumber);
      for (; place < pageSlots; place += 1) {
        const found = page[place];
        if (found === fingerprint && hasKey(page, codec.keyAt(place), words, at) && this.#tagAt(page, place) === tag) return false;
        if (found !== 0) continue;
        copyKey(page, codec.keyAt(place), words, at);
        codec.write(page, codec.detailsAt(place));
        page[place] = fingerprint;
        chunk.count += 1;
        this.#count += 1;
        return true;
      }
      pageNumber = chunk.nextPage(pageNumber);
    }
  }

  endFill(): void {
    this.#isFilling = false;
    this.#generation += 1;
  }

  /** Everything but the key becomes that of `entry`; it counts as not used. */
  replace(slot: Slot, entry: NewEntry): void {
    const page = this.#pageOf(slot);
    this.codec.pack(this.#tagAt(page, slot & placeMask), entry);
    this.#control.begin(slot >> slotBits);
    this.codec.write(page, this.#detailsOf(slot));
    this.#control.end(slot >> slotBits);
  }

  /** Its record stands there now; it counts as not used since. */
  moveTo(slot: Slot, segment: number, offset: number): void {
    const page = this.#pageOf(slot);
    this.codec.checkPlace(segment, offset);
    this.#control.begin(slot >> slotBits);
    this.codec.writePlace(page, this.#detailsOf(slot), segment, offset);
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
    const at = this.codec.keyAt(slot & placeMask);
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
    return this.codec.sizeBytes(this.#pageOf(slot), this.#detailsOf(slot));
  }

  /** Rounded up to a multiple of 16. */
  usedAtS(slot: Slot): number {
    return this.codec.usedAtS(this.#pageOf(slot), this.#detailsOf(slot));
  }

  sequenceOf(slot: Slot): number {
    return this.codec.sequence(this.#pageOf(slot), this.#detailsOf(slot));
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

  /** In one look, for every blob that is asked for: it was used later than that, and since it was written or moved. */
  wasUsedAfter(slot: Slot, timeS: number): boolean {
    const page = this.#pageOf(slot);
    const at = this.#detailsOf(slot);
    return ((page[at + 1] ?? 0) & (usedFlag | touchedFlag)) === (usedFlag | touchedFlag) && this.codec.usedAtS(page, at) > timeS;
  }

  /**
   * In one look, for each blob of a long list: whether it has that size, and if so whether it was used later than that as by
   * `wasUsedAfter`.
   */
  look(slot: Slot, sizeBytes: number, timeS: number): 'other size' | 'used' | 'to be used' {
    const page = this.#pageOf(slot);
    const at = this.#detailsOf(slot);
    if (this.codec.sizeBytes(page, at) !== sizeBytes) return 'other size';
    return ((page[at + 1] ?? 0) & (usedFlag | touchedFlag)) === (usedFlag | touchedFlag) && this.codec.usedAtS(page, at) > timeS ? 'used' : 'to be used';
  }

  setVerified(slot: Slot): void {
    this.#setFlags(slot, verifiedFlag, 0);
  }

  setUsed(slot: Slot, usedAtS: number): void {
    this.codec.writeUse(this.#pageOf(slot), this.#detailsOf(slot), usedAtS);
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

  /** As `slotsOf`, of files alone: a start looks for them among all entries. */
  filesOf(chunk: number): readonly Slot[] {
    const slots: Slot[] = [];
    for (const [number, page] of this.#chunk(chunk).pages.entries()) {
      for (let place = 0, at = this.codec.detailsAt(0) + 1; place < pageSlots; place += 1, at += this.codec.recordWords) {
        if (((page[at] ?? 0) & fileFlag) !== 0 && page[place] !== 0) slots.push((chunk << slotBits) | (number << pageSlotBits) | place);
      }
    }
    return slots;
  }

  /** Even while nothing changes the chunk; see chunk-control.ts. */
  versionOf(chunk: number): number {
    return this.#control.version(chunk);
  }

  /** The slot of the key that was mixed last, in its chunk, or ~ of the free one where it would go. Its words begin at `at`. */
  #search(chunk: EntryChunk, words: Uint32Array, at: number, tag: number): number {
    const fingerprint = this.#mix.fingerprint >>> 0;
    const home = chunk.homeOf(fingerprint);
    let pageNumber = home >> pageSlotBits;
    // Page by page: most searches end in the one they begin in.
    for (let place = home & placeMask; ; place = 0) {
      const page = chunk.page(pageNumber);
      for (; place < pageSlots; place += 1) {
        const found = page[place];
        if (found === 0) return ~((pageNumber << pageSlotBits) | place);
        if (found === fingerprint && hasKey(page, this.codec.keyAt(place), words, at) && this.#tagAt(page, place) === tag) return (pageNumber << pageSlotBits) | place;
      }
      pageNumber = chunk.nextPage(pageNumber);
    }
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
    return this.codec.detailsAt(slot & placeMask);
  }

  #tagAt(page: EntryPage, place: number): number {
    return (page[this.codec.detailsAt(place)] ?? 0) & 0xff;
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
        const at = this.codec.keyAt(place);
        this.#mix.of(page[at] ?? 0, page[at + 1] ?? 0);
        const bit = (this.#mix.table >>> shift) & 1;
        this.#isOne[number * pageSlots + place] = bit;
        ones += bit;
      }
    }
    return ones;
  }
}

/** Whether the key at `place` of the page is that in the words from `at` on. */
function hasKey(page: EntryPage, place: number, words: Uint32Array, at: number): boolean {
  return (
    page[place] === words[at] && page[place + 1] === words[at + 1] && page[place + 2] === words[at + 2] && page[place + 3] === words[at + 3] &&
    page[place + 4] === words[at + 4] && page[place + 5] === words[at + 5] && page[place + 6] === words[at + 6] && page[place + 7] === words[at + 7]
  );
}

/** Word by word: of so few, a loop takes longer. */
function copyKey(page: EntryPage, to: number, words: Uint32Array, at: number): void {
  page[to] = words[at] ?? 0;
  page[to + 1] = words[at + 1] ?? 0;
  page[to + 2] = words[at + 2] ?? 0;
  page[to + 3] = words[at + 3] ?? 0;
  page[to + 4] = words[at + 4] ?? 0;
  page[to + 5] = words[at + 5] ?? 0;
  page[to + 6] = words[at + 6] ?? 0;
  page[to + 7] = words[at + 7] ?? 0;
}
