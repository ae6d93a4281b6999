// The hand-written codec of FindMissingBlobs against the generated one, as its oracle.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { findMissingBlobsRequestCodec, findMissingBlobsResponseCodec } from './find-missing-codec.ts';
import {
  DigestSchema,
  FindMissingBlobsRequestSchema,
  FindMissingBlobsResponseSchema,
} from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { DigestFunction_Value } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

const sizes = [0n, 1n, 127n, 128n, 16_383n, 1n << 28n, (1n << 31n) - 1n, 1n << 35n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, -1n, -(2n ** 63n)];
const hashes = ['', 'ab', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'f'.repeat(112), 'f'.repeat(128), 'x'.repeat(300), 'häsh', '☺'];

function digests(random: SeededRandom) {
  return Array.from({ length: random.integer(0, 5) }, () => create(DigestSchema, { hash: random.pick(hashes), sizeBytes: random.pick(sizes) }));
}

/** An encoding that other encoders may produce: with unknown fields, fields twice, and in another order. */
function encoding(random: SeededRandom): Uint8Array {
  const parts = Array.from({ length: random.integer(1, 4) }, () =>
    random.integer(0, 3) === 0
      ? random.pick([
          Uint8Array.of(0x20, 0x96, 0x01), // field 4, varint
          Uint8Array.of(0x2a, 2, 1, 2), // field 5, bytes
          Uint8Array.of(0x31, 1, 2, 3, 4, 5, 6, 7, 8), // field 6, fixed64
          Uint8Array.of(0x3d, 1, 2, 3, 4), // field 7, fixed32
          Uint8Array.of(0x43, 0x08, 1, 0x44), // field 8, group
          Uint8Array.of(0x82, 0x7d, 1, 7), // field 2000, bytes
        ])
      : toBinary(
          FindMissingBlobsRequestSchema,
          create(FindMissingBlobsRequestSchema, {
            instanceName: random.pick(['', 'main', 'ä/b']),
            blobDigests: digests(random),
            digestFunction: random.pick([0, 1, 9, 1000, -1]) as DigestFunction_Value,
          }),
        ),
  );
  return new Uint8Array(Buffer.concat(parts));
}

const generated = (bytes: Uint8Array) => fromBinary(FindMissingBlobsRequestSchema, bytes, { readUnknownFields: false });

describe('FindMissingBlobsRequest by hand', () => {
  it('decodes what any encoder writes as the generated code does', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 2000; round += 1) {
      const bytes = encoding(random);
      assert.deepStrictEqual(findMissingBlobsRequestCodec.decode(bytes), generated(bytes));
    }
  });

  it('refuses so many digests that they would fill the memory', () => {
    const emptyDigests = (count: number) => new Uint8Array(2 * count).map((_, index) => (index % 2 === 0 ? 0x12 : 0));
    assert.equal(findMissingBlobsRequestCodec.decode(emptyDigests(250_000)).blobDigests.length, 250_000);
    assert.throws(() => findMissingBlobsRequestCodec.decode(emptyDigests(250_001)), /more than 250000 digests/);
  });

  it('gives the same for damaged bytes, or refuses them; and refuses all that the generated code refuses', (t) => {
    const random = seededRandom(t);
    let accepted = 0;
    for (let round = 0; round < 20_000; round += 1) {
      let bytes = encoding(random);
      for (let damage = random.integer(1, 3); damage > 0; damage -= 1) {
        bytes[random.integer(0, bytes.byteLength - 1)] = random.integer(0, 255);
      }
      if (random.integer(0, 1) === 0) bytes = bytes.subarray(0, random.integer(0, bytes.byteLength));
      let decoded;
      try {
        decoded = findMissingBlobsRequestCodec.decode(bytes);
      } catch (error) {
        assert.equal((error as Error).name, 'WireError', String(error));
        continue;
      }
      accepted += 1;
      assert.deepStrictEqual(decoded, generated(bytes), Buffer.from(bytes).toString('hex'));
    }
    assert.ok(accepted > 1000, `only ${accepted} damaged messages were still messages`);
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
      const message = { missingBlobDigests: digests(random) };
      const headroomBytes = random.integer(0, 9);
      const [bytes] = findMissingBlobsResponseCodec.encode(message, headroomBytes);
      const expected = toBinary(FindMissingBlobsResponseSchema, create(FindMissingBlobsResponseSchema, message));
      assert.deepEqual(new Uint8Array(bytes.subarray(headroomBytes)), expected);
    }
    assert.equal(findMissingBlobsResponseCodec.encode({}, 5)[0].byteLength, 5);
  });
});
