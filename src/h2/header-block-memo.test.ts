// Repeated header blocks are recognised, and only they.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DecodedBlock } from './header-block.ts';
import { HeaderBlockMemo } from './header-block-memo.ts';

describe('HeaderBlockMemo', () => {
  const block = new DecodedBlock(['a', 'b'], 34, false);

  it('finds a block by its bytes, wherever they lie, while the table is the same', () => {
    const memo = new HeaderBlockMemo(8);
    memo.remember({ bytes: Buffer.from('xxABCxx'), from: 2, end: 5, generation: 7 }, block);
    assert.equal(memo.find(Buffer.from('ABC'), 0, 3, 7), block);
    assert.equal(memo.find(Buffer.from('..ABC'), 2, 5, 7), block);
    assert.equal(memo.find(Buffer.from('ABC'), 0, 3, 8), undefined);
    assert.equal(memo.find(Buffer.from('ABD'), 0, 3, 7), undefined);
    assert.equal(memo.find(Buffer.from('ABCD'), 0, 4, 7), undefined);
  });

  it('sees every byte, whatever the length and wherever it lies', () => {
    for (let length = 1; length <= 40; length += 1) {
      const memo = new HeaderBlockMemo(8);
      const bytes = Buffer.from(Array.from({ length: length + 3 }, (_, index) => 0x80 + index));
      memo.remember({ bytes, from: 3, end: length + 3, generation: 0 }, block);
      for (let place = 0; place < length; place += 1) {
        const moved = Buffer.concat([Buffer.from('.'), bytes.subarray(3)]).subarray(1);
        assert.equal(memo.find(moved, 0, length, 0), block, `${length} bytes`);
        moved[place] = (moved[place] ?? 0) ^ 1;
        assert.equal(memo.find(moved, 0, length, 0), undefined, `${length} bytes, another one at ${place}`);
      }
    }
  });

  it('keeps its own copy of the bytes', () => {
    const memo = new HeaderBlockMemo(8);
    const reused = Buffer.from('ABC');
    memo.remember({ bytes: reused, from: 0, end: 3, generation: 0 }, block);
    reused.fill(0);
    assert.equal(memo.find(Buffer.from('ABC'), 0, 3, 0), block);
    assert.equal(memo.find(reused, 0, 3, 0), undefined);
  });

  it('keeps no more than it may, and no block above 1,024 bytes', () => {
    const memo = new HeaderBlockMemo(4);
    const blocks = Array.from({ length: 100 }, (_, index) => Buffer.from(`block ${index}`));
    for (const bytes of blocks) memo.remember({ bytes, from: 0, end: bytes.length, generation: 0 }, block);
    assert.ok(blocks.filter((bytes) => memo.find(bytes, 0, bytes.length, 0) !== undefined).length <= 4);
    const long = Buffer.alloc(1_025);
    memo.remember({ bytes: long, from: 0, end: long.length, generation: 0 }, block);
    assert.equal(memo.find(long, 0, long.length, 0), undefined);
  });

  it('keeps no block that is short and stands for much, and not much of all together', () => {
    const memo = new HeaderBlockMemo(64);
    const blockOf = (listBytes: number): DecodedBlock => new DecodedBlock(['a', 'b'], listBytes, false);
    memo.remember({ bytes: Buffer.from('bomb'), from: 0, end: 4, generation: 0 }, blockOf(8_193));
    assert.equal(memo.find(Buffer.from('bomb'), 0, 4, 0), undefined);
    const blocks = Array.from({ length: 200 }, (_, index) => Buffer.from(`block ${index}`));
    for (const [index, bytes] of blocks.entries()) {
      memo.remember({ bytes, from: 0, end: bytes.length, generation: 0 }, blockOf(8_192));
      const kept = blocks.filter((known) => memo.find(known, 0, known.length, 0) !== undefined).length;
      assert.ok(kept >= 1 && kept <= 8, `${kept} are kept after ${index + 1}`);
    }
  });

  it('counts what takes the place of another one, and not what is gone', () => {
    const memo = new HeaderBlockMemo(1);
    for (let index = 0; index < 100; index += 1) {
      const bytes = Buffer.from(`block ${index}`);
      memo.remember({ bytes, from: 0, end: bytes.length, generation: 0 }, new DecodedBlock([], 8_192, false));
      assert.ok(memo.find(bytes, 0, bytes.length, 0) !== undefined);
    }
  });
});
