// Sees from another thread that the main loop does not turn, and takes the main thread's stack while it does not.
import { writeSync } from 'node:fs';
import { takeMainStack } from './main-stack.ts';
import { textLine } from './log-line.ts';
import type { LogRecord } from './log-line.ts';

/** What the two threads share. */
export interface Heartbeat {
  /** Nanoseconds of the monotonic clock, the same in all threads, at the places named by `shared`. */
  readonly times: BigInt64Array<SharedArrayBuffer>;
  /** How often the main thread says that its loop turns. */
  readonly intervalMs: number;
}

/** Places in `Heartbeat.times`. */
export const shared = {
  /** When the main loop turned last. Written by the main thread. */
  beat: 0,
  /** Until when the main thread was held up by a profile or a snapshot; far ahead while it is. Written by the other. */
  excusedUntil: 1,
  count: 2,
} as const;

const farAheadNs = 2n ** 62n;

export interface StallWatchSettings {
  readonly heartbeat: Heartbeat;
  readonly stallMs: number;
  /** Where a line goes that the main thread cannot write, because it stands still. */
  readonly output: { readonly descriptor: number; readonly format: 'json' | 'text' };
}

/** What was seen of a stall. */
export interface SeenStall {
  /** Lines of `at name (file:line:column)`; missing when there was none to take: in native code, or all too short. */
  readonly stack?: string;
  /** This thread did not run either: the process was suspended, or the machine had no CPU to give. */
  readonly everythingStood?: boolean;
}

/** A stall that lasts longer is reported while it lasts: it may never end. */
const longStallMs = 10_000;
/** As a share of the length that counts: what is just too long is still seen while it lasts, most of the time. */
const pollsPerStall = 1 / 4;
/** How long a stack may take. Native code does not look up from its work. */
const stackTimeoutMs = 5_000;

export class StallWatch {
  readonly #settings: StallWatchSettings;
  readonly #pollMs: number;
  #polledNs = process.hrtime.bigint();
  /** When this thread was kept from running, for so long that it counts; the last time. */
  #stoodUntilNs = 0n;
  #toldOfLong = false;
  /** The stall that goes on, or the last one. */
  #stall: { readonly beat: bigint; readonly stack: Promise<string | undefined> } | undefined;

  constructor(settings: StallWatchSettings) {
    this.#settings = settings;
    this.#pollMs = Math.max(1, settings.stallMs * pollsPerStall);
    setInterval(() => this.#poll(), this.#pollMs).unref();
  }

  /** What was seen of the stall that began after `beat`. */
  async seen(beat: bigint): Promise<SeenStall> {
    this.#noticeOwnStall(process.hrtime.bigint()); // the message may have come before the next poll
    const everythingStood = this.#stoodUntilNs > beat;
    const stack = this.#stall?.beat === beat ? await this.#stall.stack : undefined;
    return { everythingStood, ...(stack === undefined ? {} : { stack }) };
  }

  /** While this thread has the main one do something that holds it up. */
  excuse(): Disposable {
    const { times } = this.#settings.heartbeat;
    Atomics.store(times, shared.excusedUntil, farAheadNs);
    return {
      [Symbol.dispose]: () => {
        this.#polledNs = process.hrtime.bigint();
        Atomics.store(times, shared.excusedUntil, this.#polledNs);
      },
    };
  }

  #poll(): void {
    const { heartbeat, stallMs } = this.#settings;
    const nowNs = process.hrtime.bigint();
    this.#noticeOwnStall(nowNs);
    const beat = Atomics.load(heartbeat.times, shared.beat);
    if (Atomics.load(heartbeat.times, shared.excusedUntil) > beat) return;
    const lateMs = Number(nowNs - beat) / 1e6 - heartbeat.intervalMs;
    if (lateMs < stallMs) return;
    if (this.#stall?.beat !== beat) {
      this.#toldOfLong = false;
      this.#stall = { beat, stack: this.#stackDuring(beat) };
    } else if (lateMs >= longStallMs && !this.#toldOfLong) {
      this.#toldOfLong = true;
      void this.#stackDuring(beat).then((stack) => this.#tellOfLong(lateMs, stack));
    }
  }

  #noticeOwnStall(nowNs: bigint): void {
    const ownLatenessMs = Number(nowNs - this.#polledNs) / 1e6 - this.#pollMs;
    if (ownLatenessMs >= this.#settings.stallMs / 2) this.#stoodUntilNs = nowNs;
    this.#polledNs = nowNs;
  }

  #stackDuring(beat: bigint): Promise<string | undefined> {
    const goesOn = (): boolean => Atomics.load(this.#settings.heartbeat.times, shared.beat) === beat;
    return takeMainStack(goesOn, stackTimeoutMs).catch(() => undefined);
  }

  /** Straight to the output. A reader that takes nothing costs the line, not more. */
  #tellOfLong(lateMs: number, stack: string | undefined): void {
    const { descriptor, format } = this.#settings.output;
    const record: LogRecord = {
      time: new Date().toISOString(),
      level: 'error',
      message: 'the event loop stands still, and nothing is served',
      fields: { forMs: Math.round(lateMs), ...(stack === undefined ? {} : { stack }) },
    };
    const { fields, ...line } = record;
    try {
      writeSync(descriptor, format === 'text' ? textLine(record) : `${JSON.stringify({ ...line, ...fields })}\n`);
    } catch {
      // full or closed: the report at the end goes through the log
    }
  }
}
