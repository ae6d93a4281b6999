// Standard output or standard error as something that can be written to without ever waiting. What kind of thing it
// is, a pipe, a terminal, a socket, a file, decides how.
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { errorCodeOf } from './error-code-of.ts';

/**
 * What a write came to: how many bytes were taken, from the front; 0 when there is no room or they are still on their
 * way, and the same bytes are to be offered again; `broken` when nobody takes them (closed pipe, full disk).
 */
export type WriteOutcome = number | 'broken';

/** Somewhere to write to. */
export interface OutputChannel {
  readonly descriptor: number;
  /** Does not wait. */
  write(bytes: Uint8Array): WriteOutcome;
  /** As `write`, for the end of the process, where no callback runs any more. May take the time of one write. */
  writeAtEnd(bytes: Uint8Array): WriteOutcome;
  /** A thread waits for a device that does not answer. Nothing can stop it, not even the regular end of a process. */
  readonly hanging: boolean;
}

/** Of the process: 1 is standard output, 2 standard error. */
export type StandardOutput = 1 | 2;

/** The channel to `descriptor`. */
export function openOutputChannel(descriptor: StandardOutput): OutputChannel {
  const status = fstatSync(descriptor);
  // Whether a file's disk takes the bytes at once cannot be asked beforehand, so a thread waits for it.
  if (status.isFile()) return new PooledChannel(descriptor);
  const own = reopen(descriptor);
  if (own !== undefined) return new NonBlockingChannel(own);
  // Node turns pipes and sockets to non-blocking when it makes the stream, and back at the end of the process.
  if (status.isFIFO() || status.isSocket()) return new NonBlockingChannel((descriptor === 1 ? process.stdout : process.stderr).fd);
  return new PooledChannel(descriptor);
}

/**
 * A descriptor of our own for the same pipe or terminal. Whether writes block belongs to the opening, and the one we
 * were started with is shared with other processes (a shell, the other end of `2>&1`), which must not be surprised.
 * Undefined where that is not possible: sockets, pipes of another user, systems without /proc.
 */
function reopen(descriptor: StandardOutput): number | undefined {
  if (process.platform !== 'linux') return undefined; // /dev/fd of others does not open anew
  try {
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

/** A descriptor whose writes say EAGAIN instead of waiting. */
export class NonBlockingChannel implements OutputChannel {
  readonly hanging = false;
  readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  write(bytes: Uint8Array): WriteOutcome {
    return writeNow(this.descriptor, bytes);
  }

  writeAtEnd(bytes: Uint8Array): WriteOutcome {
    return writeNow(this.descriptor, bytes);
  }
}

/** A write that takes longer than this belongs to a device that may never answer. */
const hangingAfterMs = 1_000;
/** By then a write that was begun just now has reached the system, if the disk is all right and the machine not overloaded. */
const arrivalMs = 100;

/** One write at a time, each by a thread of the pool: at most one thread hangs with its disk. */
export class PooledChannel implements OutputChannel {
  readonly descriptor: number;
  #startedMs: number | undefined;
  /** Of the last write, until it is asked for. */
  #outcome: WriteOutcome | undefined;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  get hanging(): boolean {
    return this.#startedMs !== undefined && performance.now() - this.#startedMs > hangingAfterMs;
  }

  write(bytes: Uint8Array): WriteOutcome {
    if (this.#startedMs !== undefined) return 0;
    const outcome = this.#outcome;
    this.#outcome = undefined;
    if (outcome !== undefined) return outcome;
    this.#startedMs = performance.now();
    write(this.descriptor, bytes, (error, written) => {
      this.#startedMs = undefined;
      this.#outcome = error === null ? written : 'broken';
    });
    return 0;
  }

  writeAtEnd(bytes: Uint8Array): WriteOutcome {
    if (this.hanging) return 'broken';
    if (this.#outcome !== undefined) return this.write(bytes);
    if (this.#startedMs === undefined) return writeNow(this.descriptor, bytes);
    // On its way, and nobody will be told that it arrived. A process that ends by a signal does not wait for its threads.
    this.#startedMs = undefined;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, arrivalMs);
    return bytes.byteLength;
  }
}

function writeNow(descriptor: number, bytes: Uint8Array): WriteOutcome {
  try {
    return writeSync(descriptor, bytes);
  } catch (thrown) {
    const code = errorCodeOf(thrown);
    return code === 'EAGAIN' || code === 'EINTR' ? 0 : 'broken'; // EPIPE: nobody reads any more
  }
}
