// Keeps one message that comes thousands of times from drowning all others, and the disk: the first lines of a kind
// are written, then it is only counted how many more came.
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { LogLevel } from '../base/log.ts';

export interface RepeatLimits {
  /** Lines of one kind within one window. */
  readonly linesMax: number;
  readonly windowMs: number;
  /** Kinds that are watched at a time; beyond it lines pass. Kinds are messages in our code, so there are few. */
  readonly kindsMax: number;
}

export const repeatLimits: RepeatLimits = {
  // Enough to see which files or peers are concerned, and how fast it goes.
  linesMax: 20,
  windowMs: 10_000,
  kindsMax: 512,
};

/** Lines of the same level and message are of one kind, whatever their fields. */
export interface LineKind {
  readonly level: LogLevel;
  readonly message: string;
}

interface Window {
  readonly kind: LineKind;
  readonly startedMs: number;
  lines: number;
  suppressed: number;
}

export class RepeatLimit {
  readonly #limits: RepeatLimits;
  readonly #clock: MonotonicClock;
  readonly #timers: Timers;
  readonly #report: (kind: LineKind, lines: number) => void;
  /** Bounded by `kindsMax`. */
  readonly #windows = new Map<string, Window>();
  #timer: Disposable | undefined;
  #suppressedLines = 0;

  /** `report` is told at the end of a window how many lines of the kind were left out in it; never 0. */
  constructor(limits: RepeatLimits, time: { readonly clock: MonotonicClock; readonly timers: Timers }, report: (kind: LineKind, lines: number) => void) {
    this.#limits = limits;
    this.#clock = time.clock;
    this.#timers = time.timers;
    this.#report = report;
  }

  /** Lines that were left out since the start. */
  get suppressedLines(): number {
    return this.#suppressedLines;
  }

  /** Whether a line is to be written now. */
  admits(level: LogLevel, message: string): boolean {
    const key = `${level} ${message}`;
    const window = this.#windows.get(key) ?? this.#open(key, { level, message });
    if (window === undefined) return true;
    if (window.lines < this.#limits.linesMax) {
      window.lines += 1;
      return true;
    }
    window.suppressed += 1;
    this.#suppressedLines += 1;
    return false;
  }

  /** Reports what was left out so far. For the end of the process. */
  end(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#close(Infinity);
  }

  #open(key: string, kind: LineKind): Window | undefined {
    if (this.#windows.size >= this.#limits.kindsMax) return undefined;
    const window = { kind, startedMs: this.#clock.nowMs(), lines: 0, suppressed: 0 };
    this.#windows.set(key, window);
    this.#timer ??= this.#timers.after(this.#limits.windowMs, () => this.#tick());
    return window;
  }

  #tick(): void {
    this.#timer = undefined;
    this.#close(this.#clock.nowMs());
    const [oldest] = this.#windows.values();
    if (oldest === undefined) return;
    const leftMs = oldest.startedMs + this.#limits.windowMs - this.#clock.nowMs();
    this.#timer = this.#timers.after(leftMs, () => this.#tick());
  }

  /** Windows are in the order of their start. */
  #close(nowMs: number): void {
    for (const [key, { kind, startedMs, suppressed }] of this.#windows) {
      if (startedMs + this.#limits.windowMs > nowMs) return;
      this.#windows.delete(key);
      if (suppressed > 0) this.#report(kind, suppressed);
    }
  }
}
