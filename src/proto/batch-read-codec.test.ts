// The hand-written encoder of BatchReadBlobsResponse against the generated one, as its oracle.
import { create, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { receivedDigests } from '../testing/received-digests.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { batchReadBlobsResponseCodec } from './batch-read-codec.ts';
import type { BatchReadAnswer } from './batch-read-codec.ts';
import { BatchReadBlobsResponseSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

const hashes = ['', 'a'.repeat(64), 'b'.repeat(128), 'c'.repeat(112), '\u2639', '\ud800', 'd'.repeat(300)];
const sizes = [0, 1, 127, 128, 2 ** 53 - 1, 2n ** 53n, -1];

function outcome(random: SeededRandom): BatchReadAnswer['outcomes'][number] {
  const length = random.pick([0, 1, 127, 128, 2047, 2048, 2049, 5000, 20_000]);
  return random.pick([new Uint8Array(length).fill(random.integer(0, 255)), new Uint8Array(length), { code: 5, message: 'not in the cache \u263a' }, { code: 14, message: '', details: [] }]);
}

/** Written where it leaves from it is the same, or is left to `encode`; only then is anybody done with the blobs. */
function assertPlaced(answer: BatchReadAnswer, expected: Uint8Array, usual: boolean): void {
  const { placed } = batchReadBlobsResponseCodec;
  assert.ok(placed !== undefined);
  let doneCount = 0;
  const whole = { ...answer, done: () => void (doneCount += 1) };
  const bytesMax = placed.bytesMax(whole);
  assert.equal(doneCount, 0);
  const into = Buffer.alloc(bytesMax + 20, '.');
  const end = placed.write(whole, into.subarray(0, bytesMax + 7), 7);
  assert.equal(doneCount, end < 0 ? 0 : 1);
  if (end < 0) {
    assert.ok(!usual);
    return;
  }
  assert.ok(into.subarray(7, end).equals(expected) && end <= bytesMax + 7);
  assert.equal(into.toString('latin1', 0, 7) + into.toString('latin1', bytesMax + 7), '.'.repeat(20));
}

describe('BatchReadBlobsResponse by hand', () => {
  it('encodes byte for byte what the generated code does, behind the headroom', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 500; round += 1) {
      const usual = random.integer(0, 1) === 0;
      const known = Array.from({ length: random.integer(0, 6) }, () => ({
        hash: usual ? Buffer.from(random.bytes(32)).toString('hex') : random.pick(hashes),
        sizeBytes: usual ? random.pick([0, 5, 1_024, 2 ** 28, 2 ** 40]) : random.pick(sizes),
      }));
      const digests = receivedDigests(known);
      assert.equal(digests.words !== undefined, known.every(({ hash }) => hash.length === 64));
      const outcomes = known.map(() => outcome(random));
      const headroomBytes = random.integer(0, 9);
      const slices = batchReadBlobsResponseCodec.encode({ digests, outcomes }, headroomBytes);
      assert.ok(slices[0].byteLength >= headroomBytes);
      const responses = known.map(({ hash, sizeBytes }, index) => {
        const found = outcomes[index];
        return { digest: { hash, sizeBytes: BigInt(sizeBytes) }, ...(found instanceof Uint8Array ? { data: found, status: {} } : { status: found ?? {} }) };
      });
      const expected = toBinary(BatchReadBlobsResponseSchema, create(BatchReadBlobsResponseSchema, { responses }));
      assert.ok(Buffer.concat(slices).subarray(headroomBytes).equals(expected), `round ${round}`);
      assertPlaced({ digests, outcomes }, expected, usual);
    }
  });

  it('passes large data on without a copy', () => {
    const data = new Uint8Array(100_000);
    const digest = { hash: 'e'.repeat(64), sizeBytes: 100_000 };
    const slices = batchReadBlobsResponseCodec.encode({ digests: receivedDigests([digest, digest]), outcomes: [data, data] }, 5);
    assert.equal(slices.filter((slice) => slice === data).length, 2);
  });
});
