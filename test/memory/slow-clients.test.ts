// What thousands of clients that take or send slowly can make the real server hold: never more than limits.buffered-bytes
// and a constant, while others are served; and nothing of it stays.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { Digest } from '../../src/digest/digest.ts';
import { ContentAddressableStorage, FindMissingBlobsRequestSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ReadRequestSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { GrpcJsClient } from '../../src/testing/grpc-js-client.ts';
import { startDaemon } from '../e2e/daemon.ts';
import type { Daemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { grpcCall, messagePrefix, RawHttp2 } from './raw-http2.ts';

const mebibyte = 1024 * 1024;
const slowClients = 2_000;
const bufferedBytesMax = 64 * mebibyte;
/**
 * What the server may take beside the budget and what it took before: 2,000 calls with their objects, the hot blobs, what
 * is garbage and not collected yet, buffers of the allocator.
 */
const constantBytes = 128 * mebibyte;
/** How long the clients are slow, at least: some time more than stalled ones are left alone while others wait. */
const slowMs = 12_000;
/** On a machine with other work to do; a small call that waited for the slow clients would take longer by far. */
const smallCallMsMax = 15_000;
/** How long the server may take to notice that 2,000 clients are gone. */
const patienceMs = 60_000;
const readPath = '/google.bytestream.ByteStream/Read';
const writePath = '/google.bytestream.ByteStream/Write';

function serve(t: TestContext): Promise<Daemon> {
  const flags = ['--limits-buffered-bytes', '64MiB', '--limits-hot-memory', '16MiB', '--max-size', '1GiB'];
  return startDaemon(t, temporaryDirectory(t, 'memory'), { flags });
}

/** Bytes of one line of /proc/PID/status. */
function memoryOf({ pid }: Daemon, line: 'VmRSS' | 'VmHWM'): number {
  const kibibytes = new RegExp(`^${line}:\\s*(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}

async function metric({ http }: Daemon, name: string): Promise<number> {
  const text = await (await fetch(`${http}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function put({ http }: Daemon, bytes: Uint8Array<ArrayBuffer>): Promise<Digest> {
  const digest = Digest.of(bytes);
  const answer = await fetch(`${http}/cas/${digest.hash}`, { method: 'PUT', body: bytes });
  assert.equal(answer.status, 200);
  return digest;
}

/** Milliseconds that it takes to read a blob of 32 MiB. */
async function timeOfLargeRead({ http }: Daemon, digest: Digest): Promise<number> {
  const startedAtMs = performance.now();
  const body = await (await fetch(`${http}/cas/${digest.hash}`)).bytes();
  assert.equal(body.byteLength, digest.sizeBytes);
  return performance.now() - startedAtMs;
}

/** Another client: makes small calls over gRPC and HTTP all the time, none of which may fail or take long. */
class SmallCalls {
  readonly #grpc: GrpcJsClient;
  readonly #daemon: Daemon;
  readonly #digest: Digest;
  readonly timesMs: number[] = [];
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(daemon: Daemon, digest: Digest) {
    this.#daemon = daemon;
    this.#digest = digest;
    this.#grpc = new GrpcJsClient(`${daemon.host}:${daemon.port}`);
    this.#running = this.#run();
    this.#running.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#grpc[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    const blobDigests = [{ hash: this.#digest.hash, sizeBytes: BigInt(this.#digest.sizeBytes) }];
    const { findMissingBlobs, batchReadBlobs, batchUpdateBlobs } = ContentAddressableStorage.method;
    while (!this.#stopped) {
      const fresh = new Uint8Array(randomBytes(100));
      const { hash } = Digest.of(fresh);
      const startedAtMs = performance.now();
      await this.#grpc.unary(findMissingBlobs, create(FindMissingBlobsRequestSchema, { blobDigests }));
      await this.#grpc.unary(batchReadBlobs, { digests: blobDigests });
      await this.#grpc.unary(batchUpdateBlobs, { requests: [{ digest: { hash, sizeBytes: 100n }, data: fresh }] });
      const answer = await fetch(`${this.#daemon.http}/cas/${this.#digest.hash}`);
      assert.equal((await answer.bytes()).byteLength, this.#digest.sizeBytes);
      this.timesMs.push(performance.now() - startedAtMs);
      await delay(20);
    }
  }
}

/** Runs the slow clients of `begin` for a while and holds the server to what it promises; `begin` gives back how to end them. */
async function endure(t: TestContext, begin: (daemon: Daemon, large: readonly Digest[]) => Promise<() => void>): Promise<void> {
  const daemon = await serve(t);
  const large = await Promise.all(Array.from({ length: 4 }, () => put(daemon, new Uint8Array(randomBytes(8 * mebibyte)))));
  const huge = await put(daemon, new Uint8Array(randomBytes(32 * mebibyte)));
  const small = await put(daemon, new Uint8Array(randomBytes(1_000)));
  const warm = new SmallCalls(daemon, small);
  await timeOfLargeRead(daemon, huge);
  const timeBeforeMs = await timeOfLargeRead(daemon, huge);
  await warm.stop();
  const baseBytes = memoryOf(daemon, 'VmHWM');

  const calls = new SmallCalls(daemon, small);
  const end = await begin(daemon, large);
  t.after(end);
  let usedBytesMax = 0;
  const untilMs = performance.now() + slowMs;
  while (performance.now() < untilMs) {
    usedBytesMax = Math.max(usedBytesMax, await metric(daemon, 'kiln_buffered_bytes'));
    await delay(200);
  }
  await calls.stop();
  const peakBytes = memoryOf(daemon, 'VmHWM');
  const slowestMs = Math.max(...calls.timesMs);
  t.diagnostic(
    `before ${mebibytes(baseBytes)}, peak ${mebibytes(peakBytes)}, used up to ${mebibytes(usedBytesMax)} MiB; ` +
      `${calls.timesMs.length} rounds of small calls, the slowest ${Math.round(slowestMs)} ms; ` +
      `refused ${await metric(daemon, 'kiln_buffered_refused_total')}, evicted ${await metric(daemon, 'kiln_buffered_evicted_total')}, exhausted ${await metric(daemon, 'kiln_buffered_exhausted_total')}`,
  );
  assert.ok(usedBytesMax > bufferedBytesMax / 4, `the slow clients are to make the server hold something, not ${usedBytesMax} bytes`);
  assert.ok(peakBytes <= baseBytes + bufferedBytesMax + constantBytes, `${mebibytes(peakBytes)} MiB at the peak, ${mebibytes(baseBytes)} before`);
  assert.ok(slowestMs < smallCallMsMax, `a round of small calls took ${slowestMs} ms`);

  end();
  await until(async () => (await metric(daemon, 'kiln_buffered_bytes')) === 0, 'nothing is held any more');
  const timeAfterMs = await timeOfLargeRead(daemon, huge);
  assert.ok(timeAfterMs < 10 * timeBeforeMs + 5_000, `a large read took ${timeBeforeMs} ms before and ${timeAfterMs} after`);
  await daemon.stop();
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / mebibyte);
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  const giveUpAtMs = performance.now() + patienceMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < giveUpAtMs, `${what}: not so after ${patienceMs} ms`);
    await delay(100);
  }
}

async function openSockets(count: number, port: number, onOpen: (socket: Socket, index: number) => void): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    onOpen(socket, index);
    sockets.push(socket);
  }
  return sockets;
}

describe('2,000 slow readers of large blobs', () => {
  const streamsPerConnection = 40;
  const connections = slowClients / streamsPerConnection;

  it('over HTTP/2, held up by windows and by connections that nobody reads, hold no more than the budget', async (t) => {
    await endure(t, async ({ port }, large) => {
      const clients: RawHttp2[] = [];
      for (let index = 0; index < connections; index += 1) {
        const client = await RawHttp2.connect(port, index % 2 === 0 ? 65_535 : 2 ** 31 - 1);
        if (index % 2 === 1) client.socket.pause();
        for (let call = 0; call < streamsPerConnection; call += 1) {
          const digest = large[call % large.length] ?? assert.fail();
          const request = toBinary(ReadRequestSchema, create(ReadRequestSchema, { resourceName: `blobs/${digest.hash}/${digest.sizeBytes}` }));
          client.send(client.open(grpcCall(port, readPath), false), Buffer.concat([messagePrefix(request.byteLength), request]), true);
        }
        clients.push(client);
      }
      return () => clients.forEach(({ socket }) => socket.destroy());
    });
  });

  it('over HTTP/1.1 hold no more than the budget', async (t) => {
    await endure(t, async ({ port }, large) => {
      const sockets = await openSockets(slowClients, port, (socket, index) => {
        socket.pause();
        socket.write(`GET /cas/${large[index % large.length]?.hash} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`);
      });
      return () => sockets.forEach((socket) => socket.destroy());
    });
  });
});

describe('2,000 slow writers', () => {
  const streamsPerConnection = 40;
  const connections = slowClients / streamsPerConnection;

  it('over HTTP/2, of messages and bodies that they begin and do not end, hold no more than the budget', async (t) => {
    await endure(t, async ({ port }) => {
      const clients: { readonly client: RawHttp2; readonly streams: number[] }[] = [];
      const hash = (index: number): string => Digest.of(new Uint8Array(Buffer.from(`${index}`))).hash;
      for (let index = 0; index < connections; index += 1) {
        const client = await RawHttp2.connect(port, 65_535);
        const streams = Array.from({ length: streamsPerConnection }, (_, call) => {
          if (call % 4 === 0) {
            const path = `/cas/${hash(index * streamsPerConnection + call)}`;
            const stream = client.open([[':method', 'PUT'], [':scheme', 'http'], [':path', path], [':authority', `127.0.0.1:${port}`], ['content-length', String(4 * mebibyte)]], false);
            client.fill(stream, 300_000);
            return stream;
          }
          const stream = client.open(grpcCall(port, writePath), false);
          client.send(stream, messagePrefix(4 * mebibyte)); // and those of every fourth send no more than that
          if (call % 4 > 1) client.fill(stream, call % 4 === 2 ? 60_000 : 300_000);
          return stream;
        });
        clients.push({ client, streams });
      }
      const trickle = setInterval(() => {
        for (const { client, streams } of clients) if (client.socket.writableLength === 0) for (const stream of streams) client.fill(stream, 10);
      }, 2_000);
      return () => {
        clearInterval(trickle);
        clients.forEach(({ client }) => client.socket.destroy());
      };
    });
  });

  it('over HTTP/1.1 hold no more than the budget', async (t) => {
    await endure(t, async ({ port }) => {
      const part = Buffer.alloc(256 * 1024, 1);
      const sockets = await openSockets(slowClients, port, (socket, index) => {
        socket.resume();
        socket.write(`PUT /ac/${Digest.of(new Uint8Array(Buffer.from(`${index}`))).hash} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-length: ${4 * mebibyte - 100_000}\r\n\r\n`);
        socket.write(part);
      });
      return () => sockets.forEach((socket) => socket.destroy());
    });
  });
});
