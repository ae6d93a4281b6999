// Finds store operations that do not come to an end, and says which, for how long, where, and who waits for them.
// One timer serves all of them, and it runs only while there are any.
import { assert } from '../base/assert.ts';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { Counter, Meter, MetricDefinition } from '../base/metrics.ts';
import type { Span } from '../base/tracer.ts';

/** What is watched. */
export interface OperationSubject {
  /** `put`, `get_many`. */
  readonly operation: string;
  readonly trace: Span | undefined;
  /** Digest and size, or how many of them; asked for when there is something to report. */
  readonly fields: () => LogFields;
}

export interface OperationWatchPorts {
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
  readonly meter: Meter;
}

/** Looks per limit: a report comes at most a tenth of the limit late. */
const looksPerLimit = 10;
/** Reports of one look. A disk that hangs stops everything, and ten operations tell as much as a thousand. */
const reportsPerLookMax = 10;

const stallsMetric: MetricDefinition = { name: 'kiln_store_stalls_total', help: 'Store operations that took longer than the limit for stalls, by operation.' };
const stalledMetric: MetricDefinition = { name: 'kiln_store_stalled_operations', help: 'Store operations under way that have taken longer than the limit for stalls.' };

export class OperationWatch {
  readonly #limitMs: number;
  readonly #ports: OperationWatchPorts;
  /** Bounded by whoever bounds calls; the stores hold more for each of them than is held here. */
  readonly #running = new Set<Operation>();
  readonly #stalls = new Map<string, Counter>();
  #stalled = 0;
  #timer: Disposable | undefined;

  constructor(limitMs: number, ports: OperationWatchPorts) {
    assert(limitMs > 0, 'the limit for stalls is above 0');
    this.#limitMs = limitMs;
    this.#ports = ports;
    ports.meter.gauge(stalledMetric, () => this.#stalled);
    this.#counter('put'); // so that a scrape knows the metric before the first stall
  }

  /** Is watched from the moment it has something to run. */
  operation(subject: OperationSubject): Operation {
    return new Operation(this, subject, this.#ports.clock);
  }

  /** Called by operations only. */
  began(operation: Operation): void {
    this.#running.add(operation);
    if (this.#timer === undefined) this.#lookLater();
  }

  /** Called by operations only. */
  ended(operation: Operation, outcome: 'finished' | 'failed'): void {
    this.#running.delete(operation);
    if (!operation.stalled) return;
    this.#stalled -= 1;
    if (operation.reported) this.#ports.log.info('a store operation that hung has ended', { ...operation.fields(), outcome });
  }

  /** Called by operations only. `stack` is of those who wait for it. */
  report(operation: Operation, stack: string): void {
    this.#ports.log.warn(`a store operation hangs: no end after ${this.#limitMs} ms`, { ...operation.fields(), stack });
  }

  #look(): void {
    const nowMs = this.#ports.clock.nowMs();
    const fresh: Operation[] = [];
    for (const operation of this.#running) if (!operation.stalled && operation.heldMs(nowMs) >= this.#limitMs) fresh.push(operation);
    for (const operation of fresh) {
      this.#stalled += 1;
      this.#counter(operation.name).add();
    }
    for (const [index, operation] of fresh.entries()) operation.markStalled(index < reportsPerLookMax);
    if (fresh.length > reportsPerLookMax) {
      this.#ports.log.warn('more store operations hang', { operations: fresh.length - reportsPerLookMax, stalled: this.#stalled });
    }
    this.#timer = undefined;
    if (this.#running.size > 0) this.#lookLater();
  }

  #lookLater(): void {
    this.#timer = this.#ports.timers.after(this.#limitMs / looksPerLimit, () => this.#look());
  }

  #counter(operation: string): Counter {
    const counter = this.#stalls.get(operation) ?? this.#ports.meter.counter(stallsMetric, { operation });
    this.#stalls.set(operation, counter);
    return counter;
  }
}

/** One operation while it waits for the store. What it waits for from its caller does not count. */
export class Operation {
  readonly #watch: OperationWatch;
  readonly #subject: OperationSubject;
  readonly #clock: MonotonicClock;
  #stalled = false;
  #reported = false;
  #settled = false;
  #step: string | undefined;
  /** Spent in the store before `#sinceMs`, which is undefined while the store waits for bytes of the caller. */
  #spentMs = 0;
  #sinceMs: number | undefined;
  #receivedBytes = 0;
  #turn = Promise.withResolvers<void>();

  constructor(watch: OperationWatch, subject: OperationSubject, clock: MonotonicClock) {
    this.#watch = watch;
    this.#subject = subject;
    this.#clock = clock;
    this.#sinceMs = clock.nowMs(); // not in `run`: by then the store may wait for bytes already
  }

  get name(): string {
    return this.#subject.operation;
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  get reported(): boolean {
    return this.#reported;
  }

  /** How long the store has let nothing be seen of it: since it began, or since it took bytes of its caller last. */
  heldMs(nowMs: number): number {
    return this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs;
  }

  fields(): LogFields {
    return {
      operation: this.name,
      ...this.#subject.fields(),
      tookMs: Math.round(this.#spentMs + this.heldMs(this.#clock.nowMs())),
      step: this.#step,
      receivedBytes: this.#receivedBytes === 0 ? undefined : this.#receivedBytes,
      trace: this.#subject.trace?.traceId,
    };
  }

  /** As `onStep` of CallOptions. */
  readonly onStep = (step: string): void => {
    this.#step = step;
  };

  /**
   * `work`, watched; once per operation. The stack of a report is taken here and only then: V8 follows the promise of
   * this function to those who await it. A stack per operation would cost some 9 us, this some tenths of one.
   */
  async run<T>(work: Promise<T>): Promise<T> {
    this.#watch.began(this);
    work.then(() => this.#settle('finished'), () => this.#settle('failed'));
    for (;;) {
      await this.#turn.promise;
      if (this.#settled) return await work;
      this.#turn = Promise.withResolvers();
      this.#reported = true;
      this.#watch.report(this, framesOf(new Error('for its stack')));
    }
  }

  /** `bytes` of the caller: while the store waits for them it does not hang. */
  received(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return {
      [Symbol.asyncIterator]: () => {
        const pieces: AsyncIterator<Uint8Array, unknown> = bytes[Symbol.asyncIterator]();
        const resume = (piece?: IteratorResult<Uint8Array, unknown>): void => this.#resume(piece?.done === false ? piece.value.byteLength : 0);
        return {
          next: () => {
            this.#pause();
            const next = pieces.next();
            next.then(resume, () => resume());
            return next;
          },
          return: async () => (await pieces.return?.()) ?? { done: true, value: undefined },
        };
      },
    };
  }

  /** Called by the watch: it has taken too long. */
  markStalled(report: boolean): void {
    this.#stalled = true;
    if (report) this.#turn.resolve();
  }

  #settle(outcome: 'finished' | 'failed'): void {
    this.#settled = true;
    this.#turn.resolve();
    this.#watch.ended(this, outcome);
  }

  #pause(): void {
    this.#spentMs += this.heldMs(this.#clock.nowMs());
    this.#sinceMs = undefined;
  }

  #resume(receivedBytes: number): void {
    this.#receivedBytes += receivedBytes;
    this.#sinceMs ??= this.#clock.nowMs();
  }
}

/** The frames without the first, which is here. */
function framesOf({ stack = '' }: Error): string {
  return stack.split('\n').slice(2).map((line) => line.trim()).join('\n');
}
