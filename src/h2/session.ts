// Drives one HTTP/2 connection over a socket: one write per input event, one per turn for what comes later, and no
// reading while the output backs up.
import type { MonotonicClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Socket, SocketHandler } from '../base/socket.ts';
import type { ConnectionEvents } from './connection-events.ts';
import type { Http2Limits } from './limits.ts';
import { ServerConnection } from './server-connection.ts';
import type { StreamAcceptor } from './stream.ts';

/** What a session needs of the world. */
export interface Http2Ports {
  readonly clock: MonotonicClock;
  readonly log: Log;
  readonly events?: ConnectionEvents | undefined;
}

/** One connection being served. */
export interface Http2Session {
  /** Resolves when the socket has closed, whoever closed it. */
  readonly closed: Promise<void>;
  /** Streams in progress. */
  readonly streamCount: number;
  /** GOAWAY, then the end after the last stream; resolves like `closed`. The caller bounds the wait with `close`. */
  drain(): Promise<void>;
  /** In a drain: from now on new streams are refused, whether or not the client has answered the GOAWAY. */
  refuseNew(): void;
  /** Ends the connection with a last answer for every stream in progress; who does not take it is left to `close`. */
  cutOff(): void;
  /** Ends the connection at once; streams in progress are reset. */
  close(): void;
}

/** Serves HTTP/2 with prior knowledge (RFC 9113 §3.3) on a fresh connection, from its first byte on. */
export function serveHttp2(socket: Socket, acceptor: StreamAcceptor, limits: Http2Limits, ports: Http2Ports): Http2Session {
  return new SocketSession(socket, acceptor, limits, ports);
}

class SocketSession implements Http2Session, SocketHandler {
  readonly closed: Promise<void>;
  readonly #resolveClosed: () => void;
  readonly #socket: Socket;
  readonly #log: Log;
  readonly #outputBytesMax: number;
  readonly #connection: ServerConnection;
  #paused = false;
  #ended = false;

  constructor(socket: Socket, acceptor: StreamAcceptor, limits: Http2Limits, ports: Http2Ports) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#socket = socket;
    this.#log = ports.log;
    this.#outputBytesMax = limits.outputBytesMax;
    // A microtask: answers that are ready in the same turn go out together.
    const wake = () => queueMicrotask(() => this.#flush());
    this.#connection = new ServerConnection({ acceptor, limits, clock: ports.clock, events: ports.events, wake });
    socket.start(this);
    this.#flush();
  }

  get streamCount(): number {
    return this.#connection.streamCount;
  }

  drain(): Promise<void> {
    this.#connection.drain();
    return this.closed;
  }

  refuseNew(): void {
    this.#connection.refuseNew();
  }

  cutOff(): void {
    this.#guarded(() => this.#connection.cutOff());
    this.#flush();
  }

  close(): void {
    this.#guarded(() => this.#connection.abort());
    this.#socket.destroy();
  }

  onData(bytes: Uint8Array): void {
    this.#guarded(() => this.#connection.receive(bytes));
    this.#flush();
  }

  /** A client that will send no more has gone: nobody half-closes an HTTP/2 connection to wait for answers. */
  onEnd(): void {
    this.#guarded(() => this.#connection.abort());
    this.#flush();
  }

  onDrain(): void {
    this.#guarded(() => this.#connection.outlet.onBacklog(this.#socket.queuedBytes));
    this.#flush();
  }

  onClose(): void {
    this.#ended = true;
    this.#guarded(() => this.#connection.abort());
    this.#resolveClosed();
  }

  /** A handler that throws has a bug. It costs its connection, not the process. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#log.error('a stream handler threw; its connection is closed', thrown, { peer: this.#socket.peerName });
      // The handlers are told, and may throw again; the connection is over then, so this happens once at most.
      if (!this.#connection.isOver) this.#guarded(() => this.#connection.fail());
    }
  }

  #flush(): void {
    const { outlet } = this.#connection;
    for (;;) {
      const slices = outlet.take();
      if (slices.length === 0) break;
      this.#socket.write(slices);
      // May send more, if what was written has left already.
      this.#guarded(() => outlet.onBacklog(this.#socket.queuedBytes));
    }
    if (this.#connection.isOver) {
      this.#end();
      return;
    }
    const backedUp = this.#socket.queuedBytes >= this.#outputBytesMax;
    if (backedUp === this.#paused) return;
    this.#paused = backedUp;
    if (backedUp) this.#socket.pause();
    else this.#socket.resume();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#paused) this.#socket.resume(); // what still comes is dropped, so that the end of the peer is seen
    this.#socket.end();
  }
}
