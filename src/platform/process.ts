// This process: what it was started with, its output, its signals and its end.
import { constants } from 'node:os';

/** Asks to end: from a terminal, from a service manager. */
export type StopSignal = 'SIGINT' | 'SIGTERM';

/** What the process was started with. */
export interface ProcessStart {
  readonly pid: number;
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
    args: process.argv.slice(2),
    environment: process.env,
    workingDirectory: process.cwd(),
    platform: process.platform,
  };
}

/**
 * Writes to standard output or standard error. A reader that has gone away (`kiln serve | head`) is no reason
 * to end a server, so what can no longer be written is dropped.
 */
export function openOutput(): { readonly out: (text: string) => void; readonly error: (text: string) => void } {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return {
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
  };
}

/** Calls `handler` for every stop signal, instead of ending the process. Disposing restores the default. */
export function onStopSignal(handler: (signal: StopSignal) => void): Disposable {
  const signals: readonly StopSignal[] = ['SIGINT', 'SIGTERM'];
  for (const signal of signals) process.on(signal, handler);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, handler);
    },
  };
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

/** Ends the process with `status` once it has nothing left to do; output is written to the end. */
export function setExitStatus(status: number): void {
  process.exitCode = status;
}

/** Ends the process now. */
export function exitNow(status: number): never {
  process.exit(status);
}

/** What the process has used so far. */
export function processUsage(): { residentBytes: number; heapUsedBytes: number; cpuMs: number; uptimeMs: number } {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return { residentBytes: rss, heapUsedBytes: heapUsed, cpuMs: (user + system) / 1000, uptimeMs: process.uptime() * 1000 };
}
