// The end of a server: no new work, the end of what runs, the end of the stores. Each step has its limit, so that the
// sum is known to whoever waits for the process.
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Supervisor } from '../base/supervisor.ts';
import { repeat } from './repeat.ts';

export interface DrainLimits {
  /** For the calls of one listener; what runs then is cut off. Milliseconds, like all. */
  readonly listenerTimeoutMs: number;
  /** For all listeners together, and for handlers of calls that were cut off to notice it. */
  readonly timeoutMs: number;
  /** For writes that nobody has acknowledged yet, the order of use, and the end of the stores. */
  readonly flushTimeoutMs: number;
}

/** How a server ended. */
export interface StopOutcome {
  /** Calls that were running or came meanwhile and got their answer, or whose client went away. */
  readonly finishedCalls: number;
  readonly cutOffCalls: number;
  /** Handlers that had not noticed by the limit that their calls were cut off: something does not answer them. */
  readonly lateHandlers: number;
  /** False when the stores did not end in time. What was acknowledged is on the disk in any case. */
  readonly flushed: boolean;
  readonly tookMs: number;
}

/** What is going on while a server drains. */
export interface DrainProgress {
  /** Over gRPC and HTTP, from the first header to the last byte. */
  readonly calls: number;
  readonly connections: number;
  /** At work, although their calls may have been cut off. */
  readonly handlers: number;
}

/** What is ended, first the one, then the other. */
export interface DrainedParts {
  readonly clients: {
    readonly progress: DrainProgress;
    drain(limits: DrainLimits): Promise<Pick<StopOutcome, 'finishedCalls' | 'cutOffCalls' | 'lateHandlers'>>;
  };
  readonly stores: AsyncDisposable;
}

export interface DrainPorts {
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
  readonly supervisor: Supervisor;
}

/** Between two reports. */
const reportIntervalMs = 5_000;
/** What the service manager is asked for at each report: enough that one late report does no harm. */
const extensionMs = 3 * reportIntervalMs;

/** Resolves within the sum of `timeoutMs`, `flushTimeoutMs` and a moment, whatever clients and disks do. Never rejects. */
export async function drain({ clients, stores }: DrainedParts, limits: DrainLimits, ports: DrainPorts): Promise<StopOutcome> {
  const { clock, timers, log } = ports;
  const startedMs = clock.nowMs();
  const elapsedMs = (): number => Math.round(clock.nowMs() - startedMs);
  using _reports = reports(() => clients.progress, elapsedMs, ports);
  const calls = await clients.drain(limits);
  const flushed = await endedWithin(limits.flushTimeoutMs, closed(stores, log), timers);
  return { ...calls, flushed, tookMs: elapsedMs() };
}

/** Ends the stores; gives whether that worked. */
async function closed(stores: AsyncDisposable, log: Log): Promise<boolean> {
  try {
    await stores[Symbol.asyncDispose]();
    return true;
  } catch (error) {
    log.error('the stores did not close; what was acknowledged is on the disk', error);
    return false;
  }
}

/** What `ended` resolves to, or false when it takes longer. */
export async function endedWithin(ms: number, ended: PromiseLike<boolean>, timers: Timers): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  using _limit = timers.after(ms, () => resolve(false));
  return await Promise.race([ended, late]);
}

/** Tells the service manager at once, and log and service manager from time to time, until disposed. */
function reports(progress: () => DrainProgress, elapsedMs: () => number, { timers, log, supervisor }: DrainPorts): Disposable {
  supervisor.stopping(statusText(progress()));
  supervisor.extendTimeout(extensionMs);
  const report = (): void => {
    supervisor.extendTimeout(extensionMs);
    supervisor.status(statusText(progress()));
    log.info('still stopping', { ...progress(), elapsedMs: elapsedMs() });
  };
  return repeat(reportIntervalMs, report, timers);
}

function statusText({ calls, connections, handlers }: DrainProgress): string {
  if (calls > 0) return `stopping: ${calls} calls are running on ${connections} connections`;
  return handlers > 0 ? `stopping: ${handlers} calls that were cut off are cleaning up` : 'stopping: the stores are being closed';
}

/** The last word of a server. */
export function logOutcome({ finishedCalls, cutOffCalls, lateHandlers, flushed, tookMs }: StopOutcome, log: Log): void {
  const fields = { finishedCalls, cutOffCalls, tookMs };
  if (!flushed) log.error('stopped, but the stores did not close in time; what was acknowledged is on the disk', undefined, fields);
  else if (lateHandlers > 0) log.error('stopped, but calls that were cut off go on: something does not answer them, the disk perhaps', undefined, { ...fields, lateHandlers });
  else if (cutOffCalls > 0) log.warn('stopped; calls that did not finish in time were cut off', fields);
  else log.info('stopped; every call has finished', fields);
}
