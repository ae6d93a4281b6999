// Answers that their codec writes where they leave from, on a fake stream: the same to the client as those in pieces.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { sha256, sha512 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { ContentAddressableStorage, FindMissingBlobsRequestSchema, FindMissingBlobsResponseSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { decoded, encoded, GrpcHarness } from '../testing/grpc-harness.ts';
import type { OpenCall } from '../testing/grpc-harness.ts';
import { implementService } from './service.ts';
import type { CallContext } from './service.ts';

const path = '/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs';
const request = encoded(FindMissingBlobsRequestSchema, {});

function digests(count: number, digestFunction: DigestFunction = sha256): DigestList {
  return DigestList.of(...Array.from({ length: count }, (_, index) => Digest.of(Buffer.from(`blob ${index}`), digestFunction)));
}

/** The answer that these blobs are missing, from a handler that does something else first. */
function answered(missing: DigestList, { window, before }: { window?: number; before?: (context: CallContext) => void } = {}): OpenCall {
  const service = implementService(ContentAddressableStorage, {
    findMissingBlobs: (_query, context) => {
      before?.(context);
      return { missing };
    },
  });
  const call = new GrpcHarness(service).open(path, {}, window);
  call.handler.onData(request);
  call.handler.onEnd(undefined);
  return call;
}

function assertComplete({ stream }: OpenCall, missing: DigestList): void {
  assert.deepEqual(stream.headers?.slice(0, 2), [[':status', '200'], ['content-type', 'application/grpc']]);
  const [answer, ...others] = decoded(FindMissingBlobsResponseSchema, stream.data);
  assert.deepEqual(others, []);
  assert.deepEqual(answer?.missingBlobDigests.map(({ hash, sizeBytes }) => `${hash}/${sizeBytes}`), [...missing].map(({ hash, sizeBytes }) => `${hash}/${sizeBytes}`));
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
    ['when only the generated code can write them', digests(2, sha512), {}],
    ['when the handler has headers', digests(2), { before: (context: CallContext) => context.setHeader('x-own', '1') }],
  ] as const) {
    it(`go out in pieces ${what}`, () => {
      const call = answered(missing, options);
      call.stream.open(10_000);
      assert.equal(call.stream.wholeCount, 0);
      assertComplete(call, missing);
    });
  }
});
