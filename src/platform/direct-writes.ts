// Writing to a connection without the queue of its stream. An answer of a megabyte is 128 slices, and the stream of Node
// makes a Buffer and an entry of its queue of each, only to hand them on at once: without it a read of 1 MiB takes some
// 0.95 times the CPU (bench/transport-read). `_write` and `_writev` are what net.Socket gives its own stream to write with
// (documented for those who make streams, not for those who use them); the system keeps the order, whichever way is taken.
import type { Socket } from 'node:net';

/** What is written with, as the stream of a net.Socket has it. */
interface RawWrites {
  _write(bytes: Uint8Array, encoding: 'buffer', done: Done): void;
  _writev(entries: Entries, done: Done): void;
}

type Done = (error?: Error | null) => void;

/** `allBuffers` spares a look at each encoding; Node sets it for its own lists. The list is the callee's. */
type Entries = { chunk: Uint8Array }[] & { allBuffers?: boolean };

/** The writes of one connection. */
export class DirectWrites {
  readonly #socket: Socket & RawWrites;
  readonly #onDrained: () => void;
  #waitingBytes = 0;
  #isCalling = false;
  #isDone = false;

  /** `onDrained` is told, from a turn of its own, when nothing waits any more. */
  constructor(socket: Socket & RawWrites, onDrained: () => void) {
    this.#socket = socket;
    this.#onDrained = onDrained;
  }

  /** Of writes that the system has not taken whole. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Writes all slices as one unit; false when the stream has something of its own to write first, and so has to do it. */
  write(slices: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (socket.writableLength > 0 || socket.connecting) return false;
    let bytes = 0;
    for (const { length } of slices) bytes += length;
    if (bytes === 0) return true;
    const done: Done = (error) => this.#onDone(bytes, error ?? undefined);
    this.#isCalling = true;
    this.#isDone = false;
    const only = slices[0];
    if (slices.length === 1 && only !== undefined) socket._write(only, 'buffer', done);
    else socket._writev(entriesOf(slices), done);
    this.#isCalling = false;
    if (!this.#isDone) this.#waitingBytes += bytes;
    return true;
  }

  #onDone(bytes: number, error: Error | undefined): void {
    if (error !== undefined) {
      this.#isDone = true; // and what else waited fails as well
      this.#waitingBytes = 0;
      this.#socket.destroy(error);
    } else if (this.#isCalling) {
      this.#isDone = true;
    } else {
      this.#waitingBytes = Math.max(0, this.#waitingBytes - bytes);
      if (this.#waitingBytes === 0) this.#onDrained();
    }
  }
}

function entriesOf(slices: readonly Uint8Array[]): Entries {
  const entries: Entries = [];
  for (const chunk of slices) entries.push({ chunk });
  entries.allBuffers = true;
  return entries;
}

/** Whether it has what is written with. */
export function hasRawWrites(socket: Socket): socket is Socket & RawWrites {
  return typeof Reflect.get(socket, '_write') === 'function' && typeof Reflect.get(socket, '_writev') === 'function';
}
