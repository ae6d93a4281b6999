// The hand-written encoder of BatchReadBlobsResponse against the generated one, as its oracle.
import { create, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { batchReadBlobsResponseCodec } from './batch-read-codec.ts';
import { BatchReadBlobsResponseSchema, DigestSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { StatusSchema } from './gen/google/rpc/status_pb.ts';

const hashes = ['', 'a'.repeat(64), 'b'.repeat(128), 'c'.repeat(112), '\u2639', '\ud800', 'd'.repeat(300)];
const sizes = [0n, 1n, 127n, 128n, 2n ** 53n - 1n, 2n ** 53n, -1n];

function entry(random: SeededRandom, usual: boolean) {
  const length = random.pick([0, 1, 127, 128, 2047, 2048, 2049, 5000, 20_000]);
  return {
    digest: usual || random.integer(0, 9) > 0
      ? create(DigestSchema, { hash: usual ? 'e'.repeat(64) : random.pick(hashes), sizeBytes: usual ? 5n : random.pick(sizes) })
      : undefined,
    data: new Uint8Array(length).fill(random.integer(0, 255)),
    status: [undefined, create(StatusSchema, {}), create(StatusSchema, { code: 5, message: 'not in the cache \u263a' })][random.integer(0, 2)],
    compressor: random.pick([0, 0, 1, 3] as const),
  };
}

describe('BatchReadBlobsResponse by hand', () => {
  it('encodes byte for byte what the generated code does, behind the headroom', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 500; round += 1) {
      const usual = random.integer(0, 1) === 0;
      const responses = Array.from({ length: random.integer(0, 6) }, () => entry(random, usual));
      const headroomBytes = random.integer(0, 9);
      const slices = batchReadBlobsResponseCodec.encode({ responses: responses.map(withoutUndefined) }, headroomBytes);
      assert.ok(slices[0].byteLength >= headroomBytes);
      const expected = toBinary(BatchReadBlobsResponseSchema, create(BatchReadBlobsResponseSchema, { responses: responses.map(withoutUndefined) }));
      assert.ok(Buffer.concat(slices).subarray(headroomBytes).equals(expected), `round ${round}`);
    }
  });

  it('passes large data on without a copy', () => {
    const data = new Uint8Array(100_000);
    const digest = { hash: 'e'.repeat(64), sizeBytes: 100_000n };
    const slices = batchReadBlobsResponseCodec.encode({ responses: [{ digest, data }, { digest, data }] }, 5);
    assert.equal(slices.filter((slice) => slice === data).length, 2);
  });
});

function withoutUndefined({ digest, data, status, compressor }: ReturnType<typeof entry>) {
  return { ...(digest && { digest }), data, ...(status && { status }), compressor };
}
