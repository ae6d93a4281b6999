// Blobs that nobody has yet, written for good: what a cold build sends. The time of one sync on the same disk is
// printed at the top of a run; a server that acknowledges faster than that shares a sync among several, or has none.
import { BatchUpdateBlobsResponseSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { loadBenchmark } from '../harness/load-benchmark.ts';
import { batchUpdateAnswer, batchUpdateRequest, digestOf, paths } from '../traffic/calls.ts';
import { randomBlobs, unaryFixture } from './fixtures.ts';
import { uploadFixture, uploading } from './transfers.ts';
import { wideWindowBits } from './workload.ts';
import type { Shape, Workload } from './workload.ts';

const smallBytes = 1_024;
const largeBytes = 8 * 1024 * 1024;

function batches(blobsPerCall: number, connections: number, streams: number): Shape {
  return {
    label: `${blobsPerCall} per call, ${connections} x ${streams}`,
    traffic: { kind: 'unique-batches', blobsPerCall, blobBytes: smallBytes },
    concurrency: { connections, streams, windowBits: wideWindowBits },
    contentBytes: blobsPerCall * smallBytes,
    operationsMax: Math.floor(40_000 / blobsPerCall),
  };
}

export const smallWrites = loadBenchmark('small-writes', 'unique blobs of 1 KiB, durable', (quick): Workload => {
  const blobs = randomBlobs(2, smallBytes);
  const fixture = unaryFixture(BatchUpdateBlobsResponseSchema, { path: paths.batchUpdate, request: batchUpdateRequest(blobs), answer: batchUpdateAnswer(blobs.map(digestOf)) });
  const shapes = [batches(1, 4, 16), batches(1, 1, 1), batches(99, 4, 2)];
  return {
    name: 'small-writes',
    title: 'BatchUpdateBlobs of blobs of 1 KiB that nobody has',
    protocol: 'cas',
    fixture: { ...fixture, storedAfterwards: blobs.map(digestOf) },
    without: ['files', 'answer'],
    shapes: quick ? shapes.slice(0, 1) : shapes,
  };
});

export const smallUploads = loadBenchmark('small-uploads', 'unique blobs of 1 KiB by ByteStream.Write, durable', (): Workload => ({
  name: 'small-uploads',
  title: 'ByteStream.Write of blobs of 1 KiB that nobody has',
  protocol: 'byte-stream',
  fixture: uploadFixture(smallBytes),
  without: ['files'],
  shapes: [uploading('4 x 16', smallBytes, { connections: 4, streams: 16, operationsMax: 40_000 })],
}));

export const largeWrites = loadBenchmark('large-writes', 'unique blobs of 8 MiB by ByteStream.Write, durable', (quick): Workload => ({
  name: 'large-writes',
  title: 'ByteStream.Write of blobs of 8 MiB that nobody has',
  protocol: 'byte-stream',
  fixture: uploadFixture(largeBytes),
  without: ['files'],
  // As many as are under way at a time is the least that a round can have, and half a gigabyte too much for a quick one.
  shapes: [quick ? uploading('2 x 1', largeBytes, { connections: 2, streams: 1, operationsMax: 2 }) : uploading('4 x 2', largeBytes, { connections: 4, streams: 2, operationsMax: 60 })],
}));
