// Servers under measurement: started in a directory of their own and pinned, found ready, ended by pid.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { killGroup, startChild } from './children.ts';
import { pinnedTo } from './pinning.ts';

/** A server that answers. Disposing it ends the process. */
export interface ServerProcess extends AsyncDisposable {
  readonly name: string;
  /** Of the process that does the work or whose descendants do. */
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  /** PEM of who has signed its certificate; absent where it speaks plaintext. */
  readonly authority?: string;
  /** From the start of the process until it was known to be ready. */
  readonly readyMs: number;
}

export interface ServerCommand {
  readonly name: string;
  readonly words: readonly string[];
  readonly core: number | undefined;
  readonly readiness: Readiness;
  /** See ServerProcess. */
  readonly authority?: string | undefined;
  /** Default: one that even a million files do not need. */
  readonly startTimeoutMs?: number;
}

export type Readiness =
  /** Writes `{"pid": n, "grpc" or "http": "scheme://HOST:PORT"}` (with TLS "grpcs") to the file once it answers. */
  | { readonly kind: 'ready-file'; readonly path: string }
  /** Listens on that port of 127.0.0.1 once it answers. */
  | { readonly kind: 'port'; readonly port: number };

const startTimeoutMsDefault = 300_000;
/** A start-up is measured with it: short against what is measured, long against what looking costs. */
const lookEveryMs = 2;
/** Longer than a server needs that drains; what is still there then is killed. */
const endTimeoutMs = 60_000;

/** @throws Error that says what the server said, when it ends before it is ready or is not ready in time. */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const startedMs = performance.now();
  const child = startChild(pinnedTo(command.core, command.words), 'ignore');
  const said = lastLines(child);
  let failure: Error | undefined;
  child.on('error', (error) => (failure = error));
  const found = await untilReady(command, child, () => failure).catch((error: unknown) => {
    killGroup(child);
    throw new Error(`${command.name} did not start: ${String(error)}\n${said()}`, { cause: error });
  });
  const { name, authority } = command;
  return { name, ...found, ...(authority === undefined ? {} : { authority }), readyMs: performance.now() - startedMs, [Symbol.asyncDispose]: () => end(child, found.pid) };
}

interface Found {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
}

async function untilReady(command: ServerCommand, child: ChildProcess, failure: () => Error | undefined): Promise<Found> {
  const { readiness, startTimeoutMs = startTimeoutMsDefault } = command;
  const giveUpAtMs = performance.now() + startTimeoutMs;
  for (;;) {
    const error = failure();
    if (error !== undefined) throw error;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended with status ${child.exitCode ?? child.signalCode}`);
    if (performance.now() > giveUpAtMs) throw new Error(`it was not ready after ${startTimeoutMs} ms`);
    const found = readiness.kind === 'ready-file' ? readReadyFile(readiness.path) : await portFound(readiness.port, child.pid ?? NaN);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

function readReadyFile(path: string): Found | undefined {
  if (!existsSync(path)) return undefined;
  const { pid, grpc, http } = JSON.parse(readFileSync(path, 'utf8')) as { pid: number; grpc?: string; http?: string };
  const { hostname, port } = new URL((grpc ?? http ?? '').replace(/^grpcs?:/, 'http:'));
  return { pid, host: hostname, port: Number(port) };
}

async function portFound(port: number, pid: number): Promise<Found | undefined> {
  const socket = connect(port, '127.0.0.1');
  const answers = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'close').then(() => false)]).catch(() => false);
  socket.destroy();
  return answers ? { pid, host: '127.0.0.1', port } : undefined;
}

/** A port that nobody has just now, for servers that cannot be told to take any. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function end(child: ChildProcess, pid: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  process.kill(pid, 'SIGTERM');
  const killer = setTimeout(() => killGroup(child), endTimeoutMs);
  await ended;
  clearTimeout(killer);
}

/** Removes what servers wrote, read-only files included. A server that was just killed may still be writing its last file. */
export function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** Keeps the last of what the child says, to be shown only when it fails. */
function lastLines(child: ChildProcess): () => string {
  const charsMax = 4_000;
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => (text = (text + chunk.toString()).slice(-charsMax)));
  return () => text;
}
