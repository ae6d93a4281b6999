// Connections that we make, with node:net and node:tls. Where a name has several addresses, Node tries them one after
// the other in quick succession (RFC 8305, "happy eyeballs").
import * as net from 'node:net';
import * as tls from 'node:tls';
import { CacheError } from '../base/cache-error.ts';
import { targetName } from '../base/connector.ts';
import type { ClientTls, ConnectOptions, ConnectTarget, Connector } from '../base/connector.ts';
import type { Socket, SocketHandler, SocketTraffic } from '../base/socket.ts';
import { connectFailure, noHttp2Failure } from './connect-failure.ts';
import { nodeSocket } from './node-socket.ts';
import { readSmallFile } from './small-file.ts';

/** A bundle of the authorities of the world has 200 to 400 KiB. */
const pemBytesMax = 1024 * 1024;

export class NodeConnector implements Connector {
  /** Reading all authorities of the system takes some 30 ms, so it is done once. */
  #systemTrust: tls.SecureContext | undefined;

  async connect(target: ConnectTarget, { signal, timeoutMs }: ConnectOptions): Promise<Socket> {
    const given = target.tls === undefined ? undefined : { tls: target.tls, context: await this.#contextOf(target.tls) };
    if (signal?.aborted === true) throw cancelled(target);
    const socket = given === undefined ? net.connect(pathOf(target)) : tls.connect(tlsOptions(target, given));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => reject(cancelled(target));
    const timer = setTimeout(() => reject(new CacheError('unavailable', `cannot connect to ${targetName(target)}: nothing came of it within ${timeoutMs} ms`)), timeoutMs);
    socket.once(given === undefined ? 'connect' : 'secureConnect', resolve);
    socket.once('error', reject);
    const onClose = (): void => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    socket.once('close', onClose);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
      if (socket instanceof tls.TLSSocket && socket.alpnProtocol !== 'h2') throw noHttp2Failure(target);
    } catch (thrown) {
      socket.destroy();
      throw connectFailure(target, thrown);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.on('error', () => {}); // of no interest after a failure; else its owner learns it from the port
      socket.off('close', onClose);
    }
    return given === undefined ? nodeSocket(socket) : new HandshakenSocket(nodeSocket(socket), target);
  }

  async #contextOf({ caFile, certificate }: ClientTls): Promise<tls.SecureContext> {
    if (caFile === undefined && certificate === undefined) return (this.#systemTrust ??= tls.createSecureContext({ ca: systemAuthorities() }));
    const ca = caFile === undefined ? systemAuthorities() : await pemOf(caFile);
    const own = certificate === undefined ? {} : { cert: await pemOf(certificate.certificateFile), key: await pemOf(certificate.keyFile) };
    try {
      return tls.createSecureContext({ ca, ...own });
    } catch (cause) {
      throw new CacheError('invalid_argument', `the files for TLS do not fit together: ${cause instanceof Error ? cause.message : String(cause)}\n${filesOf({ caFile, certificate })}`, { cause });
    }
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
  const pem = Buffer.from(await readSmallFile(path, pemBytesMax));
  if (!pem.includes('-----BEGIN ')) throw new CacheError('invalid_argument', `${path} has nothing in PEM in it\nname a file with -----BEGIN CERTIFICATE----- or a key`);
  return pem;
}

function filesOf({ caFile, certificate }: ClientTls): string {
  return `look at ${[caFile, certificate?.certificateFile, certificate?.keyFile].filter((path) => path !== undefined).join(', ')}`;
}

function cancelled(target: ConnectTarget): CacheError {
  return new CacheError('cancelled', `connecting to ${targetName(target)} was cancelled`);
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
