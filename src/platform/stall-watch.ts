// Sees from another thread that the main loop does not turn, and takes the main thread's stack while it does not.
import { writeSync } from 'node:fs';
import { hrtime } from 'node:process';
import { takeMainStack } from './main-stack.ts';
import { textLine } from './log-line.ts';
import type { LogRecord } from './log-line.ts';

/** What the main thread shares: when its loop turned last. */
export interface Heartbeat {
  /** One number: nanoseconds of the monotonic clock, the same in all threads. */
  readonly beats: BigInt64Array<SharedArrayBuffer>;
  readonly intervalMs: number;
}

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
  #polledNs = hrtime.bigint();
  #paused = 0;
  #toldOfLong = false;
  /** The stall that goes on, or the last one. */
  #stall: { readonly beat: bigint; everythingStood: boolean; stack: Promise<string | undefined> } | undefined;

  constructor(settings: StallWatchSettings) {
    this.#settings = settings;
    this.#pollMs = Math.max(1, settings.stallMs * pollsPerStall);
    setInterval(() => this.#poll(), this.#pollMs).unref();
  }

  /** What was seen of the stall that began after `beat`. */
  async seen(beat: bigint): Promise<SeenStall> {
    const stall = this.#stall;
    if (stall === undefined || stall.beat !== beat) return {};
    const stack = await stall.stack;
    return { everythingStood: stall.everythingStood, ...(stack === undefined ? {} : { stack }) };
  }

  /** While the main thread is known to stand still. */
  pause(): Disposable {
    this.#paused += 1;
    return {
      [Symbol.dispose]: () => {
        this.#paused -= 1;
        this.#polledNs = hrtime.bigint();
      },
    };
  }

  #poll(): void {
    const { heartbeat, stallMs } = this.#settings;
    const nowNs = hrtime.bigint();
    const ownLatenessMs = Number(nowNs - this.#polledNs) / 1e6 - this.#pollMs;
    this.#polledNs = nowNs;
    if (this.#paused > 0) return;
    const beat = Atomics.load(heartbeat.beats, 0);
    const lateMs = Number(nowNs - beat) / 1e6 - heartbeat.intervalMs;
    if (lateMs < stallMs) return;
    if (this.#stall?.beat !== beat) {
      this.#toldOfLong = false;
      this.#stall = { beat, everythingStood: ownLatenessMs >= stallMs / 2, stack: this.#stackDuring(beat) };
    } else if (lateMs >= longStallMs && !this.#toldOfLong) {
      this.#toldOfLong = true;
      void this.#stackDuring(beat).then((stack) => this.#tellOfLong(lateMs, stack));
    }
  }

  #stackDuring(beat: bigint): Promise<string | undefined> {
    const goesOn = (): boolean => Atomics.load(this.#settings.heartbeat.beats, 0) === beat;
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
