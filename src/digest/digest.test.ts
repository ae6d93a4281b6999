// What a digest may be, and what names it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Digest, digestKey } from './digest.ts';
import { blake3, digestFunctions, md5, sha256 } from './digest-function.ts';

const refused = { code: 'invalid_argument' };

describe('Digest', () => {
  it('DG-1: takes lower-case hex of the full length, and nothing else', () => {
    for (const row of digestFunctions) {
      const hash = 'ab'.repeat(row.hashBytes);
      assert.equal(Digest.parse(row, hash, 1).hash, hash);
      for (const wrong of [hash.toUpperCase(), hash.slice(1), `${hash}0`, '', `g${hash.slice(1)}`, ` ${hash.slice(1)}`, `${hash.slice(1)}\n`, `é${hash.slice(1)}`]) {
        assert.throws(() => Digest.parse(row, wrong, 1), refused, `${row.name} ${JSON.stringify(wrong)}`);
      }
    }
  });

  it('DG-1: the refusal shows the hash, the length wanted, and no more than a line of it', () => {
    assert.throws(() => Digest.parse(sha256, 'ABC', 1), ({ message }: Error) => ['"ABC"', 'SHA256', '64', '3'].every((fact) => message.includes(fact)));
    assert.throws(() => Digest.parse(sha256, 'a'.repeat(100_000), 1), (thrown: Error) => thrown.message.length < 400);
  });

  it('DG-1: takes sizes from 0 to 2^53 - 1, as numbers or int64', () => {
    const hash = 'ab'.repeat(32);
    for (const size of [1, 2 ** 53 - 1, 1n, 2n ** 53n - 1n]) assert.equal(Digest.parse(sha256, hash, size).sizeBytes, Number(size));
    for (const size of [-1, -1n, 2 ** 53, 2n ** 53n, 2n ** 63n - 1n, 0.5, NaN, Infinity]) assert.throws(() => Digest.parse(sha256, hash, size), refused, String(size));
  });

  it('DG-6: size 0 belongs to the empty hash, and the empty hash to size 0', () => {
    for (const row of digestFunctions) {
      assert.equal(Digest.parse(row, row.emptyHash, 0n).key, Digest.empty(row).key);
      assert.throws(() => Digest.parse(row, row.emptyHash, 1), refused);
      assert.throws(() => Digest.parse(row, 'ab'.repeat(row.hashBytes), 0), refused);
    }
    assert.throws(() => Digest.parse(blake3, sha256.emptyHash, 0), refused, 'empty under another function');
  });

  it('is made from bytes', () => {
    const bytes = Buffer.from('abc');
    assert.equal(String(Digest.of(bytes)), 'sha256/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/3');
    for (const row of digestFunctions) assert.equal(Digest.of(bytes, row).hash, row.hashHex(bytes));
  });

  it('DG-4: the same hash under two functions has two keys; the size is no part of the key', () => {
    const hash = 'ab'.repeat(32);
    assert.notEqual(digestKey(sha256, hash), digestKey(blake3, hash));
    assert.equal(Digest.parse(sha256, hash, 1).key, Digest.parse(sha256, hash, 2).key);
    assert.equal(new Set(digestFunctions.map((row) => digestKey(row, 'ab'.repeat(row.hashBytes)))).size, digestFunctions.length);
    assert.equal(digestKey(md5, 'ab'.repeat(16)), `md5/${'ab'.repeat(16)}`);
  });
});
