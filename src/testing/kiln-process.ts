// The real program as a process, for tests of what only a process shows: output, files, signals, exit statuses.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../bin/kiln', import.meta.url));

/** What the ready file says. */
export interface ReadyFile {
  readonly pid: number;
  readonly grpc: string;
  readonly http: string;
  readonly version: string;
}

export interface KilnOutcome {
  /** As a shell shows it: 128 + n when signal n ended the process. */
  readonly status: number;
  readonly out: string;
  readonly errors: string;
}

export interface KilnProcess {
  readonly ready: ReadyFile;
  /** 0 on a unix socket. */
  readonly port: number;
  /** What it has printed so far. */
  readonly out: () => string;
  readonly errors: () => string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<KilnOutcome>;
}

/** A socket to hand over: a descriptor of this process, which lets go of it in the same turn. */
export interface ListeningSocket {
  readonly fd: number;
  release(): void;
}

/** A test, or what else ends: whatever is begun for it ends with it. */
export interface Lifetime {
  after(end: () => unknown): void;
}

/** A directory that is removed at the end of the test. */
export async function temporaryDirectory(t: Lifetime): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-test-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** What a process needs of our own environment: to be found, and to find what was compiled before, which halves its start. */
function inherited(): Record<string, string> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  return NODE_COMPILE_CACHE === undefined ? { PATH } : { PATH, NODE_COMPILE_CACHE };
}

/** Runs `kiln` with `args` to its end. Its environment is `environment` and nothing else but what it needs to run. */
export function runKiln(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<KilnOutcome> {
  return collect(start(args, environment)).ended;
}

/**
 * Starts `kiln serve` with `args` and waits until it is ready; killed at the end of the test if it still runs.
 * The ready file is at `readyFile`, by default in a directory of its own.
 * Throws with what it printed when it ends before.
 */
export function serveKiln(
  t: Lifetime,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  readyFile?: string,
): Promise<KilnProcess> {
  return ready(t, (file) => start(['serve', '--ready-file', file, ...args], environment), readyFile);
}

/** As `serveKiln`, started as systemd does it for socket units. */
export function serveActivatedKiln(
  t: Lifetime,
  args: readonly string[],
  sockets: readonly ListeningSocket[],
  environment: Readonly<Record<string, string>> = {},
): Promise<KilnProcess> {
  return ready(t, (file) => startActivated(['serve', '--ready-file', file, ...args], sockets, environment));
}

/** As `runKiln`, started as `serveActivatedKiln` does. */
export function runActivatedKiln(args: readonly string[], sockets: readonly ListeningSocket[]): Promise<KilnOutcome> {
  return collect(startActivated(args, sockets, {})).ended;
}

async function ready(t: Lifetime, started: (readyFile: string) => ChildProcess, readyFile?: string): Promise<KilnProcess> {
  const file = readyFile ?? join(await temporaryDirectory(t), 'ready.json');
  const changes = watch(dirname(file));
  t.after(() => changes.close());
  const child = started(file);
  t.after(() => child.kill('SIGKILL'));
  const collected = collect(child);
  const failed = collected.ended.then(({ status, errors }) => {
    throw new Error(`kiln ended with status ${status} before it was ready:\n${errors}`);
  });
  failed.catch(() => {}); // of no interest once it is ready
  const content = await readyFileOf(child, file, () => Promise.race([once(changes, 'change'), failed]));
  const port = content.http.startsWith('unix:') ? 0 : Number(new URL(content.http).port);
  return { ...collected, ready: content, port, kill: (signal) => void child.kill(signal) };
}

async function readyFileOf(child: ChildProcess, path: string, changed: () => Promise<unknown>): Promise<ReadyFile> {
  for (;;) {
    const change = changed(); // before the file is read, or a change meanwhile would be missed
    const ready = await readReadyFile(path);
    // The launcher becomes the server, so the file is its own when it names the pid of the child.
    if (ready !== undefined && ready.pid === child.pid) return ready;
    await change;
  }
}

/** Undefined while there is none. */
export async function readReadyFile(path: string): Promise<ReadyFile | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as ReadyFile);
}

function start(args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
  // Text is what a person reads, and what tests compare; a pipe would get JSON.
  return endWithUs(spawn(launcher, args, { env: { ...inherited(), KILN_LOG_FORMAT: 'text', ...environment }, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** Servers that run. Bounded by what a test starts. */
const running = new Set<ChildProcess>();
let isWatching = false;

/** A server ends with this process, whatever ends it: a test that is cut off runs nothing of what it has left for later. */
function endWithUs(child: ChildProcess): ChildProcess {
  if (!isWatching) {
    isWatching = true;
    process.on('exit', () => running.forEach((one) => one.kill('SIGKILL')));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  }
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** A shell becomes the server, so that it can name its own pid. */
function startActivated(args: readonly string[], sockets: readonly ListeningSocket[], environment: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn('/bin/sh', ['-c', `LISTEN_FDS=${sockets.length} LISTEN_PID=$$ exec "$0" "$@"`, launcher, ...args], {
    env: { ...inherited(), ...environment },
    stdio: ['ignore', 'pipe', 'pipe', ...sockets.map(({ fd }) => fd)],
  });
  for (const socket of sockets) socket.release();
  return endWithUs(child);
}

function collect(child: ChildProcess): Pick<KilnProcess, 'out' | 'errors' | 'ended'> {
  let out = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = once(child, 'close').then(([code, signal]: readonly (number | string | null)[]) => ({
    status: typeof code === 'number' ? code : 128 + (signalNumbers[String(signal)] ?? 0),
    out,
    errors,
  }));
  return { out: () => out, errors: () => errors, ended };
}

const signalNumbers: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };
