// What is believed, for how long, and what a slow read changes; beside a plain model for any course of events.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { PageCacheGuess } from './page-cache-guess.ts';

const block = 16_384;
const mib = 1_048_576;

describe('PageCacheGuess', () => {
  it('believes what was noted, to the block, of that segment', () => {
    const guess = new PageCacheGuess(64 * mib);
    assert.equal(guess.isLikely(1, 0, 1), false);
    guess.note(1, 3 * block - 1, 2, 0);
    assert.equal(guess.isLikely(1, 3 * block - 1, 2), true);
    assert.equal(guess.isLikely(1, 2 * block, 2 * block), true);
    assert.equal(guess.isLikely(1, 2 * block - 1, 2), false);
    assert.equal(guess.isLikely(1, 4 * block - 1, 2), false);
    assert.equal(guess.isLikely(2, 2 * block, 1), false);
    guess.note(2, 64 * mib - 1, 1, 0);
    assert.equal(guess.isLikely(2, 64 * mib - block, block), true);
    guess.forget(1);
    assert.equal(guess.isLikely(1, 2 * block, 1), false);
    assert.throws(() => guess.note(1, 64 * mib, 1, 0), { name: 'AssertionError' });
  });

  it('doubts a segment for a second after the third slow read of eight, whatever is noted meanwhile', () => {
    const guess = new PageCacheGuess(64 * mib);
    for (const segment of [1, 2]) guess.note(segment, 0, 100_000, 0);
    for (let read = 0; read < 10; read += 1) guess.measured(1, 1024, 301, 1_000);
    assert.equal(guess.isLikely(1, 0, 1), true, 'a read of 1 KiB may take 301 us');
    for (const microseconds of [302, 1, 1, 1, 1, 1, 1, 1, 302, 1, 302, 1, 1, 1, 1, 1, 302]) {
      guess.measured(1, 1024, microseconds, 1_000);
      assert.equal(guess.isLikely(1, 0, 1), true, 'it may have waited for a processor');
    }
    guess.measured(1, 1024, 302, 1_000);
    assert.equal(guess.isLikely(1, 0, 1), false);
    assert.equal(guess.isLikely(2, 0, 1), true);
    guess.note(1, 0, 1, 1_999);
    assert.equal(guess.isLikely(1, 0, 1), false);
    guess.note(1, 0, 1, 2_000);
    assert.equal(guess.isLikely(1, 0, 1), true);
    assert.equal(guess.isLikely(1, block, 1), false, 'the rest is learnt again');
  });

  it('lets a large read take its time', () => {
    const guess = new PageCacheGuess(64 * mib);
    guess.note(1, 0, mib, 0);
    guess.measured(1, 256 * 1024, 550, 0);
    assert.equal(guess.isLikely(1, 0, mib), true);
  });

  it('doubts everything for a second after the eighth slow read of 32, whichever they are of', () => {
    const guess = new PageCacheGuess(64 * mib);
    for (let segment = 0; segment < 40; segment += 1) guess.note(segment, 0, 1, 0);
    for (let segment = 0; segment < 7; segment += 1) guess.measured(segment, 1, 9_000, 0);
    for (let read = 0; read < 32; read += 1) guess.measured(30, 1, 5, 0);
    for (let segment = 10; segment < 17; segment += 1) guess.measured(segment, 1, 9_000, 1_400);
    assert.equal(guess.isLikely(9, 0, 1), true, 'seven of the last 32');
    guess.measured(17, 1, 9_000, 1_400);
    assert.equal(guess.isLikely(9, 0, 1), false);
    guess.note(8, 0, 1, 2_399);
    assert.equal(guess.isLikely(9, 0, 1), false);
    guess.note(8, 0, 1, 2_400);
    assert.equal(guess.isLikely(9, 0, 1), true, 'what was believed is believed again');
  });

  it('forgets what was used longest ago, beyond what the page cache holds', () => {
    const guess = new PageCacheGuess(8 * block);
    for (let at = 0; at < 6; at += 1) guess.note(1, at * block, 1, 0);
    assert.deepEqual(believed(guess, 1, 6), [true, true, true, true, true, true]);
    guess.note(1, 0, 1, 0); // used again
    for (let at = 6; at < 9; at += 1) guess.note(1, at * block, 1, 0);
    assert.deepEqual(believed(guess, 1, 9), [true, false, false, false, true, true, true, true, true]);
    for (let at = 0; at < 8; at += 1) guess.note(2, at * block, 1, 0);
    assert.deepEqual(believed(guess, 1, 9), Array.from({ length: 9 }, () => false));
  });

  it('never believes more than its bound and a read, nor what was not noted, nor forgets what was noted just now', (t) => {
    const random = seededRandom(t);
    const blocksMax = 64;
    const guess = new PageCacheGuess(blocksMax * block);
    const noted = new Set<string>();
    for (let round = 0; round < 2_000; round += 1) {
      const segment = random.integer(0, 20);
      const first = random.integer(0, 40);
      const count = random.integer(1, 4);
      guess.note(segment, first * block, count * block, 0);
      for (let at = first; at < first + count; at += 1) noted.add(`${segment} ${at}`);
      assert.equal(guess.isLikely(segment, first * block, count * block), true);
      if (random.integer(0, 30) === 0) {
        const gone = random.integer(0, 20);
        guess.forget(gone);
        for (let at = 0; at < 50; at += 1) noted.delete(`${gone} ${at}`);
      }
      if (round % 50 !== 0) continue;
      let likely = 0;
      for (let one = 0; one <= 20; one += 1) {
        for (let at = 0; at < 50; at += 1) {
          if (!guess.isLikely(one, at * block, block)) continue;
          likely += 1;
          assert.ok(noted.has(`${one} ${at}`));
        }
      }
      assert.ok(likely <= blocksMax + 4, `${likely} blocks`);
    }
  });
});

function believed(guess: PageCacheGuess, segment: number, count: number): boolean[] {
  return Array.from({ length: count }, (_, at) => guess.isLikely(segment, at * block, 1));
}
