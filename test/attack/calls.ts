// Calls of the cache as bytes: what attackers begin and do not end, and what the bystander asks for all the time.
import { createHash } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { FindMissingBlobsRequestSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { QueryWriteStatusRequestSchema, ReadRequestSchema, WriteRequestSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { framed } from '../../src/testing/grpc-harness.ts';
import { data, headers } from '../../src/testing/http2-peer.ts';
import type { OutgoingHeaders } from '../../src/h2/stream.ts';

export const path = {
  findMissing: '/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs',
  batchUpdate: '/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs',
  read: '/google.bytestream.ByteStream/Read',
  write: '/google.bytestream.ByteStream/Write',
  query: '/google.bytestream.ByteStream/QueryWriteStatus',
} as const;

/** A blob and its name. */
export interface NamedBlob {
  readonly bytes: Buffer;
  readonly hash: string;
}

export function namedBlob(bytes: Buffer): NamedBlob {
  return { bytes, hash: createHash('sha256').update(bytes).digest('hex') };
}

/** Of a gRPC call; `more` are added. */
export function callHeaders(callPath: string, more: OutgoingHeaders = []): OutgoingHeaders {
  return [[':method', 'POST'], [':scheme', 'http'], [':path', callPath], [':authority', 'localhost'], ['content-type', 'application/grpc'], ['te', 'trailers'], ...more];
}

/** HEADERS of a call whose message is still to come. */
export function begun(streamId: number, callPath: string, more: OutgoingHeaders = []): Buffer {
  return headers(streamId, false, callHeaders(callPath, more));
}

/** A whole call with one message. */
export function whole(streamId: number, callPath: string, message: Uint8Array, more: OutgoingHeaders = []): Buffer {
  return Buffer.concat([begun(streamId, callPath, more), data(streamId, true, framed(message))]);
}

export function findMissingMessage(hash: string, sizeBytes: number): Uint8Array {
  return toBinary(FindMissingBlobsRequestSchema, create(FindMissingBlobsRequestSchema, { blobDigests: [{ hash, sizeBytes: BigInt(sizeBytes) }] }));
}

export function queryMessage(hash: string, sizeBytes: number): Uint8Array {
  const resourceName = `uploads/00000000-0000-4000-8000-000000000000/blobs/${hash}/${sizeBytes}`;
  return toBinary(QueryWriteStatusRequestSchema, create(QueryWriteStatusRequestSchema, { resourceName }));
}

/** Reads all of a blob. */
export function readCall(streamId: number, { hash, bytes }: NamedBlob): Buffer {
  const message = create(ReadRequestSchema, { resourceName: `blobs/${hash}/${bytes.length}` });
  return whole(streamId, path.read, toBinary(ReadRequestSchema, message));
}

/** The first message of an upload of `sizeBytes`, with a byte of it; the rest never comes. */
export function uploadBegun(streamId: number, sizeBytes: number): Buffer {
  const hash = createHash('sha256').update(`upload ${streamId} ${Math.random()}`).digest('hex');
  const resourceName = `uploads/00000000-0000-4000-8000-${String(streamId).padStart(12, '0')}/blobs/${hash}/${sizeBytes}`;
  const message = create(WriteRequestSchema, { resourceName, writeOffset: 0n, data: new Uint8Array(1) });
  return Buffer.concat([begun(streamId, path.write), data(streamId, false, framed(toBinary(WriteRequestSchema, message)))]);
}
