// The hand-written decoders against the generated ones, as their oracle: whatever one of them takes, the generated code
// takes and understands in the same way. They may refuse more: a known field with another wire type than its own, and
// what reaches beyond the message it is in.
import { fromBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { damaged, randomWire } from '../testing/random-wire.ts';
import type { Samples } from '../testing/random-wire.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import {
  BatchReadBlobsRequestSchema,
  BatchUpdateBlobsRequestSchema,
  FindMissingBlobsRequestSchema,
} from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { batchReadBlobsRequestCodec } from './batch-read-codec.ts';
import { batchUpdateBlobsRequestCodec } from './batch-update-codec.ts';
import { readRequestCodec, writeRequestCodec } from './byte-stream-codec.ts';
import { findMissingBlobsRequestCodec } from './find-missing-codec.ts';
import { ReadRequestSchema, WriteRequestSchema } from './gen/google/bytestream/bytestream_pb.ts';
import type { ReceivedDigest, ReceivedDigests } from './packed-digests.ts';

const hash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const samples: Samples = { hash: [hash, hash.toUpperCase(), '', 'f'.repeat(128), 'häsh', 'xyz'], instance_name: ['', 'main', 'ä/b'] };
const seeds = [1, 2, 3, 20_261_121];
const roundsPerSeed = 400;

interface Compared<D extends DescMessage> {
  readonly schema: D;
  /** What the hand-written decoder made of the bytes, in a form that can be compared. */
  readonly byHand: (bytes: Uint8Array) => unknown;
  readonly generated: (message: MessageShape<D>) => unknown;
}

const listed = ({ hashes, sizes, lowerHex }: ReceivedDigests) => {
  // A hash that was replaced within its digest counts too, so it may be false for less.
  assert.ok(!lowerHex || hashes.every((text) => /^[0-9a-f]*$/.test(text)));
  return hashes.map((text, index) => ({ hash: text, sizeBytes: BigInt(sizes[index] ?? -7) }));
};
const one = (digest: ReceivedDigest | undefined) => digest && { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) };

function compare<D extends DescMessage>({ schema, byHand, generated }: Compared<D>): void {
  describe(`${schema.name} by hand`, () => {
    it('decodes what any encoder writes as the generated code does', () => {
      for (const seed of seeds) {
        const random = new SeededRandom(seed);
        for (let round = 0; round < roundsPerSeed; round += 1) {
          const bytes = randomWire(random, schema, samples);
          const expected = generated(fromBinary(schema, bytes, { readUnknownFields: false }));
          assert.deepStrictEqual(byHand(bytes), expected, `seed ${seed}: ${Buffer.from(bytes).toString('hex')}`);
        }
      }
    });

    it('gives the same for damaged bytes, or refuses them; and refuses all that the generated code refuses', () => {
      let accepted = 0;
      for (const seed of seeds) {
        const random = new SeededRandom(seed);
        for (let round = 0; round < 4 * roundsPerSeed; round += 1) {
          const bytes = damaged(random, randomWire(random, schema, samples));
          let decoded;
          try {
            decoded = byHand(bytes);
          } catch (error) {
            assert.equal((error as Error).name, 'WireError', String(error));
            continue;
          }
          accepted += 1;
          const context = `seed ${seed}: ${Buffer.from(bytes).toString('hex')}`;
          assert.deepStrictEqual(decoded, generated(fromBinary(schema, bytes, { readUnknownFields: false })), context);
        }
      }
      assert.ok(accepted > seeds.length * roundsPerSeed / 10, `only ${accepted} damaged messages were still messages`);
    });
  });
}

compare({
  schema: FindMissingBlobsRequestSchema,
  byHand: (bytes) => {
    const { instanceName, digestFunction, digests } = findMissingBlobsRequestCodec.decode(bytes);
    return { instanceName, digestFunction, digests: listed(digests) };
  },
  generated: ({ instanceName, digestFunction, blobDigests }) => ({ instanceName, digestFunction, digests: blobDigests.map(one) }),
});

compare({
  schema: BatchReadBlobsRequestSchema,
  byHand: (bytes) => {
    const { instanceName, digestFunction, digests } = batchReadBlobsRequestCodec.decode(bytes);
    return { instanceName, digestFunction, digests: listed(digests) };
  },
  generated: ({ instanceName, digestFunction, digests }) => ({ instanceName, digestFunction, digests: digests.map(one) }),
});

compare({
  schema: BatchUpdateBlobsRequestSchema,
  byHand: (bytes) => {
    const { instanceName, digestFunction, requests } = batchUpdateBlobsRequestCodec.decode(bytes);
    return { instanceName, digestFunction, requests: requests.map(({ digest, data, compressor }) => ({ digest: one(digest), data: [...data], compressor })) };
  },
  generated: ({ instanceName, digestFunction, requests }) => ({
    instanceName,
    digestFunction,
    requests: requests.map(({ digest, data, compressor }) => ({ digest: one(digest), data: [...data], compressor })),
  }),
});

compare({
  schema: ReadRequestSchema,
  byHand: (bytes) => readRequestCodec.decode(bytes),
  generated: ({ resourceName, readOffset, readLimit }) => ({ resourceName, readOffset, readLimit }),
});

compare({
  schema: WriteRequestSchema,
  byHand: (bytes) => {
    const { resourceName, writeOffset, finishWrite, data } = writeRequestCodec.decode(bytes);
    return { resourceName, writeOffset: BigInt(writeOffset), finishWrite, data: [...data] };
  },
  generated: ({ resourceName, writeOffset, finishWrite, data }) => ({ resourceName, writeOffset, finishWrite, data: [...data] }),
});
