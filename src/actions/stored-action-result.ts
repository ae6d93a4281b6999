// The bytes of an action result as a value: docs/formats/action-result.md. The store below checks their checksum.
import { create } from '@bufbuild/protobuf';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import {
  ActionResultSchema,
  ExecutedActionMetadataSchema,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { WireError } from '../proto/wire-reader.ts';

/** Version (1 byte), size in the action digest (8 bytes, little-endian), then the message. */
export const headerBytes = 9;
const formatVersion = 1;
/** Put by someone who knows no size (HTTP paths have none). */
const unknownSize = 0xffff_ffff_ffff_ffffn;

export interface StoredActionResult {
  /** Size in the digest of the action, undefined when it was put without one. */
  readonly actionSizeBytes: number | undefined;
  readonly result: EncodedActionResult;
}

/** The message as it came (AC-9). */
export function encodeStoredActionResult({ actionSizeBytes, result }: StoredActionResult): Uint8Array {
  const { bytes } = neverEmpty(result);
  const value = new Uint8Array(headerBytes + bytes.byteLength);
  value[0] = formatVersion;
  new DataView(value.buffer).setBigUint64(1, actionSizeBytes === undefined ? unknownSize : BigInt(actionSizeBytes), true);
  value.set(bytes, headerBytes);
  return value;
}

/** Undefined when the bytes are no value of this format. The result keeps a view of them. */
export function decodeStoredActionResult(value: Uint8Array): StoredActionResult | undefined {
  if (value.byteLength <= headerBytes || value[0] !== formatVersion) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, headerBytes);
  const low = view.getUint32(1, true);
  const high = view.getUint32(5, true);
  const isUnknown = low === 0xffff_ffff && high === 0xffff_ffff;
  const size = high * 2 ** 32 + low;
  if (!isUnknown && !Number.isSafeInteger(size)) return undefined;
  try {
    const result = EncodedActionResult.parse(value.subarray(headerBytes));
    return { actionSizeBytes: isUnknown ? undefined : size, result };
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** An empty message is zero bytes, which readers take for a lost entry: then it says who kept it (AC-8). */
function neverEmpty(result: EncodedActionResult): EncodedActionResult {
  if (result.bytes.byteLength > 0) return result;
  return EncodedActionResult.of(create(ActionResultSchema, { executionMetadata: create(ExecutedActionMetadataSchema, { worker: 'kiln' }) }));
}
