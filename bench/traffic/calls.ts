// The calls of the Remote Execution API that are measured: paths, requests and right answers, made with protobuf-es.
import { create, toBinary } from '@bufbuild/protobuf';
import { hash } from 'node:crypto';
import {
  ActionResultSchema,
  BatchReadBlobsRequestSchema,
  BatchReadBlobsResponseSchema,
  BatchUpdateBlobsRequestSchema,
  BatchUpdateBlobsResponseSchema,
  FindMissingBlobsRequestSchema,
  FindMissingBlobsResponseSchema,
  GetActionResultRequestSchema,
  UpdateActionResultRequestSchema,
} from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ActionResult } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ReadRequestSchema, WriteRequestSchema, WriteResponseSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { framed, prefixBytes } from './grpc-frame.ts';

const execution = '/build.bazel.remote.execution.v2';

export const paths = {
  findMissing: `${execution}.ContentAddressableStorage/FindMissingBlobs`,
  batchUpdate: `${execution}.ContentAddressableStorage/BatchUpdateBlobs`,
  batchRead: `${execution}.ContentAddressableStorage/BatchReadBlobs`,
  getActionResult: `${execution}.ActionCache/GetActionResult`,
  updateActionResult: `${execution}.ActionCache/UpdateActionResult`,
  read: '/google.bytestream.ByteStream/Read',
  write: '/google.bytestream.ByteStream/Write',
} as const;

/** As in REAPI, with the size as a number. */
export interface BlobDigest {
  readonly hash: string;
  readonly sizeBytes: number;
}

export function digestOf(bytes: Uint8Array): BlobDigest {
  return { hash: hash('sha256', bytes), sizeBytes: bytes.byteLength };
}

function digestMessage({ hash: hex, sizeBytes }: BlobDigest): { hash: string; sizeBytes: bigint } {
  return { hash: hex, sizeBytes: BigInt(sizeBytes) };
}

export function findMissingRequest(digests: readonly BlobDigest[]): Uint8Array {
  return toBinary(FindMissingBlobsRequestSchema, create(FindMissingBlobsRequestSchema, { blobDigests: digests.map(digestMessage) }));
}

export function findMissingAnswer(missing: readonly BlobDigest[]): Uint8Array {
  return toBinary(FindMissingBlobsResponseSchema, create(FindMissingBlobsResponseSchema, { missingBlobDigests: missing.map(digestMessage) }));
}

export function batchReadRequest(digests: readonly BlobDigest[]): Uint8Array {
  return toBinary(BatchReadBlobsRequestSchema, create(BatchReadBlobsRequestSchema, { digests: digests.map(digestMessage) }));
}

export function batchReadAnswer(blobs: readonly Uint8Array[]): Uint8Array {
  const responses = blobs.map((data) => ({ digest: digestMessage(digestOf(data)), data, status: {} }));
  return toBinary(BatchReadBlobsResponseSchema, create(BatchReadBlobsResponseSchema, { responses }));
}

export function batchUpdateRequest(blobs: readonly Uint8Array[]): Uint8Array {
  const requests = blobs.map((data) => ({ digest: digestMessage(digestOf(data)), data }));
  return toBinary(BatchUpdateBlobsRequestSchema, create(BatchUpdateBlobsRequestSchema, { requests }));
}

export function batchUpdateAnswer(digests: readonly BlobDigest[]): Uint8Array {
  const responses = digests.map((digest) => ({ digest: digestMessage(digest), status: {} }));
  return toBinary(BatchUpdateBlobsResponseSchema, create(BatchUpdateBlobsResponseSchema, { responses }));
}

/** An action result whose outputs are `files`, and standard output the first of them. */
export function actionResultOf(files: readonly Uint8Array[]): ActionResult {
  const outputFiles = files.map((bytes, index) => ({ path: `out/file-${index}`, digest: digestMessage(digestOf(bytes)), isExecutable: index === 0 }));
  const stdoutDigest = digestMessage(digestOf(files[0] ?? new Uint8Array(0)));
  // With a worker's name, since servers may add one where it is missing.
  return create(ActionResultSchema, { outputFiles, stdoutDigest, executionMetadata: { worker: 'bench' } });
}

export function actionResultBytes(result: ActionResult): Uint8Array {
  return toBinary(ActionResultSchema, result);
}

export function getActionResultRequest(action: BlobDigest): Uint8Array {
  return toBinary(GetActionResultRequestSchema, create(GetActionResultRequestSchema, { actionDigest: digestMessage(action) }));
}

export function updateActionResultRequest(action: BlobDigest, actionResult: ActionResult): Uint8Array {
  return toBinary(UpdateActionResultRequestSchema, create(UpdateActionResultRequestSchema, { actionDigest: digestMessage(action), actionResult }));
}

export function readRequest({ hash: hex, sizeBytes }: BlobDigest): Uint8Array {
  return toBinary(ReadRequestSchema, create(ReadRequestSchema, { resourceName: `blobs/${hex}/${sizeBytes}` }));
}

/** Field 10 of WriteRequest, length-delimited; the last field, so the data can follow without being copied. */
const writeDataTag = 0x52;

/**
 * The framed messages of an upload, one for each chunk, as pieces to be sent one after the other; the chunks
 * themselves are not copied. `uploadId` is a UUID.
 */
export function uploadPieces(chunks: readonly Uint8Array[], digest: BlobDigest, uploadId: string): Uint8Array[] {
  let offset = 0;
  return chunks.flatMap((data) => {
    const fields = {
      resourceName: offset === 0 ? `uploads/${uploadId}/blobs/${digest.hash}/${digest.sizeBytes}` : '',
      writeOffset: BigInt(offset),
      finishWrite: offset + data.byteLength === digest.sizeBytes,
    };
    offset += data.byteLength;
    const head = toBinary(WriteRequestSchema, create(WriteRequestSchema, fields));
    const frame = framed(Buffer.concat([head, Uint8Array.of(writeDataTag), varint(data.byteLength)]));
    frame.writeUInt32BE(frame.length - prefixBytes + data.byteLength, 1);
    return [frame, data];
  });
}

/** Consecutive parts of `bytes`, not copied. */
export function chunksOf(bytes: Uint8Array, chunkBytes: number): Uint8Array[] {
  const count = Math.ceil(bytes.byteLength / chunkBytes);
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes));
}

export function writeAnswer({ sizeBytes }: BlobDigest): Uint8Array {
  return toBinary(WriteResponseSchema, create(WriteResponseSchema, { committedSize: BigInt(sizeBytes) }));
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}
