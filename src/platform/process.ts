// This process: what it was started with, its output, its signals and its end.
import { closeSync, openSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { constants, hostname } from 'node:os';
import { CacheError } from '../base/cache-error.ts';
import { errorCodeOf } from './error-code-of.ts';

/** Asks to end: from a terminal, from a service manager. */
export type StopSignal = 'SIGINT' | 'SIGTERM';

/** What the process was started with. */
export interface ProcessStart {
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Of this machine. */
  readonly hostName: string;
  /** Without the runtime and the script. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  /** As in `process.platform`. */
  readonly platform: string;
}

export function processStart(): ProcessStart {
  return {
    pid: process.pid,
    startedAt: new Date(performance.timeOrigin).toISOString(),
    hostName: hostname(),
    args: process.argv.slice(2),
    environment: process.env,
    workingDirectory: process.cwd(),
    platform: process.platform,
  };
}

/**
 * Writes to standard output or standard error. A reader that has gone away (`kiln serve | head`) is no reason
 * to end a server, so what can no longer be written is dropped. Nothing is touched before there is something to write:
 * Node makes a pipe non-blocking for all who share it.
 */
export function openOutput(): Output {
  return { out: writerTo(() => process.stdout), error: writerTo(() => process.stderr), outForSure };
}

export interface Output {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  /**
   * Writes to standard output what must not be lost.
   * @throws CacheError `failed_precondition` when it cannot be written; first line what is wrong, second line what to do.
   */
  readonly outForSure: (text: string) => Promise<void>;
}

async function outForSure(text: string): Promise<void> {
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    process.stdout.on('error', reject);
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
    await promise;
  } catch (cause) {
    throw new CacheError('failed_precondition', `cannot write to standard output (${errorCodeOf(cause)})\nlet it lead to a terminal, to a file on a disk with room, or to a program that reads it`, { cause });
  }
}

function writerTo(stream: () => NodeJS.WriteStream): (text: string) => void {
  let opened: NodeJS.WriteStream | undefined;
  return (text) => {
    opened ??= stream().on('error', () => {});
    opened.write(text);
  };
}

/**
 * Keeps what is compiled from now on in `directory`, so that the next start takes half the time. Where that is not
 * possible, it is not done. The directory must belong to whoever owns the source: code is loaded from it.
 */
export function cacheCompiledCode(directory: string): void {
  enableCompileCache(directory);
  // A thread does not take it over from the process, but reads this: without it each would load the compiler that takes types away.
  process.env['NODE_COMPILE_CACHE'] ??= directory;
}

/** Writes what was compiled; happens by itself at a regular end, but not when the process is killed. */
export function saveCompiledCode(): void {
  flushCompileCache();
}

/** The stop signals of this process; disposing restores the default, by which they end it. */
export interface StopSignals extends Disposable {
  /** Calls `handler` for every one from now on. Before that each ends the process at once. */
  listen(handler: (signal: StopSignal) => void): void;
}

/** Catches every stop signal from now on: the first process of a container would be shielded from what nobody catches. */
export function catchStopSignals(): StopSignals {
  const signals: readonly StopSignal[] = ['SIGINT', 'SIGTERM'];
  let told: (signal: StopSignal) => void = endBySignal;
  const onSignal = (signal: StopSignal): void => told(signal);
  for (const signal of signals) process.on(signal, onSignal);
  return {
    listen(handler) {
      told = handler;
    },
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

/** The SIGHUPs of this process; disposing restores the default, by which they end it. */
export interface HangUps extends Disposable {
  /** Calls `handler` for every one from now on; once and at once for those that came before. */
  listen(handler: () => void): void;
}

/**
 * Catches every SIGHUP from now on, except when it says that the terminal has been closed: that is to end the process,
 * and becomes a SIGTERM.
 */
export function catchHangUps(): HangUps {
  const hadTerminal = hasTerminal();
  let missed = false;
  let told = (): void => {
    missed = true;
  };
  const onSignal = () => {
    if (hadTerminal && !hasTerminal()) process.kill(process.pid, 'SIGTERM');
    else told();
  };
  process.on('SIGHUP', onSignal);
  return {
    listen(handler) {
      told = handler;
      if (missed) handler();
      missed = false;
    },
    [Symbol.dispose]() {
      process.off('SIGHUP', onSignal);
    },
  };
}

/** Whether the process has a terminal that is still there: /dev/tty stands for it, and can be opened only then. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** What a shell reports for a process that a signal ended. */
export function exitStatusOf(signal: StopSignal): number {
  return 128 + constants.signals[signal];
}

/** Calls `handler` with what nobody caught, thrown or rejected. The process is in an unknown state: end it. */
export function onUncaught(handler: (error: unknown) => void): void {
  process.on('uncaughtException', handler);
  process.on('unhandledRejection', handler);
}

/**
 * Ends the process by `signal`, at once and whatever threads wait for: a regular end joins them, and one that waits for
 * a disk that does not answer would hold it up for ever. A shell sees 128 and the signal's number.
 */
export function endBySignal(signal: StopSignal | 'SIGKILL'): never {
  process.removeAllListeners(signal); // back to what the system does by default
  // The first process of a container is shielded from signals that it sends to itself, SIGKILL included (pid_namespaces(7)).
  if (process.pid === 1) endAtOnce(128 + constants.signals[signal]);
  process.kill(process.pid, signal);
  // The signal may take a moment to be delivered, and nothing more is to happen in it.
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (;;) Atomics.wait(never, 0, 0);
}

/**
 * Ends the process with `status`, at once and whatever threads wait for: another program takes its place, for which the
 * system ends all threads. Nothing runs any more.
 */
export function endAtOnce(status: number): never {
  try {
    process.execve?.('/bin/sh', ['sh', '-c', `exit ${status}`], {});
  } catch {
    // no shell, or a system without execve
  }
  process.exit(status);
}

/**
 * Whether a regular end would have to wait for somebody else: for a name server that does not answer (a minute, at
 * worst), or for a thread that was told to end and does not. Files do not count: what is written last is to arrive.
 */
export function endWouldWait(): boolean {
  return process.getActiveResourcesInfo().some((name) => name === 'GetAddrInfoReqWrap' || name === 'MessagePort');
}

/** Ends the process now, once its threads have ended what they are at. */
export function exitNow(status: number): never {
  process.exit(status);
}
