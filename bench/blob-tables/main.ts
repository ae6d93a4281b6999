// Measures Kiln's index of blobs and a plain table of the same entries in turns, for one round, in a process of its own:
// `main.ts ENTRIES LEAST`. LEAST is the number of entries from which on memory and pauses count.
// By CPU time, which other work on the machine disturbs least. Ends with an error when either finds what it should not.
import { randomInt } from 'node:crypto';
import { BlobIndex } from '../../src/engine/blob-index.ts';
import { KeyWords, blobTag } from '../../src/engine/key-words.ts';
import { median } from '../harness/statistics.ts';
import { PlainTable } from '../reference/plain-table.ts';
import { indexOperations } from './rounds.ts';
import type { IndexOperation, IndexRound, IndexTable } from './rounds.ts';

const [entries = 0, least = 0] = process.argv.slice(2).map(Number);
/** Both do so many before it is the other's turn: some ten milliseconds. */
const turn = Math.min(20_000, Math.ceil(entries / 10));
/** Of hits and misses in a round. */
const lookups = Math.min(1_000_000, entries);
/** How full the plain table is in the end: searches for what is absent begin to be long there. */
const plainLoad = 0.7;
/** One in so many entries is removed at the end of a round. */
const removedEvery = 4;
const tag = blobTag(1);
const nowS = 1_700_000_000;
const newEntry = { segment: 1, offset: 4_096, sizeBytes: 5_000, usedAtS: nowS, sequence: 0, isFile: false, isPointer: false, isVerified: true };

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Words that look like those of a hash; with another `series`, none that another one has. */
function setKey(words: Uint32Array, number: number, series: number): void {
  let word = number;
  for (let at = 0; at < 8; at += 1) {
    word = (Math.imul(word ^ (word >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) | 0;
    word = Math.imul(word ^ (word >>> 12), 0x297a_2d39);
    words[at] = word ^ (at === 7 ? series : 0);
  }
}

/** One round: both tables are filled, asked and emptied in part. */
class Round {
  readonly #index = new BlobIndex({ salt: [randomInt(2 ** 32), randomInt(2 ** 32)], hasSequences: false, startS: nowS });
  readonly #plain = new PlainTable(Math.ceil(entries / plainLoad));
  readonly #key = new KeyWords();
  readonly #spentMs: Record<IndexOperation, Record<IndexTable, number>> = { insert: { index: 0, plain: 0 }, hit: { index: 0, plain: 0 }, miss: { index: 0, plain: 0 }, remove: { index: 0, plain: 0 } };
  readonly #done: Record<IndexOperation, number> = { insert: 0, hit: 0, miss: 0, remove: 0 };
  readonly #growthsCpuMs: number[] = [];
  readonly #growthsWallMs: number[] = [];
  #bytesPerEntryMax = 0;
  /** So that nothing is left out as useless. */
  #sum = 0;

  run(): IndexRound {
    this.#key.tag = tag;
    this.#insertAll();
    const series = randomInt(1, 2 ** 31);
    for (let done = 0; done < lookups; done += turn) {
      const first = randomInt(2 ** 31);
      this.#inTurns('hit', turn, (table) => this.#look(table, first, 0));
      this.#inTurns('miss', turn, (table) => this.#look(table, first, series));
    }
    for (let from = 0; from < entries; from += turn * removedEvery) {
      const to = Math.min(entries, from + turn * removedEvery);
      this.#inTurns('remove', Math.ceil((to - from) / removedEvery), (table) => this.#remove(table, from, to));
    }
    this.#checkRest();
    if (Number.isNaN(this.#sum)) throw new Error('details are no numbers');
    const costs = Object.fromEntries(indexOperations.map((operation) => [operation, { index: this.#cost(operation, 'index'), plain: this.#cost(operation, 'plain') }]));
    return {
      costs: costs as IndexRound['costs'],
      bytesPerEntryMax: { index: this.#bytesPerEntryMax, plain: this.#plain.allocatedBytes / entries },
      growths: this.#growthsCpuMs.length,
      growthCpuMsMax: Math.max(0, ...this.#growthsCpuMs),
      growthWallMs: { median: this.#growthsWallMs.length === 0 ? 0 : median(this.#growthsWallMs), max: Math.max(0, ...this.#growthsWallMs) },
    };
  }

  #cost(operation: IndexOperation, table: IndexTable): number {
    return (this.#spentMs[operation][table] * 1_000) / this.#done[operation];
  }

  /** Whoever begins finds the caches as the other left them, so they take turns in that as well. */
  #inTurns(operation: IndexOperation, count: number, run: (table: IndexTable) => void): void {
    const order: readonly IndexTable[] = (this.#done[operation] / turn) % 2 < 1 ? ['index', 'plain'] : ['plain', 'index'];
    for (const table of order) {
      const beganMs = cpuMs();
      run(table);
      this.#spentMs[operation][table] += cpuMs() - beganMs;
    }
    this.#done[operation] += count;
  }

  #insertAll(): void {
    for (let from = 0, number = 0; from < entries; from += turn, number += 1) {
      const to = Math.min(entries, from + turn);
      if (number % 2 === 0) {
        this.#inTurns('insert', to - from, (table) => this.#insert(table, from, to));
      } else {
        this.#insert('plain', from, to);
        this.#insertWatched(from, to);
      }
    }
  }

  #insert(table: IndexTable, from: number, to: number): void {
    const { words } = this.#key;
    for (let number = from; number < to; number += 1) {
      setKey(words, number, 0);
      if (table === 'plain') this.#plain.insert(words, number);
      else {
        this.#index.insert(this.#key, newEntry);
        // As cheap as it can be: memory only ever grows in steps of a slab.
        if (number >= least && number % 64 === 0) this.#noteMemory();
      }
    }
  }

  /** Looks at the clocks around each insert, which costs more than most inserts: these do not count as such. */
  #insertWatched(from: number, to: number): void {
    const { words } = this.#key;
    let beforeCpuMs = cpuMs();
    let beforeMs = performance.now();
    for (let number = from; number < to; number += 1) {
      setKey(words, number, 0);
      const before = this.#index.generation;
      this.#index.insert(this.#key, newEntry);
      const [afterCpuMs, afterMs] = [cpuMs(), performance.now()];
      // The first growths are mostly the compiler's.
      if (number >= least && this.#index.generation - before > 1) {
        this.#growthsCpuMs.push(afterCpuMs - beforeCpuMs);
        this.#growthsWallMs.push(afterMs - beforeMs);
        this.#noteMemory();
      }
      [beforeCpuMs, beforeMs] = [cpuMs(), performance.now()];
    }
  }

  #noteMemory(): void {
    this.#bytesPerEntryMax = Math.max(this.#bytesPerEntryMax, this.#index.allocatedBytes / this.#index.count);
  }

  /** Random entries, and what is known of each is read; with a `series` none of them is there. */
  #look(table: IndexTable, first: number, series: number): void {
    const { words } = this.#key;
    let found = 0;
    let random = first | 1;
    for (let count = 0; count < turn; count += 1) {
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      setKey(words, (random >>> 0) % entries, series);
      // A miss differs from the first word on, or it would be found out by the key alone.
      if (series !== 0) words[0] = (words[0] ?? 0) ^ series;
      const at = table === 'index' ? this.#index.find(this.#key) : this.#plain.find(words);
      if (at === -1) continue;
      found += 1;
      this.#sum += table === 'index' ? this.#index.segmentOf(at) + this.#index.offsetOf(at) + this.#index.sizeOf(at) : this.#plain.details(at);
    }
    if (found !== (series === 0 ? turn : 0)) throw new Error(`the ${table} found ${found} of ${turn}`);
  }

  #remove(table: IndexTable, from: number, to: number): void {
    const { words } = this.#key;
    for (let number = from; number < to; number += removedEvery) {
      setKey(words, number, 0);
      if (table === 'index') this.#index.remove(this.#index.find(this.#key));
      else this.#plain.remove(this.#plain.find(words));
    }
  }

  #checkRest(): void {
    const { words } = this.#key;
    for (let number = 0; number < entries; number += 1) {
      setKey(words, number, 0);
      const isThere = this.#index.find(this.#key) !== -1;
      // The turns of removal begin at multiples of what is removed.
      if (isThere !== (number % removedEvery !== 0)) throw new Error(`entry ${number} is ${isThere ? 'still there' : 'lost'}`);
    }
  }
}

process.stdout.write(JSON.stringify(new Round().run()));
