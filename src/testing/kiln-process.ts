// The real program as a process, for tests of what only a process shows: output, files, signals, exit statuses.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
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
  readonly host: string;
  /** 0 on a unix socket. */
  readonly port: number;
  /** What it has printed so far. */
  readonly out: () => string;
  readonly errors: () => string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<KilnOutcome>;
}

/** A directory that is removed at the end of the test. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-test-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Runs `kiln` with `args` to its end. Its environment is `environment` and nothing else but PATH. */
export function runKiln(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<KilnOutcome> {
  return collect(start(args, environment)).ended;
}

/**
 * Starts `kiln serve` with `args` and waits until it is ready; killed at the end of the test if it still runs.
 * Throws with what it printed when it ends before.
 */
export async function serveKiln(t: TestContext, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<KilnProcess> {
  const directory = await temporaryDirectory(t);
  const readyFile = join(directory, 'ready.json');
  const appeared = watch(directory);
  const child = start(['serve', '--ready-file', readyFile, ...args], environment);
  t.after(() => child.kill('SIGKILL'));
  const collected = collect(child);
  const failed = collected.ended.then(({ status, errors }) => {
    throw new Error(`kiln ended with status ${status} before it was ready:\n${errors}`);
  });
  failed.catch(() => {}); // of no interest once it is ready
  let text: string | undefined;
  while ((text = await readFile(readyFile, 'utf8').catch(() => undefined)) === undefined) {
    await Promise.race([once(appeared, 'change'), failed]);
  }
  appeared.close();
  const ready = JSON.parse(text) as ReadyFile;
  const { hostname, port } = ready.http.startsWith('unix:') ? { hostname: '', port: '0' } : new URL(ready.http);
  return { ...collected, ready, host: hostname, port: Number(port), kill: (signal) => void process.kill(ready.pid, signal) };
}

function start(args: readonly string[], environment: Readonly<Record<string, string>>): ChildProcess {
  return spawn(launcher, args, { env: { PATH: process.env['PATH'] ?? '', ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
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
