// Accepts connections on one TCP address or unix socket and hands each to who speaks its protocol. Reads no
// further than it must to tell HTTP/2 from the rest.
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { CacheError } from '../base/cache-error.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import { errorCodeOf } from './error-code-of.ts';
import { sniffProtocol } from './protocol-sniffer.ts';
import { claimUnixSocketPath } from './unix-socket-path.ts';

/** A connection as the system gave it. */
export type AcceptedConnection = Socket;

/** Whoever is handed a connection owns it. */
export interface ProtocolHandlers {
  /** HTTP/2 with prior knowledge. `head` has been read already: the whole preface and what came with it. */
  http2(socket: AcceptedConnection, head: Uint8Array): void;
  /** Anything else. What was read has been put back. */
  other(socket: AcceptedConnection): void;
}

export interface ListenerLimits {
  /** More are closed as they come; TCP clients try again. */
  readonly connectionsMax: number;
  /** A connection whose first bytes do not show a protocol by then is closed. */
  readonly firstBytesTimeoutMs: number;
}

/** Finds dead peers, such as laptops that went to sleep, within the system's probe interval after this. */
const keepAliveInitialDelayMs = 60_000;

/** In a burst of failures, the first and every so-manieth are logged. */
const failuresPerLogLine = 64;

export class Listener implements AsyncDisposable {
  /** With the port that was picked. */
  readonly address: ListenAddress;
  readonly #server: Server;
  readonly #handlers: ProtocolHandlers;
  readonly #limits: ListenerLimits;
  /** Connections that have not shown their protocol. Bounded by `connectionsMax`. */
  readonly #undecided = new Set<Socket>();
  readonly #closed = Promise.withResolvers<void>();

  /**
   * Listens on `address`, whose host is an IP address.
   * @throws CacheError `failed_precondition`; first line what is wrong, second line what to do.
   */
  static async open(address: ListenAddress, handlers: ProtocolHandlers, limits: ListenerLimits, log: Log): Promise<Listener> {
    if (address.kind === 'unix') await claimUnixSocketPath(address.path);
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveInitialDelayMs });
    server.maxConnections = limits.connectionsMax;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }, resolve);
    try {
      await promise;
    } catch (cause) {
      throw listenFailure(address, cause);
    }
    server.off('error', reject);
    const bound = server.address();
    const port = bound === null || typeof bound === 'string' ? 0 : bound.port;
    return new Listener(server, address.kind === 'unix' ? address : { ...address, port }, { handlers, limits, log });
  }

  private constructor(server: Server, address: ListenAddress, parts: { handlers: ProtocolHandlers; limits: ListenerLimits; log: Log }) {
    this.#server = server;
    this.address = address;
    this.#handlers = parts.handlers;
    this.#limits = parts.limits;
    server.on('connection', (socket) => this.#accept(socket));
    server.on('close', () => this.#closed.resolve());
    this.#logFailures(parts.log);
  }

  /** Accepts no more; connections that have not shown their protocol are closed, others live on. Idempotent. */
  stopAccepting(): void {
    this.#server.close();
    for (const socket of this.#undecided) socket.destroy();
  }

  /** Stops accepting and waits until the last connection, whoever owns it, has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stopAccepting();
    await this.#closed.promise;
  }

  #logFailures(log: Log): void {
    const address = formatListenAddress(this.address);
    const report = (message: string, count: number, fields: Record<string, string | number>): void => {
      if (count % failuresPerLogLine === 1) log.warn(message, { address, count, ...fields });
    };
    let refused = 0;
    this.#server.on('drop', () => report('connection refused: too many are open', ++refused, { connectionsMax: this.#limits.connectionsMax }));
    let failed = 0;
    this.#server.on('error', (error) => report('cannot accept a connection', ++failed, { reason: errorCodeOf(error) }));
  }

  #accept(socket: Socket): void {
    this.#undecided.add(socket);
    let head = Buffer.alloc(0);
    const settle = (): void => {
      clearTimeout(deadline);
      this.#undecided.delete(socket);
      socket.off('readable', onReadable).off('end', discard).off('error', discard).off('close', settle);
    };
    const discard = (): void => {
      settle();
      // Somebody must hear a late error, or it ends the process.
      socket.on('error', () => {});
      socket.destroy();
    };
    const onReadable = (): void => {
      for (let chunk = readChunk(socket); chunk !== undefined; chunk = readChunk(socket)) {
        head = head.byteLength === 0 ? chunk : Buffer.concat([head, chunk]);
        const protocol = sniffProtocol(head);
        if (protocol === 'undecided') continue;
        settle();
        if (protocol === 'http2') {
          this.#handlers.http2(socket, head);
        } else {
          socket.unshift(head);
          this.#handlers.other(socket);
        }
        return;
      }
    };
    const deadline = setTimeout(discard, this.#limits.firstBytesTimeoutMs);
    deadline.unref();
    socket.on('readable', onReadable).on('end', discard).on('error', discard).on('close', settle);
  }
}

function readChunk(socket: Socket): Buffer<ArrayBuffer> | undefined {
  const chunk: unknown = socket.read();
  return chunk instanceof Buffer ? (chunk as Buffer<ArrayBuffer>) : undefined;
}

function listenFailure(address: ListenAddress, cause: unknown): CacheError {
  const where = formatListenAddress(address);
  const code = errorCodeOf(cause);
  const [problem, advice] = {
    EADDRINUSE: [`${where} is in use by another process`, 'stop that process, or choose another port; --listen 127.0.0.1:0 picks a free one'],
    EACCES: [`no permission to listen on ${where}`, address.kind === 'unix' ? 'choose a directory you may write to: --listen unix:PATH' : 'choose a port above 1023: --listen 127.0.0.1:9092'],
    EADDRNOTAVAIL: [`this machine has no interface with the address of ${where}`, 'choose an address of this machine: --listen 127.0.0.1:9092'],
  }[code] ?? [`cannot listen on ${where} (${code})`, 'choose another address: --listen 127.0.0.1:9092'];
  return new CacheError('failed_precondition', `${problem}\n${advice}`, { cause });
}
