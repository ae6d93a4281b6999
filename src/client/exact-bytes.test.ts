// What whoever receives a stream sees of a source that is too short, too long, or fails.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { cut, exactly } from './exact-bytes.ts';

const refusal = (seenBytes: number): CacheError => new CacheError('invalid_argument', `${seenBytes} bytes`);

async function* pieces(...lengths: number[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const length of lengths) yield new Uint8Array(length).fill(length);
}

/** The lengths that came, and what ended them. */
async function received(bytes: AsyncIterable<Uint8Array>): Promise<readonly [lengths: number[], failure: unknown]> {
  const lengths: number[] = [];
  try {
    for await (const chunk of bytes) lengths.push(chunk.byteLength);
    return [lengths, undefined];
  } catch (thrown) {
    return [lengths, thrown instanceof CacheError ? thrown.message : thrown];
  }
}

describe('exactly', () => {
  it('passes what has the length', async () => {
    assert.deepEqual(await received(exactly(pieces(3, 4, 5), 12, refusal)), [[3, 4, 5], undefined]);
    assert.deepEqual(await received(exactly(pieces(), 0, refusal)), [[], undefined]);
  });

  it('holds the last piece back until nothing follows it', async () => {
    assert.deepEqual(await received(exactly(pieces(3, 4), 8, refusal)), [[3], '7 bytes']);
    assert.deepEqual(await received(exactly(pieces(3, 4, 1), 7, refusal)), [[3], '8 bytes']);
    const failing = (async function* () {
      yield* pieces(3, 4);
      throw new CacheError('unavailable', 'broken');
    })();
    assert.deepEqual(await received(exactly(failing, 7, refusal)), [[3], 'broken']);
  });
});

describe('cut', () => {
  for (const [skipped, length, expected] of [[0, 12, [3, 4, 5]], [3, 4, [4]], [2, 3, [1, 2]], [4, 8, [3, 5]], [11, 1, [1]], [12, 0, []]] as const) {
    it(`gives ${length} bytes after ${skipped}`, async () => assert.deepEqual(await received(cut(pieces(3, 4, 5), skipped, length)), [expected, undefined]));
  }

  it('does not read what follows', async () => {
    let pulled = 0;
    const endless = (async function* () {
      for (;;) {
        pulled += 1;
        yield new Uint8Array(10);
      }
    })();
    assert.deepEqual(await received(cut(endless, 5, 10)), [[5, 5], undefined]);
    assert.equal(pulled, 2);
  });
});
