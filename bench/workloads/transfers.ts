// Blobs moved: many small ones in a batch, one of a megabyte as a stream, and over plain HTTP.
import { fromBinary } from '@bufbuild/protobuf';
import { BatchReadBlobsResponseSchema, BatchUpdateBlobsResponseSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ReadResponseSchema, WriteResponseSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { loadBenchmark } from '../harness/load-benchmark.ts';
import { batchReadAnswer, batchReadRequest, batchUpdateAnswer, batchUpdateRequest, chunksOf, digestOf, paths, readRequest, uploadPieces, writeAnswer } from '../traffic/calls.ts';
import { framed, messagesIn } from '../traffic/grpc-frame.ts';
import { contentMeaning, randomBlobs, unaryFixture } from './fixtures.ts';
import { sameCall } from './lookups.ts';
import { largeWindowBits, narrowWindowBits, wideWindowBits } from './workload.ts';
import type { Fixture, Shape, Workload } from './workload.ts';

const batchCount = 99;
const smallBytes = 1_024;
const mebibyte = 1024 * 1024;
/** What clients send in one message of an upload, more or less. */
export const uploadChunkBytes = 64 * 1024;
const uploadId = '00000000-0000-4000-8000-000000000001';

export const batchRead = loadBenchmark('batch-read', 'BatchReadBlobs of 99 x 1 KiB', (): Workload => {
  const blobs = randomBlobs(batchCount, smallBytes);
  const fixture = unaryFixture(BatchReadBlobsResponseSchema, { path: paths.batchRead, request: batchReadRequest(blobs.map(digestOf)), answer: batchReadAnswer(blobs) });
  return {
    name: 'batch-read',
    title: `BatchReadBlobs of ${batchCount} x 1 KiB, the same in every call`,
    protocol: 'cas',
    fixture: { ...fixture, blobs },
    shapes: [{ ...sameCall(4, 8), contentBytes: batchCount * smallBytes }],
  };
});

export const batchUpdate = loadBenchmark('batch-update', 'BatchUpdateBlobs of 99 x 1 KiB that are there already', (): Workload => {
  const blobs = randomBlobs(batchCount, smallBytes);
  const fixture = unaryFixture(BatchUpdateBlobsResponseSchema, { path: paths.batchUpdate, request: batchUpdateRequest(blobs), answer: batchUpdateAnswer(blobs.map(digestOf)) });
  return {
    name: 'batch-update',
    title: `BatchUpdateBlobs of ${batchCount} x 1 KiB that are there already`,
    protocol: 'cas',
    fixture: { ...fixture, blobs, storedAfterwards: blobs.map(digestOf) },
    shapes: [{ ...sameCall(4, 8), contentBytes: batchCount * smallBytes }],
  };
});

/** A Read whose answer may come in messages of any size. */
export function readFixture(blob: Uint8Array): Fixture {
  const chunks = chunksOf(blob, 256 * 1024);
  const empty = Buffer.alloc(0);
  return {
    blobs: [blob],
    actions: [],
    path: paths.read,
    request: framed(readRequest(digestOf(blob))),
    // Field 10 of ReadResponse, by hand: for servers that are given the answer as a file.
    answer: Buffer.concat(chunks.map((chunk) => framed(Buffer.concat([empty, readResponseHead(chunk.byteLength), chunk])))),
    meaning: (answer) => contentMeaning(Buffer.concat(messagesIn(answer).map((message) => fromBinary(ReadResponseSchema, message).data))),
  };
}

function readResponseHead(length: number): Uint8Array {
  const bytes = [0x52];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

function reading(connections: number, streams: number, windowBits: number): Shape {
  return { ...sameCall(connections, streams, windowBits), label: `${connections} x ${streams}, windows 2^${windowBits}`, contentBytes: mebibyte, operationsMax: 20_000 };
}

export const streamRead = loadBenchmark('stream-read', 'ByteStream.Read of 1 MiB', (quick): Workload => {
  const [blob = new Uint8Array(0)] = randomBlobs(1, mebibyte);
  return {
    name: 'stream-read',
    title: 'ByteStream.Read of 1 MiB, the same in every call',
    protocol: 'byte-stream',
    fixture: readFixture(blob),
    // The bare socket knows no flow control.
    without: ['answer'],
    shapes: quick ? [reading(4, 2, narrowWindowBits)] : [reading(4, 2, narrowWindowBits), reading(4, 2, largeWindowBits)],
  };
});

export const transportRead = loadBenchmark('transport-read', 'ByteStream.Read of 1 MiB, transport alone', (): Workload => {
  const [blob = new Uint8Array(0)] = randomBlobs(1, mebibyte);
  return {
    name: 'transport-read',
    title: 'ByteStream.Read of 1 MiB from memory, with no cache behind the transport',
    protocol: 'byte-stream',
    transportOnly: true,
    fixture: readFixture(blob),
    // Windows that the bare socket, which knows no flow control, does not overrun.
    shapes: [reading(4, 2, largeWindowBits)],
  };
});

export const transportWrite = loadBenchmark('transport-write', 'ByteStream.Write of 1 MiB, received and thrown away, transport alone', (): Workload => ({
  name: 'transport-write',
  title: 'ByteStream.Write of 1 MiB that is received and thrown away, with no cache behind the transport',
  protocol: 'byte-stream',
  transportOnly: true,
  fixture: { ...uploadFixture(mebibyte), storedAfterwards: [] },
  without: ['files'],
  shapes: [{ ...sameCall(4, 8), contentBytes: mebibyte, operationsMax: 20_000, notes: ['frames of 16 KiB, messages of 64 KiB; windows of the servers of 1 MiB a stream and 16 MiB a connection, the socket without any, and reading as node:net does by itself, each time into a new buffer'] }],
}));

/** Uploads of blobs that nobody has, `operationsMax` a round. */
export function uploading(label: string, blobBytes: number, details: { readonly connections: number; readonly streams: number; readonly operationsMax: number }): Shape {
  const { connections, streams, operationsMax } = details;
  return {
    label,
    traffic: { kind: 'unique-uploads', blobBytes, chunkBytes: Math.min(blobBytes, uploadChunkBytes) },
    concurrency: { connections, streams, windowBits: wideWindowBits },
    contentBytes: blobBytes,
    operationsMax,
    notes: ['what may be under way of an upload is the server\'s own window; frames of 16 KiB, messages of 64 KiB'],
  };
}

/** One upload, checked to be stored. */
export function uploadFixture(bytes: number): Fixture {
  const [blob = new Uint8Array(0)] = randomBlobs(1, bytes);
  const digest = digestOf(blob);
  const fixture = unaryFixture(WriteResponseSchema, { path: paths.write, request: new Uint8Array(0), answer: writeAnswer(digest) });
  return { ...fixture, request: Buffer.concat(uploadPieces(chunksOf(blob, uploadChunkBytes), digest, uploadId)), storedAfterwards: [digest] };
}

export const streamWrite = loadBenchmark('stream-write', 'ByteStream.Write of 1 MiB that nobody has', (): Workload => ({
  name: 'stream-write',
  title: 'ByteStream.Write of 1 MiB that nobody has; Kiln writes it to disk and syncs, a cache in memory does not',
  protocol: 'byte-stream',
  fixture: uploadFixture(mebibyte),
  without: ['files'],
  shapes: [uploading('4 x 2', mebibyte, { connections: 4, streams: 2, operationsMax: 400 })],
}));

export const httpGet = loadBenchmark('http-get', 'HTTP/1.1 GET of 100 KB', (): Workload => {
  const [blob = new Uint8Array(0)] = randomBlobs(1, 100_000);
  const answer = Buffer.from(blob);
  return {
    name: 'http-get',
    title: 'HTTP/1.1 GET /cas/HASH of 100 KB, the same in every request',
    protocol: 'http',
    fixture: { blobs: [blob], actions: [], path: `/cas/${digestOf(blob).hash}`, request: new Uint8Array(0), answer, meaning: contentMeaning },
    shapes: [{ ...sameCall(16, 1), contentBytes: blob.byteLength, operationsMax: 50_000 }],
  };
});
