// The small answers that are written by hand against the generated code, as their oracle; larger ones have files of their own.
import { create, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { receivedDigests } from '../testing/received-digests.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { batchUpdateBlobsResponseCodec } from './batch-update-codec.ts';
import { writeResponseCodec } from './byte-stream-codec.ts';
import { BatchUpdateBlobsResponseSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { WriteResponseSchema } from './gen/google/bytestream/bytestream_pb.ts';

const hashes = ['', 'a'.repeat(64), 'b'.repeat(128), 'c'.repeat(300), 'h\u00e4sh'];
const sizes = [0, 1, 127, 128, 2 ** 28, 2 ** 35, 2 ** 53 - 1, -1, 2n ** 53n];

describe('BatchUpdateBlobsResponse by hand', () => {
  it('encodes byte for byte what the generated code does, behind the headroom', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 500; round += 1) {
      const known = Array.from({ length: random.integer(0, 6) }, () => ({ hash: random.pick(round % 2 === 0 ? hashes : ['a'.repeat(64)]), sizeBytes: random.pick(sizes) }));
      // Entries that were sent without a digest have none in the answer.
      const digestIndexes = known.flatMap((_, index) => (random.integer(0, 9) === 0 ? [index, -1] : [index]));
      const outcomes = digestIndexes.map(() => (random.integer(0, 1) === 0 ? undefined : random.pick([{ code: 3, message: 'x'.repeat(random.pick([1, 130])) }, { code: 14, message: '', details: [] }])));
      const headroomBytes = random.integer(0, 9);
      const bytes = Buffer.concat(batchUpdateBlobsResponseCodec.encode({ digests: receivedDigests(known), digestIndexes, outcomes }, headroomBytes)).subarray(headroomBytes);
      const responses = digestIndexes.map((digestIndex, index) => {
        const digest = known[digestIndex];
        return { status: outcomes[index] ?? {}, ...(digest && { digest: { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) } }) };
      });
      assert.ok(bytes.equals(toBinary(BatchUpdateBlobsResponseSchema, create(BatchUpdateBlobsResponseSchema, { responses }))), `round ${round}`);
    }
  });
});

describe('WriteResponse by hand', () => {
  it('encodes byte for byte what the generated code does, behind the headroom', () => {
    for (const committedSize of [0, 1, 127, 128, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 49, 2 ** 53 - 1]) {
      const bytes = Buffer.concat(writeResponseCodec.encode({ committedSize }, 5)).subarray(5);
      assert.ok(bytes.equals(toBinary(WriteResponseSchema, create(WriteResponseSchema, { committedSize: BigInt(committedSize) }))), `${committedSize}`);
    }
  });
});
