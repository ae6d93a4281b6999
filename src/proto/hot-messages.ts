// What handlers get and give for the messages that have a codec of their own, where it is not the generated type.
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { GetActionResultQuery, UpdateActionResultQuery } from './action-result-codec.ts';
import type { BatchReadAnswer, BatchReadQuery } from './batch-read-codec.ts';
import type { BatchUpdateAnswer, BatchUpdateQuery } from './batch-update-codec.ts';
import type { ReadQuery, WriteAnswer, WritePiece } from './byte-stream-codec.ts';
import type { EncodedActionResult } from './encoded-action-result.ts';
import type { FindMissingAnswer, FindMissingQuery } from './find-missing-codec.ts';
import type { ReadAnswer } from './read-response-codec.ts';
import type { TreePage } from './tree-codec.ts';

/** By full message name. Each has a codec in hot-codecs.ts. */
interface HotReceived {
  'build.bazel.remote.execution.v2.FindMissingBlobsRequest': FindMissingQuery;
  'build.bazel.remote.execution.v2.BatchReadBlobsRequest': BatchReadQuery;
  'build.bazel.remote.execution.v2.BatchUpdateBlobsRequest': BatchUpdateQuery;
  'build.bazel.remote.execution.v2.GetActionResultRequest': GetActionResultQuery;
  'build.bazel.remote.execution.v2.UpdateActionResultRequest': UpdateActionResultQuery;
  'google.bytestream.ReadRequest': ReadQuery;
  'google.bytestream.WriteRequest': WritePiece;
}

interface HotSent {
  'build.bazel.remote.execution.v2.FindMissingBlobsResponse': FindMissingAnswer;
  'build.bazel.remote.execution.v2.BatchReadBlobsResponse': BatchReadAnswer;
  'build.bazel.remote.execution.v2.BatchUpdateBlobsResponse': BatchUpdateAnswer;
  'build.bazel.remote.execution.v2.ActionResult': EncodedActionResult;
  'build.bazel.remote.execution.v2.GetTreeResponse': TreePage;
  'google.bytestream.ReadResponse': ReadAnswer;
  'google.bytestream.WriteResponse': WriteAnswer;
}

type NameOf<D extends DescMessage> = MessageShape<D>['$typeName'];

/** What a server's handler gets for a request message. */
export type Received<D extends DescMessage> = NameOf<D> extends keyof HotReceived ? HotReceived[NameOf<D>] : MessageShape<D>;

/** What a server's handler gives for an answer. */
export type Sent<D extends DescMessage> = NameOf<D> extends keyof HotSent ? HotSent[NameOf<D>] : MessageInitShape<D>;
