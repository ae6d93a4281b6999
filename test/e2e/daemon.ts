// The real server as users start it: bin/kiln in a process of its own, on a free port, known by its ready file.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryDirectory } from './file-tree.ts';
import { spawnInGroup } from './tool-run.ts';

const root = resolve(import.meta.dirname, '../..');
const startTimeoutMs = 20_000;
/** More than kiln itself gives to running calls. */
const stopTimeoutMs = 40_000;
const pollMs = 10;

/** One run of `kiln serve`. Its data directory is the caller's and outlives it. */
export interface Daemon {
  readonly pid: number;
  /** `grpc://HOST:PORT`; undefined when it listens on a unix socket only. */
  readonly grpc: string;
  /** `http://HOST:PORT` */
  readonly http: string;
  readonly host: string;
  readonly port: number;
  /** Everything it wrote so far. */
  logs(): string;
  /** SIGTERM; resolves once it has drained and ended. @throws when it ends in another way. */
  stop(): Promise<void>;
  /** SIGKILL; resolves once the process is gone. */
  kill(): Promise<void>;
}

/** What was compiled before halves a start. */
export function compiled(): Readonly<Record<string, string>> {
  const { NODE_COMPILE_CACHE } = process.env;
  return NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
}

/** Starts a daemon on `data`; at the end of the test it is stopped, and its log shown if the test failed. */
export async function startDaemon(t: TestContext, data: string, options: { port?: number; flags?: readonly string[] } = {}): Promise<Daemon> {
  const readyFile = join(temporaryDirectory(t, 'ready'), 'ready.json');
  const { port = 0, flags = [] } = options;
  const child = spawnInGroup(
    [join(root, 'bin/kiln'), 'serve', '--listen', `127.0.0.1:${port}`, '--data', data, '--ready-file', readyFile, ...flags],
    { cwd: root, env: { HOME: data, ...compiled() } },
  );
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => void (log += text.toString()));
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!isRunning()) return;
    const ended = once(child, 'exit', { signal: AbortSignal.timeout(stopTimeoutMs) });
    child.kill(signal);
    await ended.catch((error: unknown) => {
      throw new Error(`kiln did not end within ${stopTimeoutMs} ms of ${signal}:\n${log}`, { cause: error });
    });
  };
  t.after(async () => {
    if (!t.passed) console.error(`log of kiln ${child.pid}:\n${log}`);
    await end('SIGKILL');
  });

  const giveUpAtMs = performance.now() + startTimeoutMs;
  while (!existsSync(readyFile)) {
    if (!isRunning()) throw new Error(`kiln ended with ${child.exitCode ?? child.signalCode} before it was ready:\n${log}`);
    if (performance.now() > giveUpAtMs) throw new Error(`kiln was not ready after ${startTimeoutMs} ms:\n${log}`);
    await delay(pollMs);
  }
  const ready = JSON.parse(readFileSync(readyFile, 'utf8')) as { pid: number; grpc: string; http: string };
  assert.equal(ready.pid, child.pid, 'the launcher must become the server, or signals do not reach it');
  const { hostname, port: bound } = new URL(ready.http);
  return {
    ...ready,
    host: hostname,
    port: Number(bound),
    logs: () => log,
    async stop() {
      assert.ok(isRunning(), `kiln ended by itself with ${child.exitCode ?? child.signalCode}:\n${log}`);
      await end('SIGTERM');
      assert.deepEqual([child.exitCode, child.signalCode], [143, null], `SIGTERM must end in a clean drain:\n${log}`);
    },
    async kill() {
      assert.ok(isRunning(), `kiln ended by itself with ${child.exitCode ?? child.signalCode}:\n${log}`);
      await end('SIGKILL');
    },
  };
}
