// FindMissingBlobs of one absent digest: the smallest useful call, which is nearly all transport. Server CPU
// per request and throughput against node:http2 and @grpc/grpc-js, in interleaved rounds of one run.
import { create, toBinary } from '@bufbuild/protobuf';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  FindMissingBlobsRequestSchema,
  FindMissingBlobsResponseSchema,
} from '../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { checkAnswer, runLoad } from './harness/h2load.ts';
import type { Load } from './harness/h2load.ts';
import type { BenchOptions } from './harness/options.ts';
import { cpuNanoseconds, residentBytes, startServer } from './harness/processes.ts';
import type { ServerProcess } from './harness/processes.ts';
import { median, slope } from './harness/statistics.ts';
import { findMissingPath } from './reference/find-missing.ts';

const shapes = [
  { connections: 4, streams: 32, requests: 200_000 },
  { connections: 1, streams: 100, requests: 200_000 },
  { connections: 16, streams: 1, requests: 100_000 },
  { connections: 1, streams: 1, requests: 30_000 },
] as const;

interface Sample {
  readonly requestsPerSecond: number;
  readonly cpuMicroseconds: number;
}

export async function unary(options: BenchOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-bench-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const load = oneDigest(join(directory, 'body'));
  const node = process.execPath;
  const reference = (file: string) => [node, new URL(file, import.meta.url).pathname, 'READY'];
  const kiln = new URL('../bin/kiln', import.meta.url).pathname;
  const servers: ServerProcess[] = [];
  for (const [name, command] of [
    ['kiln', [kiln, 'serve', '--listen', '127.0.0.1:0', '--data', 'DATA', '--ready-file', 'READY']],
    ['node:http2', reference('./reference/node-http2-server.ts')],
    ['grpc-js', reference('./reference/grpc-js-server.ts')],
  ] as const) {
    servers.push(stack.use(await startServer(name, command)));
  }
  for (const server of servers) await checkAnswer(server, { ...load, connections: 1, streams: 1 });

  const rounds = options.quick ? 1 : 3;
  const scale = options.quick ? 0.1 : 1;
  console.log(`FindMissingBlobs of 1 absent digest; ${rounds} interleaved rounds, median; server CPU in us per request`);
  console.log(['load'.padEnd(10), ...servers.map(({ name }) => name.padStart(24)), 'CPU ratio http2 / grpc-js'.padStart(28)].join(''));
  // Once, and long enough for the compiler: what is measured is a server that has been up for a while.
  for (const server of servers) await runLoad(server, { ...load, connections: 4, streams: 32 }, options.quick ? 5_000 : 150_000);
  for (const shape of shapes) {
    const samples = await measure(servers, { ...load, ...shape }, { rounds, requests: Math.ceil(shape.requests * scale) });
    console.log(row(`${shape.connections} x ${shape.streams}`, samples));
  }
  const [first] = servers;
  if (first !== undefined) await memorySlope(first, { ...load, connections: 4, streams: 32 }, options.quick ? 100_000 : 1_000_000);
}

/** For each server the samples of all rounds, the servers taking turns. */
async function measure(
  servers: readonly ServerProcess[],
  load: Load,
  { rounds, requests }: { rounds: number; requests: number },
): Promise<readonly (readonly Sample[])[]> {
  const samples = servers.map((): Sample[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, server] of servers.entries()) {
      const before = cpuNanoseconds(server.pid);
      const { requestsPerSecond } = await runLoad(server, load, requests);
      samples[index]?.push({ requestsPerSecond, cpuMicroseconds: (cpuNanoseconds(server.pid) - before) / 1000 / requests });
    }
  }
  return samples;
}

function row(name: string, samples: readonly (readonly Sample[])[]): string {
  const cpu = samples.map((of) => median(of.map((sample) => sample.cpuMicroseconds)));
  const rate = samples.map((of) => median(of.map((sample) => sample.requestsPerSecond)));
  const cells = cpu.map((microseconds, index) => `${Math.round(rate[index] ?? 0)}/s ${microseconds.toFixed(2)} us`.padStart(24));
  const [own = NaN, ...others] = cpu;
  return [name.padEnd(10), ...cells, others.map((other) => `${(other / own).toFixed(1)} x`).join(' / ').padStart(28)].join('');
}

/** Resident size over many requests, after a warm-up: a leak shows as a slope that stays. */
async function memorySlope(server: ServerProcess, load: Load, requests: number): Promise<void> {
  const steps = 10;
  await runLoad(server, load, requests / 4);
  const points = [{ x: 0, y: residentBytes(server.pid) }];
  for (let step = 1; step <= steps; step += 1) {
    await runLoad(server, load, requests / steps);
    points.push({ x: (step * requests) / steps, y: residentBytes(server.pid) });
  }
  const mebibytes = points.map(({ y }) => (y / 1024 / 1024).toFixed(0)).join(' ');
  console.log(`kiln resident MiB over ${requests} requests: ${mebibytes}; slope ${slope(points).toFixed(3)} bytes per request`);
}

function oneDigest(bodyFile: string): Omit<Load, 'connections' | 'streams'> {
  const digest = { hash: 'ab'.repeat(32), sizeBytes: 1234n };
  const body = framed(toBinary(FindMissingBlobsRequestSchema, create(FindMissingBlobsRequestSchema, { blobDigests: [digest] })));
  const expected = framed(
    toBinary(FindMissingBlobsResponseSchema, create(FindMissingBlobsResponseSchema, { missingBlobDigests: [digest] })),
  );
  writeFileSync(bodyFile, body);
  return { path: findMissingPath, bodyFile, body, expected };
}

/** A gRPC message: flag byte, length, bytes. */
function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}
