// The main thread's side of the thread that looks into it: starts it, asks it for profiles and snapshots, and reports
// stalls of the loop once they are over.
import { Worker } from 'node:worker_threads';
import { CacheError } from '../base/cache-error.ts';
import { shared } from './stall-watch.ts';
import type { StallWatchSettings } from './stall-watch.ts';
import { entryBeside } from './thread.ts';

/** What the thread is started with. `stallMs` 0: it watches nothing and only takes what it is asked for. */
export type InspectorSettings = StallWatchSettings;

/** What is asked of the thread. */
export type ToInspector =
  | { readonly kind: 'stall-ended'; readonly beat: bigint }
  | { readonly kind: 'cpu-profile'; readonly id: number; readonly path: string; readonly durationMs: number }
  | { readonly kind: 'heap-snapshot'; readonly id: number; readonly path: string };

/** What it answers. */
export type FromInspector =
  | { readonly kind: 'ready' }
  | { readonly kind: 'stall'; readonly beat: bigint; readonly stack?: string; readonly everythingStood?: boolean }
  | { readonly kind: 'written'; readonly id: number; readonly sizeBytes: number }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string; readonly code: string };

/** A stall that is over. */
export interface StallReport {
  readonly durationMs: number;
  /** Where the main thread was; undefined when that could not be seen. */
  readonly stack: string | undefined;
  /** Not only the loop stood, but the whole process. */
  readonly everythingStood: boolean;
}

export interface InspectorThreadOptions {
  /** From how long on it counts as a stall; 0: none does. */
  readonly stallMs: number;
  readonly output: StallWatchSettings['output'];
  /** From here on stalls are seen while they last. */
  readonly onReady: () => void;
  /** Called once per stall, after it. */
  readonly onStall: (report: StallReport) => void;
  /** The thread broke; it is not started again. */
  readonly onFailure: (cause: unknown) => void;
}

/** A wake-up of some microseconds, ten times a second, gives the length of a stall to within that time. */
const heartbeatMs = { most: 100, perStall: 1 / 5 } as const;
/** For the answer with the stack; it comes at once, unless the thread has died. */
const stackWaitMs = 6_000;
/** The thread's own needs are a few MB; a CPU profile of some minutes is read and written whole. */
const heapMbMax = 512;

const entry = entryBeside(import.meta.url, './inspector-worker.ts');

export class InspectorThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #options: InspectorThreadOptions;
  readonly #intervalMs: number;
  readonly #times = new BigInt64Array(new SharedArrayBuffer(shared.count * BigInt64Array.BYTES_PER_ELEMENT));
  readonly #timer: NodeJS.Timeout | undefined;
  /** Stalls whose stack is asked for; a handful at most, since each took `stallMs` and waits for `stackWaitMs`. */
  readonly #ended = new Map<bigint, { readonly durationMs: number; readonly timeout: NodeJS.Timeout }>();
  /** What is being taken; its callers see to it that it is one at a time. */
  readonly #jobs = new Map<number, PromiseWithResolvers<number>>();
  #jobCount = 0;
  #failure: CacheError | undefined;

  constructor(options: InspectorThreadOptions) {
    this.#options = options;
    const { stallMs, output } = options;
    this.#intervalMs = Math.min(heartbeatMs.most, Math.max(1, stallMs * heartbeatMs.perStall));
    this.#times[shared.beat] = process.hrtime.bigint();
    const settings: InspectorSettings = { stallMs, output, heartbeat: { times: this.#times, intervalMs: this.#intervalMs } };
    this.#worker = new Worker(entry, { name: 'inspector', workerData: settings, resourceLimits: { maxOldGenerationSizeMb: heapMbMax } });
    this.#worker.unref();
    this.#worker.on('message', (message: FromInspector) => this.#onMessage(message));
    this.#worker.on('error', (cause) => this.#fail(cause));
    this.#worker.on('exit', () => this.#fail(undefined));
    if (stallMs > 0) this.#timer = setInterval(() => this.#beat(), this.#intervalMs).unref();
  }

  /** @throws the system's error, or `unavailable` when the thread ends. */
  writeCpuProfile(path: string, durationMs: number): Promise<number> {
    return this.#job((id) => ({ kind: 'cpu-profile', id, path, durationMs }));
  }

  /** As `writeCpuProfile`. */
  writeHeapSnapshot(path: string): Promise<number> {
    return this.#job((id) => ({ kind: 'heap-snapshot', id, path }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new CacheError('unavailable', 'the server stops');
    clearInterval(this.#timer);
    for (const { timeout } of this.#ended.values()) clearTimeout(timeout);
    await this.#worker.terminate();
  }

  #job(message: (id: number) => ToInspector): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#jobCount += 1;
    const job = Promise.withResolvers<number>();
    this.#jobs.set(this.#jobCount, job);
    this.#post(message(this.#jobCount));
    return job.promise;
  }

  #post(message: ToInspector): void {
    this.#worker.postMessage(message);
  }

  /** Stalls are still reported, without a stack. */
  #fail(cause: unknown): void {
    this.#failure ??= new CacheError('unavailable', 'the thread that takes profiles has ended; the server must be started again to take one', { cause });
    Atomics.store(this.#times, shared.excusedUntil, process.hrtime.bigint()); // it can no longer say that it is done
    for (const job of this.#jobs.values()) job.reject(this.#failure);
    this.#jobs.clear();
    if (cause !== undefined) this.#options.onFailure(cause);
  }

  #beat(): void {
    const [beat, now] = [Atomics.load(this.#times, shared.beat), process.hrtime.bigint()];
    const excused = Atomics.load(this.#times, shared.excusedUntil) > beat;
    Atomics.store(this.#times, shared.beat, now);
    const sinceMs = Number(now - beat) / 1e6;
    if (excused || sinceMs - this.#intervalMs < this.#options.stallMs) return;
    // It began somewhere between the last beat and when the next was due: the middle is the best guess.
    const durationMs = sinceMs - this.#intervalMs / 2;
    this.#ended.set(beat, { durationMs, timeout: setTimeout(() => this.#report(beat, {}), stackWaitMs).unref() });
    this.#post({ kind: 'stall-ended', beat });
  }

  #report(beat: bigint, seen: { readonly stack?: string; readonly everythingStood?: boolean }): void {
    const ended = this.#ended.get(beat);
    if (ended === undefined) return;
    clearTimeout(ended.timeout);
    this.#ended.delete(beat);
    this.#options.onStall({ durationMs: ended.durationMs, stack: seen.stack, everythingStood: seen.everythingStood ?? false });
  }

  #onMessage(message: FromInspector): void {
    if (message.kind === 'ready') this.#options.onReady();
    else if (message.kind === 'stall') this.#report(message.beat, message);
    else this.#settle(message);
  }

  #settle(message: Extract<FromInspector, { readonly id: number }>): void {
    const job = this.#jobs.get(message.id);
    this.#jobs.delete(message.id);
    if (message.kind === 'written') job?.resolve(message.sizeBytes);
    else job?.reject(Object.assign(new Error(message.message), { code: message.code }));
  }
}
