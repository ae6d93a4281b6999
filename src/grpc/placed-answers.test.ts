// Answers that their codec writes where they leave from, on a fake stream: the same to the client as those in pieces.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ContentAddressableStorage, FindMissingBlobsRequestSchema, FindMissingBlobsResponseSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { DigestSequence } from '../proto/packed-digests.ts';
import { decoded, encoded, GrpcHarness } from '../testing/grpc-harness.ts';
import type { OpenCall } from '../testing/grpc-harness.ts';
import { implementService } from './service.ts';
import type { CallContext } from './service.ts';

const path = '/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs';
const request = encoded(FindMissingBlobsRequestSchema, {});

interface Missing extends DigestSequence {
  /** As `<hash>/<size>`. */
  readonly names: readonly string[];
}

/** So many digests whose hashes have that many digits. */
function digests(count: number, digits = 64): Missing {
  const hashes = Array.from({ length: count }, (_, index) => String(index).padStart(digits, '0'));
  return { length: count, hashAt: (index) => hashes[index] ?? assert.fail(), sizeAt: (index) => index, names: hashes.map((hash, index) => `${hash}/${index}`) };
}

interface Answered extends OpenCall {
  readonly harness: GrpcHarness;
}

/** The answer that these blobs are missing, from a handler that does something else first. */
function answered(missing: Missing, { window, before }: { window?: number; before?: (context: CallContext) => void } = {}): Answered {
  const service = implementService(ContentAddressableStorage, {
    findMissingBlobs: (_query, context) => {
      before?.(context);
      return { missing };
    },
  });
  const harness = new GrpcHarness(service);
  const call = harness.open(path, {}, window);
  call.handler.onData(request);
  call.handler.onEnd(undefined);
  return { ...call, harness };
}

function assertComplete({ stream }: OpenCall, missing: Missing): void {
  assert.deepEqual(stream.headers?.slice(0, 2), [[':status', '200'], ['content-type', 'application/grpc']]);
  const [answer, ...others] = decoded(FindMissingBlobsResponseSchema, stream.data);
  assert.deepEqual(others, []);
  assert.deepEqual(answer?.missingBlobDigests.map(({ hash, sizeBytes }) => `${hash}/${sizeBytes}`), missing.names);
  assert.deepEqual(stream.trailers, [['grpc-status', '0']]);
  assert.equal(stream.answered, true);
}

describe('answers that are written where they leave from', () => {
  for (const count of [0, 1, 20]) {
    it(`HT-10: go out at once, with ${count} digests`, () => {
      const missing = digests(count);
      const call = answered(missing);
      assert.equal(call.stream.wholeCount, 1);
      assertComplete(call, missing);
    });
  }

  for (const [what, missing, options] of [
    ['when they are long', digests(100), {}],
    ['when the client takes less', digests(2), { window: 40 }],
    ['when only the generated code can write them', digests(2, 128), {}],
    ['when the handler has headers', digests(2), { before: (context: CallContext) => context.setHeader('x-own', '1') }],
  ] as const) {
    it(`go out in pieces ${what}`, () => {
      const call = answered(missing, options);
      call.stream.open(10_000);
      assert.equal(call.stream.wholeCount, 0);
      assertComplete(call, missing);
    });
  }

  it('hold little more than their length while the client does not take them', () => {
    const short = answered(digests(20), { window: 40 });
    assert.ok(short.stream.queuedBytes > 1_000);
    assert.equal(short.harness.router.answers.keptBytes, 8_192, 'what it was written in is free');
    short.harness.router.answers.take(1).bytes.fill(0xee);
    short.stream.open(10_000);
    assertComplete(short, digests(20));

    const long = answered(digests(100), { window: 40 });
    assert.equal(long.harness.router.answers.keptBytes, 0, 'it stands in it');
    long.stream.open(10_000);
    assertComplete(long, digests(100));
  });
});
