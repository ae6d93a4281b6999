// The messages that have a codec of their own. A row is earned by a profile and has a differential test.
import { batchReadBlobsResponseCodec } from './batch-read-codec.ts';
import { findMissingBlobsRequestCodec, findMissingBlobsResponseCodec } from './find-missing-codec.ts';
import type { MessageCodec } from './message-codec.ts';
import { readResponseCodec } from './read-response-codec.ts';

/** By full message name. */
export const hotCodecs: ReadonlyMap<string, MessageCodec<unknown, never>> = new Map<string, MessageCodec<unknown, never>>([
  ['build.bazel.remote.execution.v2.FindMissingBlobsRequest', findMissingBlobsRequestCodec],
  ['build.bazel.remote.execution.v2.FindMissingBlobsResponse', findMissingBlobsResponseCodec],
  ['build.bazel.remote.execution.v2.BatchReadBlobsResponse', batchReadBlobsResponseCodec],
  ['google.bytestream.ReadResponse', readResponseCodec],
]);
