// The messages that have a codec of their own. A row is earned by a profile and has a differential test.
import { actionResultCodec, getActionResultRequestCodec, updateActionResultRequestCodec } from './action-result-codec.ts';
import { batchReadBlobsRequestCodec, batchReadBlobsResponseCodec } from './batch-read-codec.ts';
import { batchUpdateBlobsRequestCodec, batchUpdateBlobsResponseCodec } from './batch-update-codec.ts';
import { readRequestCodec, writeRequestCodec, writeResponseCodec } from './byte-stream-codec.ts';
import { findMissingBlobsRequestCodec, findMissingBlobsResponseCodec } from './find-missing-codec.ts';
import type { MessageCodec } from './message-codec.ts';
import { readResponseCodec } from './read-response-codec.ts';
import { getTreeResponseCodec } from './tree-codec.ts';

/** By full message name. hot-messages.ts has the types for handlers. */
export const hotCodecs: ReadonlyMap<string, MessageCodec<unknown, never>> = new Map<string, MessageCodec<unknown, never>>([
  ['build.bazel.remote.execution.v2.FindMissingBlobsRequest', findMissingBlobsRequestCodec],
  ['build.bazel.remote.execution.v2.FindMissingBlobsResponse', findMissingBlobsResponseCodec],
  ['build.bazel.remote.execution.v2.BatchReadBlobsRequest', batchReadBlobsRequestCodec],
  ['build.bazel.remote.execution.v2.BatchReadBlobsResponse', batchReadBlobsResponseCodec],
  ['build.bazel.remote.execution.v2.BatchUpdateBlobsRequest', batchUpdateBlobsRequestCodec],
  ['build.bazel.remote.execution.v2.BatchUpdateBlobsResponse', batchUpdateBlobsResponseCodec],
  ['build.bazel.remote.execution.v2.GetTreeResponse', getTreeResponseCodec],
  ['build.bazel.remote.execution.v2.GetActionResultRequest', getActionResultRequestCodec],
  ['build.bazel.remote.execution.v2.UpdateActionResultRequest', updateActionResultRequestCodec],
  ['build.bazel.remote.execution.v2.ActionResult', actionResultCodec],
  ['google.bytestream.ReadRequest', readRequestCodec],
  ['google.bytestream.ReadResponse', readResponseCodec],
  ['google.bytestream.WriteRequest', writeRequestCodec],
  ['google.bytestream.WriteResponse', writeResponseCodec],
]);
