// What becomes of the server when nobody reads its log.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { readReadyFile, temporaryDirectory } from '../testing/kiln-process.ts';

const launcher = fileURLToPath(new URL('../../bin/kiln', import.meta.url));

/** Names of 50 blobs make a debug line of 7 KB: a pipe and the buffer of the log are full after some 150 calls. */
const digests = Array.from({ length: 50 }, (_, index) => Digest.of(Buffer.from(String(index)), sha256)).map(({ hash, sizeBytes }) => ({ hash, sizeBytes: BigInt(sizeBytes) }));
const callsToFill = 220;

interface Serving {
  readonly child: ChildProcess;
  readonly port: number;
}

/** A server whose outputs are the descriptors given, and that logs every call. */
async function serve(t: TestContext, out: number | 'ignore' | 'pipe', errors: number | 'pipe'): Promise<Serving> {
  const directory = await temporaryDirectory(t);
  const readyFile = join(directory, 'ready.json');
  const args = ['serve', '--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--ready-file', readyFile, '--log-level', 'debug', '--log-summary-interval', 'off'];
  const child = spawn(launcher, args, { env: { PATH: process.env['PATH'] ?? '' }, stdio: ['ignore', out, errors] });
  t.after(() => child.kill('SIGKILL'));
  for (;;) {
    const ready = await readReadyFile(readyFile);
    if (ready !== undefined) return { child, port: Number(new URL(ready.http).port) };
    assert.equal(child.exitCode, null, 'it ended before it was ready');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A pipe, and what has been written to it and not read. */
async function openPipe(t: TestContext): Promise<{ readonly reader: number; readonly writer: number }> {
  const path = join(await temporaryDirectory(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY) };
}

async function callMany({ port }: Serving, calls = callsToFill): Promise<void> {
  using client = new GrpcJsClient(`127.0.0.1:${port}`);
  for (let count = 0; count < calls; count += 1) {
    const { message } = await client.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests: digests });
    assert.equal(message.missingBlobDigests.length, digests.length);
  }
}

async function droppedLines({ port }: Serving): Promise<number> {
  const { text } = await fetchHttp(port, '/metrics');
  return Number(/^kiln_log_lines_dropped_total (\d+)/m.exec(text)?.[1]);
}

/** @returns how long it took. */
async function terminate({ child }: Serving): Promise<number> {
  const startedMs = performance.now();
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const [code, signal] = (await ended) as [number | null, string | null];
  assert.deepEqual([code, signal], [143, null]);
  return performance.now() - startedMs;
}

/** Half a second for the last lines, and what a process on a busy machine takes to end. */
const endMsMax = 8_000;

describe('kiln serve with a log that nobody reads', () => {
  it('K11-06: serves on behind a full pipe, counts what it drops, and ends in time', async (t) => {
    const { reader, writer } = await openPipe(t);
    t.after(() => closeSync(reader));
    const serving = await serve(t, 'ignore', writer);
    closeSync(writer);
    await callMany(serving);
    const dropped = await droppedLines(serving);
    assert.ok(dropped > 0, 'the pipe and the buffer hold less than what was logged');
    await callMany(serving, 20);
    assert.ok((await droppedLines(serving)) >= dropped + 20, 'the counter rises');
    assert.ok((await terminate(serving)) < endMsMax);
  });

  it('K11-06: serves on behind a socket that is full, as services and containers have it', async (t) => {
    const serving = await serve(t, 'ignore', 'pipe'); // Node makes a pair of sockets, and nobody reads ours
    await callMany(serving);
    assert.ok((await droppedLines(serving)) > 0);
    assert.ok((await terminate(serving)) < endMsMax);
  });

  it('K11-06: serves on when the reader has gone', async (t) => {
    const { reader, writer } = await openPipe(t);
    const serving = await serve(t, 'ignore', writer);
    closeSync(writer);
    closeSync(reader);
    await callMany(serving, 5);
    assert.ok((await droppedLines(serving)) > 0);
    assert.ok((await terminate(serving)) < endMsMax);
  });

  it('K11-06: says how many lines were dropped once somebody reads again', async (t) => {
    const { reader, writer } = await openPipe(t);
    const serving = await serve(t, 'ignore', writer);
    await callMany(serving);
    closeSync(writer);
    const ended = once(serving.child, 'exit');
    let text = '';
    const buffer = Buffer.alloc(65_536);
    const read = (): void => {
      for (let bytes = 1; bytes > 0; ) {
        try {
          bytes = readSync(reader, buffer);
        } catch {
          return; // nothing there now
        }
        text += buffer.toString('utf8', 0, bytes);
      }
    };
    t.after(() => closeSync(reader));
    while (!text.includes('log lines were dropped')) {
      read();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const dropped = await droppedLines(serving);
    serving.child.kill('SIGTERM');
    await ended;
    read();
    const lines = text.trimEnd().split('\n').map((line) => JSON.parse(line) as { readonly message: string; readonly lines?: number });
    const told = lines.filter(({ message }) => message.startsWith('log lines were dropped')).reduce((sum, line) => sum + (line.lines ?? 0), 0);
    assert.equal(told, dropped);
    assert.match(lines.at(-1)?.message ?? '', /^stopped/, 'the last lines are written before the end');
  });

  it('K11-06: starts and serves with a standard output that is full before it begins', async (t) => {
    const { reader, writer } = await openPipe(t);
    t.after(() => closeSync(reader));
    const path = `/proc/self/fd/${writer}`;
    const filler = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    assert.throws(() => {
      for (;;) writeSync(filler, Buffer.alloc(4_096));
    }, { code: 'EAGAIN' });
    closeSync(filler);
    const serving = await serve(t, writer, writer);
    closeSync(writer);
    await callMany(serving);
    assert.ok((await droppedLines(serving)) > 0);
    assert.ok((await terminate(serving)) < endMsMax);
  });
});
