// What both reference servers do for one FindMissingBlobs call: decode, look up, encode; all in memory, with
// protobuf-es. Nothing else, so the difference to Kiln is the transport, Kiln's own codecs of these two messages
// (its favour), and the rest that Kiln does for a call (its handicap).
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  FindMissingBlobsRequestSchema,
  FindMissingBlobsResponseSchema,
} from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

const present = new Set<string>();

/** The response message for a request message, both in protobuf encoding. */
export function findMissing(request: Uint8Array): Uint8Array {
  const { blobDigests } = fromBinary(FindMissingBlobsRequestSchema, request);
  const missingBlobDigests = blobDigests.filter((digest) => !present.has(digest.hash));
  return toBinary(FindMissingBlobsResponseSchema, create(FindMissingBlobsResponseSchema, { missingBlobDigests }));
}

export const findMissingPath = '/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs';
