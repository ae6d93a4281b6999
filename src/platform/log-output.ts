// Lines on their way to standard error. Never makes anybody wait: what the reader does not take in time is kept up to
// a bound, and beyond it whole lines are dropped and counted.
import type { Timers } from '../base/clock.ts';
import type { OutputChannel, WriteOutcome } from './output-channel.ts';

export interface LogOutputLimits {
  /** Bytes of lines that wait for the reader. */
  readonly queuedBytesMax: number;
}

export const logOutputLimits: LogOutputLimits = {
  // Some thousand lines: a reader that pauses for a moment loses nothing, and a lost reader costs next to nothing.
  queuedBytesMax: 1024 * 1024,
};

/** One write. Larger ones gain nothing, and a file written by a thread keeps the bytes until they are done. */
const chunkBytesMax = 64 * 1024;
/** How soon a reader that had no room is tried again: the first delay, doubled up to the last. */
const retryMs = { first: 5, last: 250 } as const;
/** A closed pipe may get a reader again (a FIFO does), a full disk room; more often would only burn CPU. */
const brokenRetryMs = 1_000;
/** Between two looks whether the last lines fit, while the process ends. */
const endPollMs = 2;

export interface LogOutputParts {
  readonly channel: OutputChannel;
  readonly timers: Timers;
  readonly limits: LogOutputLimits;
  /** The line that says, once lines are taken again, that `count` were dropped. */
  readonly droppedLine: (count: number) => string;
}

/** A line that waits; `tells` how many dropped ones it speaks of, 0 for all others. */
interface QueuedLine {
  readonly bytes: Buffer;
  readonly tells: number;
}

/** What is being written. A chunk once begun goes out whole, or two lines would run together. */
interface Chunk {
  readonly lines: readonly QueuedLine[];
  rest: Buffer;
}

export class LogOutput {
  readonly #parts: LogOutputParts;
  /** Bounded by `queuedBytesMax`, with the chunk. */
  #lines: QueuedLine[] = [];
  #chunk: Chunk | undefined;
  #queuedBytes = 0;
  #droppedLines = 0;
  /** Of these, those that no line has told of. */
  #untoldLines = 0;
  /** Set when the bound was reached, until half of it is free: what comes then comes after the line that tells. */
  #dropping = false;
  /** The last write broke within a line, so the next one starts with a line break. */
  #cutLine = false;
  #retryDelayMs: number = retryMs.first;
  #retry: Disposable | undefined;
  #gathering = false;

  constructor(parts: LogOutputParts) {
    this.#parts = parts;
  }

  /** Lines that nobody will see, since the start. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** True when everything has been handed to the system. */
  get idle(): boolean {
    return this.#queuedBytes === 0;
  }

  /** True while lines are dropped anyway: `drop` says that one was, and saves making it. */
  get dropping(): boolean {
    return this.#dropping;
  }

  drop(): void {
    this.#drop(1);
  }

  /** Takes a line with its line break. The first of a turn of the loop goes out at once, others together after it. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#dropping || this.#queuedBytes + bytes.byteLength > this.#parts.limits.queuedBytesMax) {
      this.#dropping = this.#queuedBytes > 0; // or nothing would ever end it, after one line that is too large by itself
      this.#drop(1);
      return;
    }
    this.#tellOfDropped();
    this.#push({ bytes, tells: 0 });
    if (this.#retry !== undefined || (this.#gathering && this.#queuedBytes < chunkBytesMax)) return;
    this.#pump();
    if (this.#gathering) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gathering = false;
      if (this.#retry === undefined) this.#pump();
    }).unref();
  }

  /**
   * Writes what waits, at the end of the process, where no callback runs any more: blocks until all is written,
   * nobody reads, or `timeoutMs` have passed.
   */
  end(timeoutMs: number): void {
    const waited = new Int32Array(new SharedArrayBuffer(4));
    for (let leftMs = timeoutMs; ; leftMs -= endPollMs) {
      const outcome = this.#writeOut((bytes) => this.#parts.channel.writeAtEnd(bytes));
      if (outcome !== 'full' || leftMs <= 0) return;
      Atomics.wait(waited, 0, 0, endPollMs);
    }
  }

  #push(line: QueuedLine): void {
    this.#lines.push(line);
    this.#queuedBytes += line.bytes.byteLength;
  }

  #drop(lines: number): void {
    this.#droppedLines += lines;
    this.#untoldLines += lines;
  }

  /** Queues the line that tells of dropped ones. They came after all that wait, and before all that will come. */
  #tellOfDropped(): void {
    if (this.#untoldLines === 0) return;
    this.#push({ bytes: Buffer.from(this.#parts.droppedLine(this.#untoldLines)), tells: this.#untoldLines });
    this.#untoldLines = 0;
  }

  #pump(): void {
    this.#retry = undefined;
    const outcome = this.#writeOut((bytes) => this.#parts.channel.write(bytes));
    if (outcome === 'done') return;
    this.#retry = this.#parts.timers.after(outcome === 'full' ? this.#retryDelayMs : brokenRetryMs, () => this.#pump());
    this.#retryDelayMs = Math.min(2 * this.#retryDelayMs, retryMs.last);
  }

  /** Writes until nothing is left, or nothing more is taken. */
  #writeOut(write: (bytes: Uint8Array) => WriteOutcome): 'done' | 'full' | 'broken' {
    for (;;) {
      const chunk = (this.#chunk ??= this.#nextChunk());
      if (chunk === undefined) return 'done';
      const taken = write(chunk.rest);
      if (taken === 'broken') {
        this.#dropAll();
        return 'broken';
      }
      if (taken === 0) return 'full';
      this.#retryDelayMs = retryMs.first;
      chunk.rest = chunk.rest.subarray(taken);
      if (chunk.rest.byteLength > 0) continue;
      for (const { bytes } of chunk.lines) this.#queuedBytes -= bytes.byteLength;
      this.#chunk = undefined;
      if (this.#dropping && this.#queuedBytes <= this.#parts.limits.queuedBytesMax / 2) {
        this.#dropping = false;
        this.#tellOfDropped();
      }
    }
  }

  #nextChunk(): Chunk | undefined {
    if (this.#lines.length === 0) return undefined;
    let [bytes, count] = [0, 0];
    for (const line of this.#lines) {
      if (count > 0 && bytes + line.bytes.byteLength > chunkBytesMax) break;
      bytes += line.bytes.byteLength;
      count += 1;
    }
    const lines = this.#lines.splice(0, count);
    const parts = lines.map((line) => line.bytes);
    if (this.#cutLine) parts.unshift(Buffer.from('\n'));
    this.#cutLine = false;
    return { lines, rest: Buffer.concat(parts) };
  }

  /** Nobody reads: what waits is lost. */
  #dropAll(): void {
    const { lines: begun = [], rest } = this.#chunk ?? {};
    const begunBytes = begun.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    this.#cutLine ||= rest !== undefined && rest.byteLength < begunBytes;
    for (const { tells } of [...begun, ...this.#lines]) {
      if (tells === 0) this.#drop(1);
      else this.#untoldLines += tells;
    }
    this.#lines = [];
    this.#chunk = undefined;
    this.#queuedBytes = 0;
    this.#dropping = false;
  }
}
