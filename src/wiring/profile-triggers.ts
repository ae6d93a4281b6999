// Takes a CPU profile when the main thread is busy for long, and a heap snapshot when the heap is large, so that there
// is something to look at when somebody asks the next morning. Each at most once per interval.
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { Diagnostics } from '../base/diagnostics.ts';
import type { Log } from '../base/log.ts';
import { formatByteSize } from '../base/units.ts';

export interface TriggerOptions {
  /** Of one core, 0 to 1, over half a minute; 0: no profiles. */
  readonly profileCpuShare: number;
  /** From one file to the next of its kind. */
  readonly profileIntervalMs: number;
  readonly profileDurationMs: number;
  /** Undefined: no snapshots. */
  readonly heapSnapshotBytes: number | undefined;
}

/** What decides. */
export interface Load {
  mainThreadCpuMs(): number;
  heapUsedBytes(): number;
}

export interface TriggerParts {
  readonly diagnostics: Diagnostics;
  readonly load: Load;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
}

/** Long enough that a build of a few seconds is no reason. */
const windowMs = 30_000;
const looksPerWindow = 6;

/** Looks at the load from now on, until it is disposed. */
export class ProfileTriggers implements Disposable {
  readonly #options: TriggerOptions;
  readonly #parts: TriggerParts;
  /** Never longer than from one profile to the next, or a short interval would not be kept. */
  readonly #lookMs: number;
  /** One look per sixth of a window, oldest first; at most `looksPerWindow` and one. */
  readonly #looks: { readonly atMs: number; readonly cpuMs: number }[] = [];
  #profileNotBeforeMs = -Infinity;
  #snapshotNotBeforeMs = -Infinity;
  #timer: Disposable | undefined;

  constructor(options: TriggerOptions, parts: TriggerParts) {
    this.#options = options;
    this.#parts = parts;
    this.#lookMs = Math.max(1, Math.min(windowMs, options.profileIntervalMs) / looksPerWindow);
    if (options.profileCpuShare > 0 || options.heapSnapshotBytes !== undefined) this.#look();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  #look(): void {
    const { clock, timers } = this.#parts;
    const nowMs = clock.nowMs();
    this.#profile(nowMs);
    this.#snapshot(nowMs);
    this.#timer = timers.after(this.#lookMs, () => this.#look());
  }

  #profile(nowMs: number): void {
    const { profileCpuShare, profileIntervalMs, profileDurationMs } = this.#options;
    if (profileCpuShare === 0) return;
    const now = { atMs: nowMs, cpuMs: this.#parts.load.mainThreadCpuMs() };
    const looks = this.#looks.push(now);
    if (looks <= looksPerWindow) return;
    const begin = this.#looks.shift() ?? now;
    const share = (now.cpuMs - begin.cpuMs) / (now.atMs - begin.atMs);
    if (share < profileCpuShare || nowMs < this.#profileNotBeforeMs) return;
    this.#profileNotBeforeMs = nowMs + profileIntervalMs;
    const [percent, forMs] = [Math.round(share * 100), Math.round(now.atMs - begin.atMs)];
    this.#parts.log.info('the main thread is busy; taking a CPU profile', { percentOfCore: percent, forMs });
    this.#run('CPU profile', this.#parts.diagnostics.takeCpuProfile(profileDurationMs));
  }

  #snapshot(nowMs: number): void {
    const { heapSnapshotBytes, profileIntervalMs } = this.#options;
    if (heapSnapshotBytes === undefined || nowMs < this.#snapshotNotBeforeMs) return;
    const usedBytes = this.#parts.load.heapUsedBytes();
    if (usedBytes < heapSnapshotBytes) return;
    this.#snapshotNotBeforeMs = nowMs + profileIntervalMs;
    this.#parts.log.info('the heap is larger than diagnostics.heap-snapshot', { heap: formatByteSize(usedBytes) });
    this.#run('heap snapshot', this.#parts.diagnostics.takeHeapSnapshot());
  }

  #run(what: string, taken: Promise<unknown>): void {
    taken.catch((thrown: unknown) => this.#parts.log.warn(`no ${what} was taken`, { reason: thrown instanceof Error ? thrown.message : String(thrown) }));
  }
}
