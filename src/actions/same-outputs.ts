// Whether two action results give a build the same.
import { toBinary } from '@bufbuild/protobuf';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ActionResult, OutputFile, OutputSymlink } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

/**
 * True when they differ in nothing but who executed the action and when: two builds that race for one action have equal
 * outputs, and never equal times. Files in another order count as different. Decodes both.
 */
export function sameOutputs(one: EncodedActionResult, other: EncodedActionResult): boolean {
  return Buffer.compare(one.bytes, other.bytes) === 0 || Buffer.compare(timeless(one.message), timeless(other.message)) === 0;
}

function timeless({ executionMetadata: _whoAndWhen, ...result }: ActionResult): Uint8Array {
  return toBinary(ActionResultSchema, {
    ...result,
    outputFiles: result.outputFiles.map(withoutTime),
    outputSymlinks: result.outputSymlinks.map(withoutTime),
    outputFileSymlinks: result.outputFileSymlinks.map(withoutTime),
    outputDirectorySymlinks: result.outputDirectorySymlinks.map(withoutTime),
  });
}

/** Of the time of a file, which moon tells. */
function withoutTime<T extends OutputFile | OutputSymlink>(output: T): T {
  if (output.nodeProperties?.mtime === undefined) return output;
  const { mtime: _when, ...nodeProperties } = output.nodeProperties;
  return { ...output, nodeProperties };
}
