// The hand-written codec of FindMissingBlobs at its edges; hot-codecs.fuzz.test.ts compares its decoder at random.
import { create, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { findMissingBlobsRequestCodec, findMissingBlobsResponseCodec } from './find-missing-codec.ts';
import {
  FindMissingBlobsRequestSchema,
  FindMissingBlobsResponseSchema,
} from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

const sizes = [0, 1, 127, 128, 16_383, 2 ** 28, 2 ** 31 - 1, 2 ** 35, 2 ** 53 - 1];
const hashes = ['', 'ab', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'f'.repeat(112), 'f'.repeat(128), 'x'.repeat(300), 'häsh', '☺'];

describe('FindMissingBlobsRequest by hand', () => {
  it('refuses so many digests that they would fill the memory', () => {
    const emptyDigests = (count: number) => new Uint8Array(2 * count).map((_, index) => (index % 2 === 0 ? 0x12 : 0));
    assert.equal(findMissingBlobsRequestCodec.decode(emptyDigests(250_000)).digests.hashes.length, 250_000);
    assert.throws(() => findMissingBlobsRequestCodec.decode(emptyDigests(250_001)), /more than 250000 digests/);
  });

  it('tells whether all hashes are lower-case hex, so that nobody has to look again', () => {
    const ask = (...hashes: string[]) => {
      const blobDigests = hashes.map((hash) => ({ hash, sizeBytes: 1n }));
      return findMissingBlobsRequestCodec.decode(toBinary(FindMissingBlobsRequestSchema, create(FindMissingBlobsRequestSchema, { blobDigests }))).digests.lowerHex;
    };
    assert.equal(ask('0123456789abcdef', 'ff'), true);
    for (const other of ['A', 'g', '/', ':', '`', '\u0000', 'ä', '☺']) assert.equal(ask('ab', `a${other}b`, 'ab'), false, other);
  });

  it('refuses what reaches beyond its message, and what has the wrong type', () => {
    for (const hex of [
      '12050a08616263646566676869', // a hash longer than its digest
      '1203101080', // a size cut off by the end of the digest
      '0a05616263', // a name cut off by the end of the message
      '0a02c328', // not UTF-8
      '0801', // the name as a number
      '1a00', // the function as bytes
      '10ff', // a digest as a number, cut off
      '00', // field 0
      '0f', // wire type 7
      '43', // a group without an end
      '43'.repeat(200) + '44'.repeat(200), // groups nested too deep
      '1880808080808080808080808001', // more than ten bytes
    ]) {
      assert.throws(() => findMissingBlobsRequestCodec.decode(Uint8Array.from(Buffer.from(hex, 'hex'))), { name: 'WireError' }, hex);
    }
  });
});

describe('FindMissingBlobsResponse by hand', () => {
  it('encodes byte for byte what the generated code does, behind the headroom', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 2000; round += 1) {
      const missingBlobDigests = Array.from({ length: random.integer(0, 5) }, () => ({ hash: random.pick(hashes), sizeBytes: random.pick(sizes) }));
      const missing = {
        length: missingBlobDigests.length,
        hashAt: (index: number) => missingBlobDigests[index]?.hash ?? '',
        sizeAt: (index: number) => missingBlobDigests[index]?.sizeBytes ?? 0,
      };
      const headroomBytes = random.integer(0, 9);
      const [bytes] = findMissingBlobsResponseCodec.encode({ missing }, headroomBytes);
      const message = { missingBlobDigests: missingBlobDigests.map(({ hash, sizeBytes }) => ({ hash, sizeBytes: BigInt(sizeBytes) })) };
      const expected = toBinary(FindMissingBlobsResponseSchema, create(FindMissingBlobsResponseSchema, message));
      assert.deepEqual(new Uint8Array(bytes.subarray(headroomBytes)), expected);
    }
    assert.equal(findMissingBlobsResponseCodec.encode({ missing: { length: 0, hashAt: () => '', sizeAt: () => 0 } }, 5)[0].byteLength, 5);
  });
});
