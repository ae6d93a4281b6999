// What the runtime and the system know of this process: memory, CPU, open files, garbage collection, and how late the
// event loop is.
import { readdirSync, readFileSync } from 'node:fs';
import { constants, monitorEventLoopDelay, performance, PerformanceObserver } from 'node:perf_hooks';
import type { EventLoopUtilization, PerformanceNodeEntry } from 'node:perf_hooks';
import type { Timers } from '../base/clock.ts';
import type { Histogram, Meter, MetricDefinition } from '../base/metrics.ts';

/** How often the event loop is looked at: each look wakes an idle process, and a shorter delay troubles nobody. */
const loopResolutionMs = 50;
/** Quantiles of the loop's delay are those of the last one to two of these. Below the usual scrape interval. */
const loopWindowMs = 10_000;

/** Begins to count; disposing stops the observers. Values are read when metrics are collected. */
export function meterProcess(meter: Meter, timers: Timers): Disposable {
  meterMemory(meter);
  meterSystem(meter);
  const stack = new DisposableStack();
  stack.use(meterGarbageCollection(meter));
  stack.use(new LoopDelay(meter, timers));
  meterLoopUse(meter);
  return stack;
}

function meterMemory(meter: Meter): void {
  const of = (read: (usage: NodeJS.MemoryUsage) => number) => () => read(process.memoryUsage());
  meter.gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory size in bytes.' }, () => process.memoryUsage.rss());
  meter.gauge({ name: 'kiln_heap_used_bytes', help: 'JavaScript heap in use, garbage included.' }, of(({ heapUsed }) => heapUsed));
  meter.gauge({ name: 'kiln_heap_size_bytes', help: 'JavaScript heap taken from the system.' }, of(({ heapTotal }) => heapTotal));
  meter.gauge({ name: 'kiln_external_memory_bytes', help: 'Memory outside the heap that JavaScript objects hold, buffers included.' }, of(({ external }) => external));
  meter.gauge({ name: 'kiln_array_buffers_bytes', help: 'Memory of buffers, a part of kiln_external_memory_bytes.' }, of(({ arrayBuffers }) => arrayBuffers));
}

function meterSystem(meter: Meter): void {
  const startedAtSeconds = performance.timeOrigin / 1_000;
  meter.gauge({ name: 'process_start_time_seconds', help: 'Start time of the process since the Unix epoch in seconds.' }, () => startedAtSeconds);
  meter.observedCounter({ name: 'process_cpu_seconds_total', help: 'User and system CPU time spent in seconds, all threads.' }, () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  // What only Linux tells.
  const openFiles = openFileCount();
  if (openFiles === undefined) return;
  meter.gauge({ name: 'process_open_fds', help: 'Number of open file descriptors.' }, () => openFileCount() ?? NaN);
  const filesMax = openFilesMax();
  if (filesMax !== undefined) meter.gauge({ name: 'process_max_fds', help: 'Maximum number of open file descriptors.' }, () => filesMax);
}

function openFileCount(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1; // less the one of this look
  } catch {
    return undefined;
  }
}

function openFilesMax(): number | undefined {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

const collectionKinds: readonly (readonly [flag: number, kind: string])[] = [
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MINOR_MARK_SWEEP, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak'],
];

function meterGarbageCollection(meter: Meter): Disposable {
  const pauses: MetricDefinition = { name: 'kiln_gc_pause_seconds', help: 'Pauses for garbage collection, by kind.' };
  const byFlag = new Map<number, Histogram>(collectionKinds.map(([flag, kind]) => [flag, meter.histogram(pauses, { kind })]));
  const observer = new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries() as PerformanceNodeEntry[]) {
      const { kind } = detail as { readonly kind: number };
      byFlag.get(kind)?.record(duration / 1_000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return { [Symbol.dispose]: () => observer.disconnect() };
}

/** As counters, from which a rate over any window gives the share. */
function meterLoopUse(meter: Meter): void {
  const read = (part: (utilization: EventLoopUtilization) => number) => () => part(performance.eventLoopUtilization()) / 1_000;
  meter.observedCounter({ name: 'kiln_event_loop_active_seconds_total', help: 'Time in which the event loop had something to do.' }, read(({ active }) => active));
  meter.observedCounter({ name: 'kiln_event_loop_idle_seconds_total', help: 'Time in which the event loop waited.' }, read(({ idle }) => idle));
}

/** Quantiles of one window, in seconds. */
interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** How much later than asked the loop comes to its timers: what every request waits in addition. */
class LoopDelay implements Disposable {
  readonly #timers: Timers;
  readonly #histogram = monitorEventLoopDelay({ resolution: loopResolutionMs });
  /** Of the window before this one, so that no peak is lost when one ends. */
  #before: Delays = { p50: 0, p99: 0, max: 0 };
  #timer: Disposable;

  constructor(meter: Meter, timers: Timers) {
    this.#timers = timers;
    this.#histogram.enable();
    this.#timer = this.#next();
    const what = `How much later than asked the event loop came to its timers over the last ${loopWindowMs / 1_000} to ${(2 * loopWindowMs) / 1_000} seconds`;
    const gauge = (name: `kiln_${string}`, quantile: keyof Delays, which: string): void =>
      meter.gauge({ name, help: `${what}: ${which}.` }, () => Math.max(this.#before[quantile], this.#delays()[quantile]));
    gauge('kiln_event_loop_delay_p50_seconds', 'p50', 'half of the time no more than this');
    gauge('kiln_event_loop_delay_p99_seconds', 'p99', '99 % of the time no more than this');
    gauge('kiln_event_loop_delay_max_seconds', 'max', 'at most');
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#histogram.disable();
  }

  #next(): Disposable {
    return this.#timers.after(loopWindowMs, () => {
      this.#before = this.#delays();
      this.#histogram.reset();
      this.#timer = this.#next();
    });
  }

  #delays(): Delays {
    if (this.#histogram.count === 0) return { p50: 0, p99: 0, max: 0 };
    return { p50: delayOf(this.#histogram.percentile(50)), p99: delayOf(this.#histogram.percentile(99)), max: delayOf(this.#histogram.max) };
  }
}

/** The monitor measures the time between two looks, so an idle loop shows its resolution. */
function delayOf(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - loopResolutionMs / 1_000);
}
