// The directory and the rows of chunks as another thread would see them, and the pages that chunks are made of.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { EntryChunk } from './entry-chunk.ts';
import { ChunkControl, directoryDepthMax } from './chunk-control.ts';
import { EntryPages } from './entry-pages.ts';

/** A chunk of two pages that come back at once: only what it says of itself counts here. */
function chunkOf(pages: EntryPages, depth: number, prefix: number): EntryChunk {
  const chunk = new EntryChunk(pages, 2, { depth, prefix });
  chunk.end(pages);
  return chunk;
}

describe('ChunkControl', () => {
  it('leads every key to the chunk whose prefix it has, however chunks were split', () => {
    const random = new SeededRandom(3);
    const pages = new EntryPages(12);
    const control = new ChunkControl();
    const chunks = [chunkOf(pages, 0, 0)];
    const tell = (number: number) => {
      const chunk = chunks[number];
      assert.ok(chunk !== undefined);
      control.describe(number, chunk);
      control.publish(number, chunk);
    };
    tell(0);
    while (chunks.length < 1_500) {
      const number = random.integer(0, chunks.length - 1);
      const { depth, prefix } = chunks[number] ?? chunkOf(pages, 0, 0);
      if (depth >= 14) continue;
      chunks[number] = chunkOf(pages, depth + 1, prefix * 2);
      chunks.push(chunkOf(pages, depth + 1, prefix * 2 + 1));
      tell(number);
      tell(chunks.length - 1);
    }
    assert.equal(control.directory.length, 2 ** control.depth);
    for (const [place, number] of control.directory.entries()) {
      const chunk = chunks[number];
      assert.ok(chunk !== undefined);
      assert.equal(place >>> (control.depth - chunk.depth), chunk.prefix);
    }
  });

  it('tells in memory that threads can have in common what a chunk consists of, and whether it is being changed', () => {
    const pages = new EntryPages(12);
    const control = new ChunkControl();
    const chunks = Array.from({ length: 600 }, (_, number) => new EntryChunk(pages, 2 + (number % 2), { depth: 10, prefix: number }));
    for (const [number, chunk] of chunks.entries()) control.describe(number, chunk);
    for (const [number, chunk] of chunks.entries()) {
      const [version, pageCount, first, second, third, depth, prefix] = control.row(number);
      assert.deepEqual([version, depth, prefix], [0, 10, number]);
      assert.deepEqual([first, second, third].slice(0, pageCount), [...chunk.pageNumbers]);
    }
    assert.ok(control.row(599).buffer instanceof SharedArrayBuffer);
    assert.ok(control.directory.buffer instanceof SharedArrayBuffer);
    control.begin(599);
    assert.equal(control.version(599), 1);
    assert.equal(control.version(598), 0);
    assert.throws(() => control.begin(599), AssertionError);
  });

  it('refuses a directory that is too deep', () => {
    const control = new ChunkControl();
    assert.throws(() => control.publish(0, chunkOf(new EntryPages(12), directoryDepthMax + 1, 0)), AssertionError);
  });
});

describe('EntryPages', () => {
  it('gives pages that are empty, and those that came back before new ones', () => {
    const pages = new EntryPages(14);
    const taken = Array.from({ length: 40 }, () => pages.take());
    assert.equal(new Set(taken).size, 40);
    assert.equal(pages.allocatedBytes, 48 * 4_096 * 15 * 4);
    assert.equal(pages.freeCount, 8);
    for (const number of taken) pages.at(number).fill(number + 1);
    for (const number of taken) assert.ok(pages.at(number).every((word) => word === number + 1), 'pages do not overlap');
    for (const number of taken) pages.give(number);
    const again = Array.from({ length: 48 }, () => pages.take());
    assert.equal(new Set(again).size, 48);
    assert.equal(pages.allocatedBytes, 48 * 4_096 * 15 * 4);
    for (const number of again) assert.ok(pages.at(number).subarray(0, 4_096).every((word) => word === 0), 'all slots are free');
  });
});
