// Drives one HTTP/2 connection over a socket: one write per input event, one per turn for what comes later, and no
// reading while the output backs up. The same at both ends.
import { HeldBytes, unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget, InputGate } from '../base/byte-budget.ts';
import type { Log } from '../base/log.ts';
import type { Socket, SocketHandler } from '../base/socket.ts';
import type { Outlet } from './outlet.ts';

/**
 * Answers alone fill the output to its bound, and then a client that takes them must still be heard: it opens windows,
 * cancels, asks whether we are there. Only what is said to all that, beyond as much again, makes us stop listening.
 */
const silencingShare = 2;

/** What is driven. */
export interface DrivenConnection {
  readonly outlet: Outlet;
  readonly isOver: boolean;
  /** Of what came and is not complete. */
  readonly gatheredBytes?: number;
  /** It holds what only the peer can let go, so what comes is read although memory is used up. Default: no. */
  readonly readsWhenExhausted?: boolean;
  receive(bytes: Uint8Array): void;
  /** The peer is gone. */
  abort(): void;
  /** A handler threw. */
  fail(): void;
  /** What was opened and sent is about to be taken; the moment to add to it, and to tell others what changed. */
  onTake?(): void;
}

/** What the driver needs to know. */
export interface DriverParts {
  readonly log: Log;
  /** So much DATA may be on its way to the kernel; at twice that, nothing is read. */
  readonly outputBytesMax: number;
  /** Of what waits on the way to the kernel, and whether there is room to read more; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
}

/** Starts with `start`; over when the socket has closed. */
export class SocketDriver<C extends DrivenConnection> implements SocketHandler, InputGate {
  readonly connection: C;
  /** Resolves when the socket has closed, whoever closed it. */
  readonly closed: Promise<void>;
  readonly #resolveClosed: () => void;
  readonly #socket: Socket;
  readonly #parts: DriverParts;
  readonly #budget: ByteBudget;
  readonly #held: HeldBytes;
  #watch: Disposable | undefined;
  /** Not any more once the socket is closed, whose figures mean nothing then. */
  #counts = true;
  #writtenBytes = 0;
  /** What had been written and what had left when it was last asked whether the peer has stalled, in one figure. */
  #lastMovedBytes = -1;
  #paused = false;
  #ended = false;

  /** `make` is given what the connection calls when there is output to take. */
  constructor(socket: Socket, parts: DriverParts, make: (wake: () => void) => C) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#socket = socket;
    this.#parts = parts;
    this.#budget = parts.budget ?? unboundedByteBudget();
    this.#held = new HeldBytes(this.#budget);
    // A microtask: answers that are ready in the same turn go out together.
    this.connection = make(() => queueMicrotask(() => this.flush()));
  }

  /** Whether what comes is read. */
  get isReading(): boolean {
    return !this.#paused;
  }

  start(): void {
    this.#socket.start(this);
    this.#watch = this.#budget.watch(this);
    this.flush();
  }

  onData(bytes: Uint8Array): void {
    this.#noteBacklog(); // the moment to use the output buffer again: nothing waits in it yet
    this.guarded(() => this.connection.receive(bytes));
    this.flush();
  }

  /** A peer that will send no more has gone: nobody half-closes an HTTP/2 connection to wait for answers. */
  onEnd(): void {
    this.guarded(() => this.connection.abort());
    this.flush();
  }

  onDrain(): void {
    this.#tellBacklog();
    this.flush();
  }

  onExhausted(): void {
    if (this.#paused || this.#ended || this.connection.readsWhenExhausted === true) return;
    this.#paused = true;
    this.#socket.pause();
  }

  onRelief(): void {
    this.flush();
  }

  onClose(): void {
    this.#ended = true;
    this.#uncount();
    this.#watch?.[Symbol.dispose]();
    this.guarded(() => this.connection.abort());
    this.guarded(() => this.connection.onTake?.());
    this.#resolveClosed();
  }

  /** Closes at once; what waits is lost. */
  destroy(): void {
    this.#uncount();
    this.#socket.destroy();
  }

  /** Whether something waits for the peer, and nothing has come or gone since this was asked last. */
  hasStalled(): boolean {
    const { queuedBytes, traffic } = this.#socket;
    const sentBytes = traffic?.sentBytes ?? this.#writtenBytes - queuedBytes; // what is queued goes down by whole writes only
    const movedBytes = this.#writtenBytes + sentBytes;
    const stalled = queuedBytes > 0 && movedBytes === this.#lastMovedBytes;
    this.#lastMovedBytes = movedBytes;
    return stalled;
  }

  /** A handler that throws has a bug. It costs its connection, not the process. */
  guarded(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#parts.log.error('a stream handler threw; its connection is closed', thrown, { peer: this.#socket.peerName });
      // The handlers are told, and may throw again; the connection is over then, so this happens once at most.
      if (!this.connection.isOver) this.guarded(() => this.connection.fail());
    }
  }

  /** Nothing is in progress: holds as little as it can. */
  rest(): void {
    const { outlet } = this.connection;
    if (outlet.backlogBytes > 0 || this.#socket.queuedBytes > 0) return;
    outlet.rest();
    this.#count();
  }

  /** Writes what there is, and ends the socket when the connection is over. */
  flush(): void {
    const { connection } = this;
    const { outlet } = connection;
    if (connection.onTake !== undefined) this.guarded(() => connection.onTake?.());
    this.#noteBacklog();
    for (;;) {
      const slices = outlet.take();
      if (slices.length === 0) break;
      this.#socket.write(slices);
      for (const { length } of slices) this.#writtenBytes += length;
      this.#tellBacklog(); // may send more, if what was written has left already
    }
    const { queuedBytes } = this.#socket;
    this.#count(queuedBytes);
    if (connection.isOver) {
      this.#end();
      return;
    }
    const pauses = queuedBytes >= silencingShare * this.#parts.outputBytesMax || (this.#budget.isExhausted && connection.readsWhenExhausted !== true);
    if (pauses === this.#paused) return;
    this.#paused = pauses;
    if (pauses) this.#socket.pause();
    else this.#socket.resume();
  }

  /** What is little leaves without a word: a socket tells of a drain only when it had asked to wait for it. */
  #noteBacklog(): void {
    if (this.connection.outlet.backlogBytes > 0) this.#tellBacklog();
  }

  /** Not once it is over: a socket that was ended drops what it is given, and then it is not the last that waits. */
  #tellBacklog(): void {
    const { connection } = this;
    if (!connection.isOver) this.guarded(() => connection.outlet.onBacklog(this.#socket.queuedBytes));
  }

  #count(queuedBytes = 0): void {
    const { connection } = this;
    if (this.#counts) this.#held.set(queuedBytes + connection.outlet.spareBytes + (connection.gatheredBytes ?? 0));
  }

  #uncount(): void {
    this.#counts = false;
    this.#held.set(0);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#paused) this.#socket.resume(); // what still comes is dropped, so that the end of the peer is seen
    this.#socket.end();
  }
}
