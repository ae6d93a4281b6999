// The index beside a Map, its memory while it grows, keys that were made to harm it, and how long its slots are right.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { BlobIndex } from './blob-index.ts';
import type { Slot } from './blob-index.ts';
import type { NewEntry } from './entry-codec.ts';
import { KeyMix } from './key-mix.ts';
import { KeyWords, blobTag, valueTag } from './key-words.ts';

const startS = 1_700_000_000;
const sha256 = blobTag(1);
const salt = [0x1234_5678, 0x9abc_def0] as const;
const plainEntry: NewEntry = { segment: 1, offset: 4_096, sizeBytes: 1_000, usedAtS: startS, sequence: 0, isFile: false, isPointer: false, isVerified: false };
const slotsOfChunk = 2 ** 14;

function openIndex(options: { readonly hasSequences?: boolean; readonly salt?: readonly [number, number] } = {}): BlobIndex {
  return new BlobIndex({ salt, hasSequences: false, startS, ...options });
}

/** Key `number`: words that look like those of a hash, other ones for each number. */
function setKey(key: KeyWords, number: number, tag = sha256): KeyWords {
  let word = number | 0;
  for (let at = 0; at < 8; at += 1) {
    word = (Math.imul(word ^ (word >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) | 0;
    word = Math.imul(word ^ (word >>> 12), 0x297a_2d39);
    key.words[at] = word;
  }
  key.tag = tag;
  return key;
}

function newKey(number: number, tag?: number): KeyWords {
  return setKey(new KeyWords(), number, tag);
}

/** Times of use as the index gives them back. */
function rounded(usedAtS: number): number {
  return Math.ceil(usedAtS / 16) * 16;
}

interface Known extends NewEntry {
  readonly wasUsed: boolean;
  readonly wasTouched: boolean;
}

function entryAt(index: BlobIndex, slot: Slot): Known {
  return {
    segment: index.segmentOf(slot),
    offset: index.offsetOf(slot),
    sizeBytes: index.sizeOf(slot),
    usedAtS: index.usedAtS(slot),
    sequence: index.sequenceOf(slot),
    isFile: index.isFile(slot),
    isPointer: index.isPointer(slot),
    isVerified: index.isVerified(slot),
    wasUsed: index.wasUsed(slot),
    wasTouched: index.wasTouched(slot),
  };
}

function randomEntry(random: SeededRandom, hasSequences: boolean): NewEntry {
  return {
    segment: random.integer(0, 2 ** 24 - 1),
    offset: random.integer(0, 2 ** 24 - 1) * 8,
    sizeBytes: random.integer(0, random.pick([100, 65_536, 2 ** 42 - 1])),
    usedAtS: rounded(startS - random.integer(0, 100 * 86_400)),
    sequence: hasSequences ? random.integer(0, 2 ** 53 - 1) : 0,
    isFile: random.fraction() < 0.2,
    isPointer: random.fraction() < 0.2,
    isVerified: random.fraction() < 0.5,
  };
}

/** An index and a Map that are told the same. `setKeyOf` gives the key of a number. */
class Twin {
  readonly index: BlobIndex;
  readonly known = new Map<number, Known>();
  readonly #random: SeededRandom;
  readonly #hasSequences: boolean;
  readonly #setKeyOf: (key: KeyWords, number: number) => void;
  readonly #key = new KeyWords();

  constructor(random: SeededRandom, hasSequences: boolean, setKeyOf: (key: KeyWords, number: number) => void) {
    this.#random = random;
    this.#hasSequences = hasSequences;
    this.#setKeyOf = setKeyOf;
    this.index = openIndex({ hasSequences });
  }

  /** One operation on one of `range` keys; of those that are absent the share `growth` is added, of the others the rest goes. */
  step(range: number, growth: number): void {
    const number = this.#random.integer(0, range - 1);
    this.#setKeyOf(this.#key, number);
    const slot = this.index.find(this.#key);
    const known = this.known.get(number);
    if ((slot === -1) !== (known === undefined)) assert.fail(`key ${number}: slot ${slot}`);
    if (known === undefined) {
      if (this.#random.fraction() >= growth) return;
      const entry = randomEntry(this.#random, this.#hasSequences);
      const made = this.index.insert(this.#key, entry);
      this.known.set(number, { ...entry, wasUsed: false, wasTouched: false });
      if (made !== this.index.find(this.#key)) assert.fail(`key ${number} was inserted elsewhere`);
    } else if (this.#random.fraction() >= growth) {
      this.index.remove(slot);
      this.known.delete(number);
    } else {
      this.#check(slot, known, number);
      this.known.set(number, this.#change(slot, known));
    }
  }

  #change(slot: Slot, known: Known): Known {
    const random = this.#random;
    switch (random.integer(0, 6)) {
      case 0: {
        const { segment, offset } = randomEntry(random, false);
        this.index.moveTo(slot, segment, offset);
        return { ...known, segment, offset, wasUsed: false };
      }
      case 1: {
        const entry = randomEntry(random, this.#hasSequences);
        this.index.replace(slot, entry);
        return { ...entry, wasUsed: false, wasTouched: false };
      }
      case 2: {
        const usedAtS = rounded(startS + random.integer(0, 86_400));
        this.index.setUsed(slot, usedAtS);
        return { ...known, usedAtS, wasUsed: true, wasTouched: true };
      }
      case 3:
        this.index.setVerified(slot);
        return { ...known, isVerified: true };
      case 4:
        this.index.clearUsed(slot);
        return { ...known, wasUsed: false };
      default:
        return known;
    }
  }

  /** Field by field: comparing objects would be most of the test. */
  #check(slot: Slot, known: Known, number: number): void {
    const { index } = this;
    const isRight =
      index.segmentOf(slot) === known.segment && index.offsetOf(slot) === known.offset && index.sizeOf(slot) === known.sizeBytes &&
      index.usedAtS(slot) === known.usedAtS && index.sequenceOf(slot) === known.sequence && index.isFile(slot) === known.isFile &&
      index.isPointer(slot) === known.isPointer && index.isVerified(slot) === known.isVerified && index.wasUsed(slot) === known.wasUsed &&
      index.wasTouched(slot) === known.wasTouched &&
      index.wasUsedAfter(slot, known.usedAtS - 1) === (known.wasUsed && known.wasTouched) && !index.wasUsedAfter(slot, known.usedAtS) &&
      index.look(slot, known.sizeBytes, known.usedAtS - 1) === (known.wasUsed && known.wasTouched ? 'used' : 'to be used') &&
      index.look(slot, known.sizeBytes, known.usedAtS) === 'to be used' && index.look(slot, known.sizeBytes + 1, 0) === 'other size';
    if (!isRight) assert.deepEqual(entryAt(index, slot), known, `key ${number}`);
  }

  /** Compares all of it, both ways. */
  checkAll(): void {
    assert.equal(this.index.count, this.known.size);
    for (const [number, known] of this.known) {
      this.#setKeyOf(this.#key, number);
      const slot = this.index.find(this.#key);
      assert.notEqual(slot, -1, `key ${number} is lost`);
      this.#check(slot, known, number);
    }
    let met = 0;
    for (let chunk = 0; chunk < this.index.chunkCount; chunk += 1) {
      assert.deepEqual(this.index.filesOf(chunk), [...this.index.slotsOf(chunk)].filter((slot) => this.index.isFile(slot)));
      assert.equal(this.index.versionOf(chunk) % 2, 0);
      for (const slot of this.index.slotsOf(chunk)) {
        met += 1;
        this.index.keyOf(slot, this.#key);
        if (this.index.find(this.#key) !== slot) assert.fail(`slot ${slot} is not where its key is found`);
      }
    }
    assert.equal(met, this.known.size);
  }
}

const manyKeys = 120_000;

/** Fills and empties again and again, by way of splits. */
function compareLong(random: SeededRandom, hasSequences: boolean, operations: number): void {
  const twin = new Twin(random, hasSequences, setKey);
  const phases = [0.97, 0.5, 0.1, 0.9, 0.02];
  for (const growth of phases) {
    for (let step = 0; step < operations / phases.length; step += 1) twin.step(manyKeys, growth);
    twin.checkAll();
  }
}

/** Keys for an index with `salt` of which `wanted` holds; `salt` is what an attacker does not know. */
function grind(count: number, wanted: (mix: KeyMix) => boolean): readonly number[] {
  const mix = new KeyMix(salt);
  const key = new KeyWords();
  const found: number[] = [];
  for (let number = 0; found.length < count; number += 1) {
    const { words } = setKey(key, number);
    mix.of(words[0] ?? 0, words[1] ?? 0);
    if (wanted(mix)) found.push(number);
  }
  return found;
}

describe('BlobIndex: against a Map', () => {
  it('finds what was inserted and nothing else, in 400,000 mixed operations', (t) => compareLong(seededRandom(t), false, 400_000));
  it('does so with sequence numbers, in 200,000', (t) => compareLong(seededRandom(t), true, 200_000));

  for (const seed of [1, 2, 3, 4]) {
    it(`closes gaps over the end of a chunk, seed ${seed}`, () => {
      const random = new SeededRandom(seed);
      // All belong in the last slots, so that they stand in one row from there over the begin.
      const numbers = grind(200, ({ fingerprint }) => fingerprint >>> 20 === 0xfff);
      const twin = new Twin(random, false, (key, number) => setKey(key, numbers[number] ?? 0));
      for (let step = 0; step < 20_000; step += 1) {
        twin.step(numbers.length, step % 4_000 < 2_000 ? 0.8 : 0.4);
        if (step % 500 === 0) twin.checkAll();
      }
    });

    it(`tells keys apart that begin with the same 8 bytes, seed ${seed}`, () => {
      const twin = new Twin(new SeededRandom(seed), false, (key, number) => {
        setKey(key, number >> 3, (number & 1) === 0 ? sha256 : valueTag('opaque', 1));
        key.words[2 + (number % 6)] = number >> 1;
        key.words[0] = 7;
        key.words[1] = 7;
      });
      for (let step = 0; step < 5_000; step += 1) twin.step(100, 0.6);
      twin.checkAll();
    });
  }
});

describe('BlobIndex: memory and growth', () => {
  for (const { hasSequences, bytesMax } of [{ hasSequences: false, bytesMax: 110 }, { hasSequences: true, bytesMax: 125 }]) {
    it(`takes less than ${bytesMax} bytes for an entry at the worst moment of growth from 200,000 to 500,000, ${hasSequences ? 'with' : 'without'} sequence numbers`, () => {
      const index = openIndex({ hasSequences });
      const key = new KeyWords();
      let worst = 0;
      for (let number = 0; number < 500_000; number += 1) {
        const [before, chunks] = [index.generation, index.chunkCount];
        index.insert(setKey(key, number), plainEntry);
        const grown = index.generation - before - 1;
        assert.ok(grown <= 1 && index.chunkCount - chunks <= 1, 'an insert makes one chunk grow at most');
        if (number >= 200_000 && grown === 1) worst = Math.max(worst, index.allocatedBytes / index.count);
      }
      assert.ok(worst > 60 && worst < bytesMax, `${worst} bytes`);
    });
  }

  it('has room at once for as many as are announced, grows when more come, and takes no more memory for it', () => {
    const key = new KeyWords();
    for (const count of [0, 1, 6_000, 9_000, 40_000, 130_000]) {
      const index = openIndex();
      index.beginFill(count);
      const before = index.chunkCount;
      const allocated = index.allocatedBytes;
      for (let number = 0; number < count; number += 1) index.insert(setKey(key, number), plainEntry);
      assert.equal(index.chunkCount, before, `${count} entries: nothing was split`);
      assert.equal(index.allocatedBytes, allocated);
      assert.ok(count < 20_000 || allocated < 110 * count, `${allocated / count} bytes for each of ${count}`);
      assert.equal(index.versionOf(0), 0, 'nothing was announced');
      index.endFill();
      for (let number = count; number < 2 * count + 10; number += 1) index.insert(setKey(key, number), plainEntry);
      for (let number = 0; number < 2 * count + 10; number += 1) if (index.find(setKey(key, number)) === -1) assert.fail(`entry ${number} of ${count} is gone`);
      assert.equal(index.find(setKey(key, 2 * count + 10)), -1);
      assert.equal(index.count, 2 * count + 10);
      assert.ok(index.versionOf(0) > 0);
    }
    const index = openIndex();
    index.insert(setKey(key, 1), plainEntry);
    assert.throws(() => index.beginFill(5), AssertionError);
  });

  it('uses memory again that removals have freed', () => {
    const index = openIndex();
    const key = new KeyWords();
    const insertAll = (from: number) => {
      for (let number = from; number < from + 50_000; number += 1) index.insert(setKey(key, number), plainEntry);
    };
    insertAll(0);
    const before = index.allocatedBytes;
    for (let round = 1; round <= 4; round += 1) {
      for (let number = (round - 1) * 50_000; number < round * 50_000; number += 1) index.remove(index.find(setKey(key, number)));
      assert.equal(index.count, 0);
      insertAll(round * 50_000);
    }
    assert.ok(index.allocatedBytes <= before * 1.3, `${index.allocatedBytes} bytes after ${before}`);
  });

  it('is not harmed by keys that were ground to begin alike', () => {
    const index = openIndex();
    const key = new KeyWords();
    // More than anybody can grind: one word the same in all, the other one counted.
    for (const [sameAt, countedAt] of [[0, 1], [1, 0]] as const) {
      for (let number = 0; number < 60_000; number += 1) {
        setKey(key, number);
        key.words[sameAt] = 0;
        key.words[countedAt] = number + 1;
        index.insert(key, plainEntry);
      }
    }
    assert.ok(index.depth <= 7, `depth ${index.depth}`);
    assert.ok(index.allocatedBytes < 150 * index.count, `${index.allocatedBytes / index.count} bytes`);
  });

  it('is not harmed by keys that were ground for another salt, and would be for its own', () => {
    const numbers = grind(15_000, ({ table }) => table >>> 26 === 0);
    const [own, other] = [openIndex(), openIndex({ salt: [1, 2] })];
    for (const index of [own, other]) for (const number of numbers) index.insert(newKey(number), plainEntry);
    assert.equal(other.depth, 1);
    assert.ok(own.depth > 6, 'the keys were ground for this one');
    for (const index of [own, other]) for (const number of numbers) assert.notEqual(index.find(newKey(number)), -1);
  });
});

describe('BlobIndex: what an entry holds', () => {
  it('K2-03: keeps the largest values of all fields', () => {
    const index = openIndex({ hasSequences: true });
    const largest: NewEntry = { segment: 2 ** 24 - 1, offset: 2 ** 27 - 8, sizeBytes: 2 ** 42 - 1, usedAtS: rounded(startS), sequence: 2 ** 53 - 1, isFile: true, isPointer: true, isVerified: true };
    const slot = index.insert(newKey(1, 255), largest);
    assert.deepEqual(entryAt(index, slot), { ...largest, wasUsed: false, wasTouched: false });
    index.setUsed(slot, startS);
    index.moveTo(slot, 0, 0);
    assert.deepEqual(entryAt(index, slot), { ...largest, segment: 0, offset: 0, wasUsed: false, wasTouched: true });
    const key = new KeyWords();
    index.keyOf(slot, key);
    assert.deepEqual([...key.words, key.tag], [...newKey(1).words, 255]);
  });

  it('refuses what has no room', () => {
    const wrong: readonly Partial<NewEntry>[] = [
      { segment: 2 ** 24 }, { segment: -1 }, { segment: 0.5 }, { offset: 4_100 }, { offset: 2 ** 27 }, { offset: -8 },
      { sizeBytes: 2 ** 42 }, { sizeBytes: -1 }, { sizeBytes: 0.5 }, { sequence: 2 ** 53 }, { sequence: -1 }, { usedAtS: NaN }, 
    ];
    for (const part of wrong) {
      assert.throws(() => openIndex({ hasSequences: true }).insert(newKey(1), { ...plainEntry, ...part }), AssertionError, JSON.stringify(part));
    }
    assert.throws(() => openIndex().insert(newKey(1, 256), plainEntry), AssertionError);

    const index = openIndex();
    const slot = index.insert(newKey(1), plainEntry);
    const before = entryAt(index, slot);
    assert.throws(() => index.replace(slot, { ...plainEntry, segment: 5, sizeBytes: -1 }), AssertionError);
    assert.throws(() => index.moveTo(slot, 5, 4), AssertionError);
    assert.throws(() => index.insert(newKey(2), { ...plainEntry, offset: 4 }), AssertionError);
    assert.deepEqual(entryAt(index, slot), before, 'nothing of it was written');
    assert.equal(index.find(newKey(2)), -1);
    index.moveTo(slot, 5, 8);
  });

  it('keeps times of use in steps of 16 seconds, never earlier than they were, 388 days around the start', () => {
    const index = openIndex();
    const slot = index.insert(newKey(1), plainEntry);
    for (let second = 0; second <= 33; second += 1) {
      index.setUsed(slot, startS + second);
      assert.equal(index.usedAtS(slot), startS + Math.ceil(second / 16) * 16);
    }
    const oldestS = rounded(startS - 388 * 86_400);
    index.setUsed(slot, 0);
    assert.ok(Math.abs(index.usedAtS(slot) - oldestS) <= 16);
    index.setUsed(slot, startS + 387 * 86_400);
    assert.equal(index.usedAtS(slot), rounded(startS + 387 * 86_400));
    index.setUsed(slot, startS + 4_000 * 86_400);
    assert.ok(index.usedAtS(slot) > startS + 388 * 86_400);
  });

  it('takes one hash under two tags for two keys', () => {
    const index = openIndex();
    const [blob, value] = [newKey(1), newKey(1, valueTag('opaque', 1))];
    index.insert(blob, { ...plainEntry, segment: 1 });
    assert.equal(index.find(value), -1);
    index.insert(value, { ...plainEntry, segment: 2 });
    assert.deepEqual([blob, value].map((key) => index.segmentOf(index.find(key))), [1, 2]);
    index.remove(index.find(blob));
    assert.equal(index.find(blob), -1);
    assert.equal(index.segmentOf(index.find(value)), 2);
  });

  it('finds an entry by the first 8 bytes of its key', () => {
    const index = openIndex();
    const key = new KeyWords();
    for (let number = 0; number < 20_000; number += 1) index.insert(setKey(key, number), plainEntry);
    for (let number = 0; number < 25_000; number += 100) {
      const [low = 0, high = 0] = setKey(key, number).words;
      assert.equal(index.findPrefix(low, high), index.find(key));
      assert.equal(index.findPrefix(low | 0, high | 0), index.find(key));
      assert.equal(index.findPrefix(low, high ^ 1), -1);
    }
  });
});

describe('BlobIndex: how long a slot is right', () => {
  it('says by its generation that slots are not right any more', () => {
    const index = openIndex();
    const slot = index.insert(newKey(1), plainEntry);
    const before = index.generation;
    index.setUsed(slot, startS);
    index.moveTo(slot, 2, 8);
    index.replace(slot, plainEntry);
    index.find(newKey(2));
    assert.equal(index.generation, before, 'nothing of this moves an entry');
    const second = index.insert(newKey(2), plainEntry);
    assert.ok(index.generation > before);
    const between = index.generation;
    index.remove(second);
    assert.ok(index.generation > between);
  });

  it('refuses slots that hold nothing', () => {
    const index = openIndex();
    const slot = index.insert(newKey(1), plainEntry);
    index.remove(slot);
    const uses: readonly (() => unknown)[] = [
      () => index.remove(slot), () => index.replace(slot, plainEntry), () => index.moveTo(slot, 1, 8), () => index.setUsed(slot, startS), () => index.setVerified(slot),
      () => index.sizeOf(slot), () => index.segmentOf(slot), () => index.isFile(slot), () => index.keyOf(slot, new KeyWords()), () => index.sizeOf(-1), () => index.sizeOf(5 * slotsOfChunk),
    ];
    for (const use of uses) assert.throws(use, AssertionError, String(use));
    assert.equal(index.count, 0);
    assert.equal(index.versionOf(0) % 2, 0);
  });

  it('refuses to insert what is there, and to be changed while its slots are gone through', () => {
    const index = openIndex();
    const key = new KeyWords();
    for (let number = 0; number < 10; number += 1) index.insert(setKey(key, number), plainEntry);
    assert.throws(() => index.insert(newKey(3), plainEntry), AssertionError);
    index.insert(newKey(3, valueTag('opaque', 1)), plainEntry);
    assert.throws(() => {
      for (const slot of index.slotsOf(0)) index.remove(slot);
    }, AssertionError);
    assert.equal(index.count, 10);
  });

  it('lets a walk over all chunks meet everything that stays, whatever is added meanwhile', () => {
    const index = openIndex();
    const key = new KeyWords();
    for (let number = 0; number < 50_000; number += 1) index.insert(setKey(key, number), plainEntry);
    const met = new Set<number>();
    let added = 50_000;
    for (let chunk = 0; chunk < index.chunkCount; chunk += 1) {
      for (const slot of index.slotsOf(chunk)) {
        index.keyOf(slot, key);
        met.add(key.words[0] ?? 0);
      }
      for (const end = Math.min(added + 10_000, 150_000); added < end; added += 1) index.insert(setKey(key, added), plainEntry);
    }
    for (let number = 0; number < 50_000; number += 1) assert.ok(met.has(setKey(key, number).words[0] ?? 0), `key ${number} was not met`);
  });

  it('changes the version of the chunk whose slots it changes, twice, and of no other', () => {
    const index = openIndex();
    const key = new KeyWords();
    for (let number = 0; number < 30_000; number += 1) index.insert(setKey(key, number), plainEntry);
    const versions = () => Array.from({ length: index.chunkCount }, (_, chunk) => index.versionOf(chunk));
    const changes = (change: () => void) => {
      const before = versions();
      change();
      return versions().flatMap((version, chunk) => (version === before[chunk] ? [] : [[chunk, version - (before[chunk] ?? 0)]]));
    };
    const slot = index.find(setKey(key, 7));
    const chunk = Math.floor(slot / slotsOfChunk);
    assert.deepEqual(changes(() => index.moveTo(slot, 3, 16)), [[chunk, 2]]);
    assert.deepEqual(changes(() => index.replace(slot, plainEntry)), [[chunk, 2]]);
    assert.deepEqual(changes(() => index.remove(slot)), [[chunk, 2]]);
    assert.deepEqual(changes(() => index.insert(key, plainEntry)), [[chunk, 2]]);
    // One word each, which nobody can see half of.
    assert.deepEqual(changes(() => index.setUsed(index.find(key), startS)), []);
    assert.deepEqual(changes(() => index.find(key)), []);
  });
});
