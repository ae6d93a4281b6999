// The bytes of an action result as a value: docs/formats/action-result.md. The store below checks their checksum.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  ActionResultSchema,
  ExecutedActionMetadataSchema,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ActionResult } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

/** Version (1 byte), size in the action digest (8 bytes, little-endian), then the message. */
export const headerBytes = 9;
const formatVersion = 1;
/** Put by someone who knows no size (HTTP paths have none). */
const unknownSize = 0xffff_ffff_ffff_ffffn;

export interface StoredActionResult {
  /** Size in the digest of the action, undefined when it was put without one. */
  readonly actionSizeBytes: number | undefined;
  readonly result: ActionResult;
}

/** Fields that Kiln does not know are kept (AC-9). */
export function encodeStoredActionResult({ actionSizeBytes, result }: StoredActionResult): Uint8Array {
  const message = toBinary(ActionResultSchema, neverEmpty(result));
  const value = new Uint8Array(headerBytes + message.byteLength);
  value[0] = formatVersion;
  new DataView(value.buffer).setBigUint64(1, actionSizeBytes === undefined ? unknownSize : BigInt(actionSizeBytes), true);
  value.set(message, headerBytes);
  return value;
}

/** Undefined when the bytes are no value of this format. */
export function decodeStoredActionResult(value: Uint8Array): StoredActionResult | undefined {
  if (value.byteLength <= headerBytes || value[0] !== formatVersion) return undefined;
  const size = new DataView(value.buffer, value.byteOffset, value.byteLength).getBigUint64(1, true);
  if (size !== unknownSize && size > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  try {
    const result = fromBinary(ActionResultSchema, value.subarray(headerBytes));
    return { actionSizeBytes: size === unknownSize ? undefined : Number(size), result };
  } catch {
    return undefined;
  }
}

/** An empty message is zero bytes, which readers take for a lost entry: then it says who kept it (AC-8). */
function neverEmpty(result: ActionResult): ActionResult {
  if (toBinary(ActionResultSchema, result).byteLength > 0) return result;
  return create(ActionResultSchema, { executionMetadata: create(ExecutedActionMetadataSchema, { worker: 'kiln' }) });
}
