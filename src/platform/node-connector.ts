// Connections that we make, with node:net and node:tls. Where a name has several addresses, Node tries them one after
// the other in quick succession (RFC 8305, "happy eyeballs").
import { createHash } from 'node:crypto';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { BoundedMap } from '../base/bounded-map.ts';
import { CacheError } from '../base/cache-error.ts';
import { targetName } from '../base/connector.ts';
import type { ClientTls, ConnectOptions, ConnectTarget, Connector } from '../base/connector.ts';
import type { Socket, SocketHandler, SocketTraffic } from '../base/socket.ts';
import { connectFailure, noHttp2Failure } from './connect-failure.ts';
import { nodeSocket } from './node-socket.ts';
import { readSmallFile } from './small-file.ts';

/** A bundle of the authorities of the world has 200 to 400 KiB. */
const pemBytesMax = 1024 * 1024;

/** A process has a few servers and a certificate or two for them; each context with the system's authorities takes a megabyte. */
const contextsMax = 8;

export class NodeConnector implements Connector {
  /**
   * By a hash of all that they were made from. Parsing the authorities of a system takes some 70 ms of the event loop,
   * and their files are the same for nearly every connection.
   */
  readonly #contexts = new BoundedMap<string, tls.SecureContext>(contextsMax);

  /** When it fails, no socket of it is left open. */
  async connect(target: ConnectTarget, options: ConnectOptions): Promise<Socket> {
    using limit = new ConnectLimit(target, options);
    // Files can keep somebody waiting too: pipes, and those of a file server that is gone.
    const secure = await limit.first(this.#secure(target));
    const socket = secure === undefined ? net.connect(pathOf(target)) : tls.connect(tlsOptions(target, secure));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onClose = (): void => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    socket.once(secure === undefined ? 'connect' : 'secureConnect', resolve);
    const closed = Promise.withResolvers<void>();
    socket.once('error', reject);
    socket.once('close', onClose);
    socket.once('close', closed.resolve);
    try {
      await limit.first(promise);
      if (socket instanceof tls.TLSSocket && socket.alpnProtocol !== 'h2') throw noHttp2Failure(target);
    } catch (thrown) {
      socket.destroy();
      if (!socket.closed) await closed.promise;
      throw connectFailure(target, thrown);
    } finally {
      socket.on('error', () => {}); // of no interest after a failure; else its owner learns it from the port
      socket.off('close', onClose);
    }
    return secure === undefined ? nodeSocket(socket) : new HandshakenSocket(nodeSocket(socket), target);
  }

  async #secure({ tls: given }: ConnectTarget): Promise<{ readonly tls: ClientTls; readonly context: tls.SecureContext } | undefined> {
    return given === undefined ? undefined : { tls: given, context: await this.#contextOf(given) };
  }

  async #contextOf({ caFile, certificate }: ClientTls): Promise<tls.SecureContext> {
    const ca = caFile === undefined ? undefined : await pemOf(caFile);
    const cert = certificate === undefined ? undefined : await pemOf(certificate.certificateFile);
    const key = certificate === undefined ? undefined : await pemOf(certificate.keyFile);
    const identity = identityOf([ca, cert, key]);
    const known = this.#contexts.get(identity);
    if (known !== undefined) return known;
    try {
      const context = tls.createSecureContext({ ca: ca ?? systemAuthorities(), cert, key });
      this.#contexts.set(identity, context);
      return context;
    } catch (cause) {
      throw new CacheError('invalid_argument', `the files for TLS do not fit together: ${cause instanceof Error ? cause.message : String(cause)}\n${filesOf({ caFile, certificate })}`, { cause });
    }
  }
}

/** The end of a try to connect, by its time or its caller, for each of its steps. */
class ConnectLimit implements Disposable {
  readonly #over = Promise.withResolvers<never>();
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort: () => void;

  constructor(target: ConnectTarget, { signal, timeoutMs }: ConnectOptions) {
    this.#signal = signal;
    this.#over.promise.catch(() => {}); // told to whichever step is under way
    this.#onAbort = () => this.#over.reject(new CacheError('cancelled', `connecting to ${targetName(target)} was cancelled`));
    this.#timer = setTimeout(() => this.#over.reject(new CacheError('unavailable', `cannot connect to ${targetName(target)}: nothing came of it within ${timeoutMs} ms`)), timeoutMs);
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted === true) this.#onAbort();
  }

  /** What `step` gives, unless the end comes first; nobody is told then what becomes of it. */
  first<T>(step: Promise<T>): Promise<T> {
    return Promise.race([this.#over.promise, step]);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

function pathOf({ address }: ConnectTarget): net.NetConnectOpts {
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port, autoSelectFamily: true };
}

function tlsOptions(target: ConnectTarget, given: { readonly tls: ClientTls; readonly context: tls.SecureContext }): tls.ConnectionOptions {
  const host = target.address.kind === 'tcp' ? target.address.host : 'localhost';
  const serverName = given.tls.serverName ?? host;
  return {
    ...pathOf(target),
    secureContext: given.context,
    ALPNProtocols: ['h2'],
    // SNI takes names only (RFC 6066 §3); an address is checked against the certificate all the same.
    ...(net.isIP(serverName) === 0 ? { servername: serverName } : {}),
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity(serverName, certificate),
  };
}

/** Those that come with Node and those of the machine: the second has what an organisation has added. */
export function systemAuthorities(): string[] {
  return [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')])];
}

async function pemOf(path: string): Promise<Buffer> {
  const pem = Buffer.from(await readSmallFile(path, pemBytesMax + 1));
  // A part of it would be other authorities than were meant.
  if (pem.byteLength > pemBytesMax) throw new CacheError('invalid_argument', `${path} is longer than ${pemBytesMax / 1024} KiB\nkeep in it only the certificates that are needed`);
  if (!pem.includes('-----BEGIN ')) throw new CacheError('invalid_argument', `${path} has nothing in PEM in it\nname a file with -----BEGIN CERTIFICATE----- or a key`);
  return pem;
}

function filesOf({ caFile, certificate }: ClientTls): string {
  return `look at ${[caFile, certificate?.certificateFile, certificate?.keyFile].filter((path) => path !== undefined).join(', ')}`;
}

/** The same for the same files only. A hash, so that no key is kept. */
function identityOf(files: readonly (Uint8Array | undefined)[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file === undefined ? 'none\n' : `${file.byteLength}\n`).update(file ?? '');
  return hash.digest('base64');
}

/**
 * With TLS 1.3 a server says only after the handshake of its client that it does not accept its certificate. What the
 * connection then ends with is put into words as if it had happened while connecting.
 */
class HandshakenSocket implements Socket {
  readonly #inner: Socket;
  readonly #target: ConnectTarget;

  constructor(inner: Socket, target: ConnectTarget) {
    this.#inner = inner;
    this.#target = target;
  }

  get peerName(): string {
    return this.#inner.peerName;
  }

  get queuedBytes(): number {
    return this.#inner.queuedBytes;
  }

  get traffic(): SocketTraffic | undefined {
    return this.#inner.traffic;
  }

  start(handler: SocketHandler): void {
    let hasRead = false;
    this.#inner.start({
      onData(bytes) {
        hasRead = true;
        handler.onData(bytes);
      },
      onEnd: () => handler.onEnd(),
      onDrain: () => handler.onDrain(),
      onClose: (error) => handler.onClose(error === undefined || hasRead ? error : connectFailure(this.#target, error)),
    });
  }

  write(slices: readonly Uint8Array[]): void {
    this.#inner.write(slices);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  end(): void {
    this.#inner.end();
  }

  destroy(): void {
    this.#inner.destroy();
  }
}
