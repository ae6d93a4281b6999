// One HTTP/2 connection to a server, over a connected socket.
import type { ByteBudget } from '../base/byte-budget.ts';
import type { Socket } from '../base/socket.ts';
import { ClientConnection } from './client-connection.ts';
import type { ConnectionEnd } from './client-connection.ts';
import type { Http2Limits } from './limits.ts';
import type { Http2Ports } from './session.ts';
import { SocketDriver } from './socket-driver.ts';
import type { ClientStream, OutgoingHeaders, RequestHeaders, ResponseHandler } from './stream.ts';

export interface Http2ClientPorts extends Http2Ports {
  readonly budget: ByteBudget;
  /** `freeStreams` or `ending` may have changed. Called before the output of a turn is written, never from within a call from above. */
  readonly onChange?: (() => void) | undefined;
}

/** One connection to a server. */
export interface Http2Client {
  /** Resolves when the socket has closed, whoever closed it. */
  readonly closed: Promise<void>;
  /** Streams in progress. */
  readonly streamCount: number;
  /**
   * How many streams may be opened now: what the server's SETTINGS_MAX_CONCURRENT_STREAMS (100 until its SETTINGS
   * came) and `limits.concurrentStreamsMax` leave. 0 when `ending` is set.
   */
  readonly freeStreams: number;
  /** Why no new streams are taken any more (GOAWAY, a fault, a drain, the end); undefined while they are. */
  readonly ending: ConnectionEnd | undefined;
  /**
   * Sends a request; only while `freeStreams` is above 0. `handler` is never called from within.
   * @throws CacheError `resource_exhausted` for headers longer than the server said that it takes.
   */
  open(headers: OutgoingHeaders | RequestHeaders, endStream: boolean, handler: ResponseHandler): ClientStream;
  /**
   * Round trip in milliseconds. One PING at most is on the wire; its answer is for everybody who asked meanwhile.
   * @throws CacheError `unavailable` when the connection ends first.
   */
  ping(): Promise<number>;
  /** Opens nothing more and ends after the last stream; resolves like `closed`. The caller bounds the wait with `close`. */
  drain(): Promise<void>;
  /** Ends the connection at once; streams in progress are reset. */
  close(): void;
}

/** Speaks HTTP/2 with prior knowledge (RFC 9113 §3.3), or what ALPN agreed on (§3.2), on a socket that is connected. */
export function connectHttp2(socket: Socket, limits: Http2Limits, ports: Http2ClientPorts): Http2Client {
  return new ClientSession(socket, limits, ports);
}

class ClientSession implements Http2Client {
  readonly #driver: SocketDriver<ClientConnection>;

  constructor(socket: Socket, limits: Http2Limits, ports: Http2ClientPorts) {
    const { log, clock, events, onChange, budget } = ports;
    const make = (wake: () => void) => new ClientConnection({ limits, clock, events, budget, onChange, wake });
    // Reads however much it has to send: what it reads makes it say next to nothing, and a server that sends much itself
    // does not read before that is taken.
    this.#driver = new SocketDriver(socket, { log, outputBytesMax: Infinity, budget }, make);
    this.#driver.start();
  }

  get closed(): Promise<void> {
    return this.#driver.closed;
  }

  get streamCount(): number {
    return this.#driver.connection.streamCount;
  }

  get freeStreams(): number {
    return this.#driver.connection.freeStreams;
  }

  get ending(): ConnectionEnd | undefined {
    return this.#driver.connection.ending;
  }

  open(headers: OutgoingHeaders | RequestHeaders, endStream: boolean, handler: ResponseHandler): ClientStream {
    return this.#driver.connection.open(headers, endStream, handler);
  }

  ping(): Promise<number> {
    return this.#driver.connection.ping();
  }

  drain(): Promise<void> {
    this.#driver.connection.drain();
    return this.closed;
  }

  close(): void {
    this.#driver.guarded(() => this.#driver.connection.abort(false));
    this.#driver.destroy();
  }
}
