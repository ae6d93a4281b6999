// The list of what the tests of a cache have to show (K2-11), and where each of it is shown for the store of segments: a test
// that is renamed or taken out is missed here. That they pass is for themselves to say.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const sources = join(import.meta.dirname, '..');

/** What is shown, in which file, by which test. */
const shown: readonly (readonly [topic: string, file: string, name: string])[] = [
  ['insert and get', 'testing/blob-store-conformance.ts', 'returns what was put, whole and by range'],
  ['insert of many', 'testing/blob-store-conformance.ts', 'answers putMany per blob: a bad one spoils no other'],
  ['get of many', 'testing/blob-store-conformance.ts', 'answers getMany per digest in order, duplicates each'],
  ['sizes for keys', 'testing/blob-store-conformance.ts', 'resolves a hash to its digest'],
  ['which keys are there', 'testing/blob-store-conformance.ts', 'finds missing what was not put: in order, without duplicates'],
  ['remove', 'engine/large-files.test.ts', 'forgets it and writes its tombstone in one turn, and takes its name only when that is durable'],
  ['byte limit', 'blob/engine-store.test.ts', 'evicts what was not used, and keeps what was, in far more than it has room for'],
  ['byte limit that was lowered', 'blob/engine-store.test.ts', 'comes down to a bound that was lowered, and is written to meanwhile'],
  ['low watermark', 'engine/evictor.test.ts', 'K2-13: keeps the low watermark free ahead of writes, and counts free segments as such'],
  ['count limit', 'engine/evictor-promises.test.ts', 'K2-13: keeps no more entries than allowed, and stops a little below'],
  ['time to live', 'blob/store-rules-eviction.test.ts', 'K2-07: with a limit of age alone everything goes by its age, and nothing for its size'],
  ['lease', 'engine/lease-book.test.ts', 'leases what was used within the lease'],
  ['pin', 'blob/segment-blob-store.test.ts', 'K2-04: keeps what is pinned, whatever has to go'],
  ['unpin', 'engine/lease-book.test.ts', 'K2-04: keeps what is pinned until all its pins are disposed'],
  ['pin that ends by itself', 'engine/lease-book.test.ts', 'K2-04: ends a pin that nobody ends after 120 s'],
  ['pin cap, and pins of many', 'engine/lease-book.test.ts', 'K2-04: pins a quarter of the store and no more, all of a batch or none'],
  ['pin beside eviction', 'engine/file-victims.test.ts', 'K2-04: a pin that comes between the choice and the removal keeps the file'],
  ['replacement', 'blob/store-rules-eviction.test.ts', 'K2-08: a value that is replaced gives back the one before, once, and stays one entry'],
  ['insert at start-up', 'blob/store-rules-eviction.test.ts', 'K2-06: after a start the file that was not used for longest goes first, and none before room is needed'],
  ['range', 'testing/blob-store-conformance.ts', 'K1-13: returns exactly the range asked for around powers of two'],
  ['a writer that never stops', 'engine/evictor-promises.test.ts', 'is never without room while anything unleased can go, and never above the bound by more than a segment'],
  ['concurrent stress', 'blob/store-rules.test.ts', 'K1-19: stays readable while it is leased or pinned, in a store that is written over and over'],
  ['who is told of evictions', 'engine/eviction-journal.test.ts', 'K2-10, K11-04: warns of what was used less than 120 s ago, and tells the rest at debug'],
];

describe('K2-11: the tests of a cache', () => {
  for (const [topic, file, name] of shown) {
    it(`show ${topic}`, async () => {
      const source = await readFile(join(sources, file), 'utf8');
      assert.ok(source.includes(`it('${name}'`), `${file} has no test "${name}"`);
    });
  }
});
