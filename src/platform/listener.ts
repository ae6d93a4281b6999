// Accepts connections on one TCP address or unix socket and hands each to who speaks its protocol. Reads no
// further than it must to tell HTTP/2 from the rest. Where it has TLS, that comes first, and nothing goes without.
import { createServer } from 'node:net';
import type { ListenOptions, Server, Socket } from 'node:net';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import { errorCodeOf } from './error-code-of.ts';
import { readFirstBytes } from './first-bytes.ts';
import { unixPathOf } from './inherited-sockets.ts';
import type { InheritedSocket } from './inherited-sockets.ts';
import { sniffProtocol } from './protocol-sniffer.ts';
import type { SniffedProtocol } from './protocol-sniffer.ts';
import type { TlsTerminator } from './tls-terminator.ts';
import { claimUnixSocketPath } from './unix-socket-path.ts';

/** A connection as the system gave it, or what is inside of its TLS. */
export type AcceptedConnection = Socket;

/** Whoever is handed a connection owns it. */
export interface ProtocolHandlers {
  /** HTTP/2. `head` has been read already: the whole preface and what came with it; nothing where ALPN has said it. */
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

/** TLS for a listener. */
export interface ListenerTls {
  readonly terminator: TlsTerminator;
  /** The last words to a client that speaks HTTP/1.1 or HTTP/2 and may not stay. */
  readonly refusals: { http1(text: string): Uint8Array; http2(text: string): Uint8Array };
}

/** Connections since the start, and now. */
export interface ListenerCounts {
  readonly accepted: number;
  /** Closed as they came, since `connectionsMax` were open. */
  readonly refused: number;
  /** Accepting failed, mostly for want of file descriptors. */
  readonly failed: number;
  /** Closed because they did not show a protocol in time. */
  readonly silent: number;
  /** Closed because they spoke plaintext where TLS is spoken. */
  readonly plaintext: number;
  /** Closed because they spoke TLS where it is not spoken. */
  readonly tls: number;
  readonly open: number;
}

/** Finds dead peers, such as laptops that went to sleep, within the system's probe interval after this. */
const keepAliveInitialDelayMs = 60_000;

/** How long a client that was told something may take to read it, milliseconds. */
const lastWordsLingerMs = 1_000;

const plaintextText = 'this port speaks TLS: use https:// for HTTP and grpcs:// for gRPC';

/** A fatal alert, handshake_failure (RFC 8446 §6): there is nobody here to shake hands with. */
const tlsAlert = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]);

/**
 * Connections that the system keeps until they are accepted, as in packaging/systemd/kiln.socket; Node's 511 would replace
 * that. A build farm comes back all at once after a restart. The system has a bound of its own (net.core.somaxconn).
 */
const acceptBacklog = 1_024;

/** In a burst of failures, the first and every so-manieth are logged. */
const failuresPerLogLine = 64;

const serverOptions = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveInitialDelayMs };

export class Listener implements AsyncDisposable {
  #address: ListenAddress;
  readonly #server: Server;
  readonly #log: Log;
  readonly #tls: ListenerTls | undefined;
  #limits: ListenerLimits;
  #handlers: ProtocolHandlers | undefined;
  /** Connections that came before `serve`. Bounded by `connectionsMax`. */
  #early: Socket[] = [];
  /** Connections that have not shown their protocol. Bounded by `connectionsMax`. */
  readonly #undecided = new Set<Socket>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #counts = { accepted: 0, refused: 0, failed: 0, silent: 0, plaintext: 0, tls: 0, open: 0 };

  /**
   * Listens on `address`, whose host is an IP address. Connections wait for `serve`. There is no TLS on unix sockets.
   * @throws CacheError `failed_precondition`; first line what is wrong, second line what to do.
   */
  static async open(address: ListenAddress, limits: ListenerLimits, log: Log, tls?: ListenerTls): Promise<Listener> {
    if (address.kind === 'unix') await claimUnixSocketPath(address.path);
    const server = createServer(serverOptions);
    try {
      await listening(server, address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port });
    } catch (cause) {
      throw listenFailure(address, cause);
    }
    const bound = server.address();
    const port = bound === null || typeof bound === 'string' ? 0 : bound.port;
    return new Listener(server, address.kind === 'unix' ? address : { ...address, port }, { limits, log, tls });
  }

  /**
   * Accepts from a socket that somebody else has opened, and owns it. Connections wait for `serve`.
   * @throws CacheError `failed_precondition` for what is no listening stream socket; two lines as above.
   */
  static async adopt({ fd, name }: InheritedSocket, limits: ListenerLimits, log: Log, tls?: ListenerTls): Promise<Listener> {
    const server = createServer(serverOptions);
    try {
      await listening(server, { fd });
    } catch (cause) {
      throw new CacheError(
        'failed_precondition',
        `file descriptor ${fd} (${name}), handed over as a socket, cannot be listened on (${errorCodeOf(cause)})\n` +
          'in the .socket unit, use ListenStream= and Accept=no',
        { cause },
      );
    }
    const bound = server.address();
    // Node tells no path of a unix socket that it has not bound.
    const isUnix = bound === null || typeof bound === 'string';
    const address: ListenAddress = isUnix ? { kind: 'unix', path: name } : { kind: 'tcp', host: bound.address, port: bound.port };
    const listener = new Listener(server, address, { limits, log, tls });
    const path = isUnix ? await unixPathOf(fd) : undefined;
    if (path !== undefined) listener.#address = { kind: 'unix', path };
    return listener;
  }

  private constructor(server: Server, address: ListenAddress, parts: { limits: ListenerLimits; log: Log; tls: ListenerTls | undefined }) {
    this.#server = server;
    this.#address = address;
    this.#limits = parts.limits;
    this.#log = parts.log;
    this.#tls = address.kind === 'tcp' ? parts.tls : undefined;
    server.maxConnections = parts.limits.connectionsMax;
    server.on('connection', (socket) => this.#onConnection(socket));
    server.on('close', () => this.#closed.resolve());
    this.#logFailures(parts.log);
  }

  /** With the port that was picked. */
  get address(): ListenAddress {
    return this.#address;
  }

  get speaksTls(): boolean {
    return this.#tls !== undefined;
  }

  /** Hands every connection to `handlers`, those first that came before. Called once. */
  serve(handlers: ProtocolHandlers): void {
    assert(this.#handlers === undefined, 'a listener is served once');
    this.#handlers = handlers;
    for (const socket of this.#early) {
      socket.off('error', ignore);
      this.#accept(socket, handlers);
    }
    this.#early = [];
  }

  /** Bounds new connections anew; those that are open stay. */
  limit(limits: ListenerLimits): void {
    this.#limits = limits;
    this.#server.maxConnections = limits.connectionsMax;
  }

  get counts(): ListenerCounts {
    return this.#counts;
  }

  /** Accepts no more; connections that have not shown their protocol are closed, others live on. Idempotent. */
  stopAccepting(): void {
    this.#server.close();
    for (const socket of [...this.#undecided, ...this.#early]) socket.destroy();
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
    const counts = this.#counts;
    this.#server.on('drop', () => report('connection refused: too many are open', ++counts.refused, { connectionsMax: this.#limits.connectionsMax }));
    this.#server.on('error', (error) => report('cannot accept a connection', ++counts.failed, { reason: errorCodeOf(error) }));
  }

  #onConnection(socket: Socket): void {
    if (this.#handlers !== undefined) {
      this.#accept(socket, this.#handlers);
      return;
    }
    socket.on('error', ignore); // nothing is read, so a client that leaves is only noticed later
    this.#early.push(socket);
  }

  #accept(socket: Socket, handlers: ProtocolHandlers): void {
    this.#counts.accepted += 1;
    this.#counts.open += 1;
    socket.once('close', () => (this.#counts.open -= 1));
    this.#readProtocol(socket, (protocol, head) => {
      if (this.#tls === undefined) {
        if (protocol === 'tls') this.#refuseTls(socket);
        else handOver(socket, { protocol, head, handlers });
      } else if (protocol === 'tls') {
        socket.unshift(head);
        this.#secure(socket, this.#tls, handlers);
      } else {
        this.#refusePlaintext(socket, { protocol, head, tls: this.#tls });
      }
    });
  }

  /** Calls `known` as soon as the first bytes show a protocol; in good time, or the connection is closed. */
  #readProtocol(socket: Socket, known: (protocol: Protocol, head: Buffer) => void): void {
    this.#undecided.add(socket);
    const decided = (protocol: Protocol | undefined, head: Buffer): void => {
      clearTimeout(deadline);
      this.#undecided.delete(socket);
      if (protocol !== undefined) {
        known(protocol, head);
        return;
      }
      socket.on('error', ignore); // somebody must hear a late error, or it ends the process
      socket.destroy();
    };
    const watch = readFirstBytes(socket, { decide: decidedProtocol, decided });
    const deadline = setTimeout(() => {
      this.#counts.silent += 1;
      watch[Symbol.dispose]();
      decided(undefined, Buffer.alloc(0));
    }, this.#limits.firstBytesTimeoutMs);
    deadline.unref();
  }

  #secure(socket: Socket, { terminator, refusals }: ListenerTls, handlers: ProtocolHandlers): void {
    this.#undecided.add(socket);
    socket.once('close', () => this.#undecided.delete(socket));
    terminator.secure(socket, {
      onSecure: (secure) => {
        this.#undecided.delete(socket);
        if (secure.alpnProtocol === 'h2') handlers.http2(secure, new Uint8Array(0));
        else if (secure.alpnProtocol === 'http/1.1') handlers.other(secure);
        // A client that names no protocol may speak either, as without TLS.
        else this.#readProtocol(secure, (protocol, head) => handOver(secure, { protocol, head, handlers }));
      },
      onUnwelcome(secure, text) {
        endWith(secure, secure.alpnProtocol === 'h2' ? refusals.http2(text) : refusals.http1(text));
      },
    });
  }

  #refusePlaintext(socket: Socket, { protocol, head, tls: { refusals } }: { protocol: Protocol; head: Buffer; tls: ListenerTls }): void {
    this.#counts.plaintext += 1;
    this.#log.info('plaintext was sent to an address that speaks TLS; clients must use grpcs:// or https://', { address: formatListenAddress(this.#address), peer: peerOf(socket) });
    // What is no text is no HTTP, and an answer in HTTP would mean nothing to its sender.
    const isText = /^[A-Z]/.test(head.toString('latin1', 0, 1));
    endWith(socket, protocol === 'http2' ? refusals.http2(plaintextText) : isText ? refusals.http1(plaintextText) : new Uint8Array(0));
  }

  #refuseTls(socket: Socket): void {
    this.#counts.tls += 1;
    this.#log.info('TLS was spoken to an address without it; clients must use grpc:// or http://, or tls.certificate be configured here', { address: formatListenAddress(this.#address), peer: peerOf(socket) });
    endWith(socket, tlsAlert);
  }
}

type Protocol = Exclude<SniffedProtocol, 'undecided'>;

function decidedProtocol(head: Buffer): Protocol | undefined {
  const protocol = sniffProtocol(head);
  return protocol === 'undecided' ? undefined : protocol;
}

/** To who speaks the protocol. */
function handOver(socket: Socket, { protocol, head, handlers }: { protocol: Protocol; head: Buffer; handlers: ProtocolHandlers }): void {
  if (protocol === 'http2') {
    handlers.http2(socket, head);
    return;
  }
  socket.unshift(head);
  handlers.other(socket);
}

/** Says one last thing; whoever does not take it is cut off. */
function endWith(socket: Socket, words: Uint8Array): void {
  socket.on('error', ignore);
  socket.resume();
  socket.end(words);
  setTimeout(() => socket.destroy(), lastWordsLingerMs).unref();
}

function peerOf(socket: Socket): string {
  return socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`;
}

function ignore(): void {}

/** Resolves when `server` listens. @throws what the system reports. */
async function listening(server: Server, where: ListenOptions | { readonly fd: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ ...where, backlog: acceptBacklog }, resolve); // throws for a descriptor that is no socket
  await promise;
  server.off('error', reject);
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
