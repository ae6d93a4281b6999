// The table of digest functions against published values, and how a request's function is found.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CacheError } from '../base/cache-error.ts';
import { seededRandom, chunked } from '../testing/seeded-random.ts';
import { nativeBlake3, portableBlake3 } from './blake3.ts';
import { blake3, digestFunctionNamed, digestFunctionOfLength, digestFunctions, resolveDigestFunction, sha256 } from './digest-function.ts';
import type { DigestFunctionName } from './digest-function.ts';

/** Published: FIPS 180-4 and RFC 1321 examples, the BLAKE3 test vectors; REAPI's enum values. */
const published: Readonly<Record<DigestFunctionName, { readonly wire: number; readonly empty: string; readonly abc: string }>> = {
  sha256: {
    wire: 1,
    empty: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    abc: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  },
  sha1: { wire: 2, empty: 'da39a3ee5e6b4b0d3255bfef95601890afd80709', abc: 'a9993e364706816aba3e25717850c26c9cd0d89d' },
  md5: { wire: 3, empty: 'd41d8cd98f00b204e9800998ecf8427e', abc: '900150983cd24fb0d6963f7d28e17f72' },
  sha384: {
    wire: 5,
    empty: '38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b',
    abc: 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
  },
  sha512: {
    wire: 6,
    empty: 'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
    abc: 'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  },
  blake3: {
    wire: 9,
    empty: 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    abc: '6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85',
  },
};

describe('digest functions', () => {
  for (const row of digestFunctions) {
    const { wire, empty, abc } = published[row.name];
    it(`DG-10: ${row.name} has the published hashes of nothing and of "abc"`, () => {
      assert.equal(row.emptyHash, empty);
      assert.equal(row.hashHex(new Uint8Array(0)), empty);
      assert.equal(row.hashHex(Buffer.from('abc')), abc);
      assert.equal(row.createHasher().hex(), empty);
      assert.deepEqual([row.wireValue, row.hexLength, row.hashBytes * 2], [wire, abc.length, abc.length]);
      assert.equal(digestFunctionNamed(row.name), row);
    });

    it(`DG-8: ${row.name} hashes bytes as they are, in whatever pieces they come`, async (t) => {
      const random = seededRandom(t);
      for (let round = 0; round < 10; round += 1) {
        const bytes = random.bytes(random.integer(0, 100_000));
        const hasher = row.createHasher();
        for await (const chunk of chunked(bytes, random)) hasher.update(chunk);
        assert.equal(hasher.hex(), row.hashHex(bytes));
      }
    });
  }

  it('serves every function that was published here', () => {
    assert.deepEqual(digestFunctions.map(({ name }) => name).toSorted(), Object.keys(published).toSorted());
    assert.equal(digestFunctions[0], sha256);
  });
});

describe('the function of a request', () => {
  it('DG-3: is the one it names, whatever the hash looks like', () => {
    for (const row of digestFunctions) {
      assert.equal(resolveDigestFunction(row.wireValue, undefined), row);
      assert.equal(resolveDigestFunction(row.wireValue, 'ab'.repeat(32)), row);
    }
  });

  it('DG-2: is told by the length of the hash when it names none; 64 digits are SHA-256, never BLAKE3', () => {
    for (const row of digestFunctions) assert.equal(resolveDigestFunction(0, row.emptyHash), row === blake3 ? sha256 : row);
    assert.equal(resolveDigestFunction(0, undefined), sha256);
    assert.equal(digestFunctionOfLength(64), sha256);
  });

  it('DG-7: is refused by name when it is not served', () => {
    for (const [wire, name] of [[4, 'VSO'], [7, 'MURMUR3'], [8, 'SHA256TREE'], [10, 'GITSHA1'], [99, '99']] as const) {
      assert.throws(() => resolveDigestFunction(wire, undefined), ({ code, message }: CacheError) => code === 'invalid_argument' && message.includes(name));
    }
    for (const length of [0, 1, 63, 65, 1000]) assert.throws(() => resolveDigestFunction(0, 'a'.repeat(length)), { code: 'invalid_argument' });
    assert.equal(digestFunctionNamed('sha256tree'), undefined);
    assert.equal(digestFunctionOfLength(63), undefined);
  });
});

describe('BLAKE3', () => {
  it('native and portable agree on many sizes, in one piece and in many', { skip: nativeBlake3 === undefined && 'no native addon for this machine' }, async (t) => {
    const random = seededRandom(t);
    const sizes = [0, 1, 63, 64, 65, 1_023, 1_024, 1_025, 2_048, 2_049, 16_384, 65_535, 65_536, 65_537, 1_000_000];
    const portable = await portableBlake3();
    for (const size of [...sizes, ...Array.from({ length: 20 }, () => random.integer(0, 50_000))]) {
      const bytes = random.bytes(size);
      const expected = portable.hex(bytes);
      assert.ok(nativeBlake3);
      assert.equal(nativeBlake3.hex(bytes), expected, `${size} bytes`);
      for (const implementation of [nativeBlake3, portable]) {
        const state = implementation.create();
        for await (const chunk of chunked(bytes, random)) state.update(chunk);
        assert.equal(state.hex(), expected, `${size} bytes in pieces`);
      }
    }
  });

  it('both have the published test vectors (input bytes count up modulo 251)', async () => {
    const portable = await portableBlake3();
    const vectors: readonly (readonly [number, string])[] = [
      [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
      [1_023, '10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11'],
      [1_024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
      [1_025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444'],
    ];
    for (const [size, expected] of vectors) {
      const bytes = Uint8Array.from({ length: size }, (_, index) => index % 251);
      assert.equal(portable.hex(bytes), expected);
      assert.equal(blake3.hashHex(bytes), expected);
    }
  });

  it('hashes a view of a buffer, not the buffer', () => {
    const buffer = Buffer.from('xxabcxx');
    assert.equal(blake3.hashHex(buffer.subarray(2, 5)), published.blake3.abc);
  });
});
