// TLS on accepted connections, by node:tls: what goes in has begun with a ClientHello, what comes out speaks HTTP.
// Certificates can be replaced while it works; connections that are open keep what they have.
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Server, TLSSocket, TlsOptions } from 'node:tls';
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';
import { monotonicClock, timers, wallClock } from './clocks.ts';
import { errorCodeOf } from './error-code-of.ts';
import { HandshakeLine } from './handshake-line.ts';
import type { HandshakeEnd, HandshakeLimits } from './handshake-line.ts';

/** What is shown to clients and asked of them. The key is a secret. */
export interface TlsSettings {
  /** PEM; the server's certificate first. */
  readonly certificateChain: string;
  readonly key: string;
  /** PEM: who may have issued the certificates of clients. */
  readonly clientAuthorities: string | undefined;
  /** `optional`: a client may come without one, but not with a wrong one. */
  readonly clientCertificates: 'off' | 'optional' | 'required';
  readonly minVersion: '1.2' | '1.3';
}

/** Handshakes since the start, by how they ended. */
export interface HandshakeCounts {
  readonly done: number;
  readonly failed: Readonly<Record<HandshakeFailure, number>>;
}

/**
 * `client_left` hung up or did not answer any more; `unsupported` shares no version, cipher or protocol; `certificate` has
 * no client certificate, or one that is not believed; `rejected` did not like ours; `other` is malformed.
 */
export type HandshakeFailure = HandshakeEnd | 'client_left' | 'unsupported' | 'certificate' | 'rejected' | 'other';

/**
 * Forward secrecy and authenticated encryption only, as HTTP/2 asks (RFC 9113 §9.2.2). AES-128 first: it is as safe as
 * needed and a fifth faster than AES-256; clients without AES in hardware name ChaCha20 first and get it.
 */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * What keys are agreed on with: the hybrid that also stands against quantum computers, which new clients bring along, and
 * what every client knows. X448 and P-521, which Node would add, cost a stranger nothing and us several times as much.
 */
const groups = 'X25519MLKEM768:X25519:P-256:P-384';

/** In this order: one who speaks both gets HTTP/2. */
const protocols = ['h2', 'http/1.1'];

/** Who is told of a handshake that came to its end. */
export interface SecuredHandler {
  onSecure(secure: TLSSocket): void;
  /** The handshake is done, but the client may not stay: it has no certificate, or not a right one. `text` is for it. */
  onUnwelcome(secure: TLSSocket, text: string): void;
}

interface Handshake {
  readonly socket: Socket;
  readonly handler: SecuredHandler;
}

export class TlsTerminator {
  readonly #log: Log;
  readonly #line: HandshakeLine<Handshake>;
  /** By both ends of the connection, which is what node:tls gives back. Bounded by `handshakesMax`. */
  readonly #begun = new Map<string, Handshake>();
  readonly #failed: Record<HandshakeFailure, number> = { timeout: 0, crowded: 0, client_left: 0, unsupported: 0, certificate: 0, rejected: 0, other: 0 };
  #done = 0;
  #server: Server;
  #clientCertificates: TlsSettings['clientCertificates'];

  /** @throws CacheError `invalid_argument` for what OpenSSL does not take; first line what is wrong, second what to do. */
  constructor(settings: TlsSettings, limits: HandshakeLimits, log: Log) {
    this.#log = log;
    this.#line = new HandshakeLine(limits, {
      clock: monotonicClock,
      timers,
      begin: (handshake) => this.#begin(handshake),
      giveUp: (handshake, why) => this.#giveUp(handshake, why),
    });
    this.#server = this.#serverWith(settings);
    this.#clientCertificates = settings.clientCertificates;
  }

  get counts(): HandshakeCounts {
    return { done: this.#done, failed: this.#failed };
  }

  /** Handshakes under way, and in line. */
  get handshakes(): number {
    return this.#line.running + this.#line.waiting;
  }

  /**
   * For every handshake from now on. Sessions of before are not resumed, so that nobody gets in by a certificate that is
   * not believed any more.
   * @throws CacheError `invalid_argument`; nothing has changed then.
   */
  replace(settings: TlsSettings): void {
    this.#server = this.#serverWith(settings);
    this.#clientCertificates = settings.clientCertificates;
  }

  /** For handshakes from now on. */
  limit(limits: HandshakeLimits): void {
    this.#line.limit(limits);
  }

  /**
   * Owns the socket, from which nothing has been taken. The handler gets what is inside, with an ALPN protocol of `h2`,
   * `http/1.1` or none. Without success the connection is closed.
   */
  secure(socket: Socket, handler: SecuredHandler): void {
    const handshake = { socket, handler };
    socket.on('error', ignore);
    socket.once('close', () => this.#line.leave(handshake));
    this.#line.enter(handshake);
  }

  #serverWith(settings: TlsSettings): Server {
    const server = createTlsServer(settings);
    server.on('secureConnection', (secure) => this.#onSecure(secure));
    server.on('tlsClientError', (error, secure) => this.#onError(error, secure));
    return server;
  }

  #begin(handshake: Handshake): void {
    const { socket } = handshake;
    const key = endsOf(socket);
    if (socket.destroyed || socket.remoteAddress === undefined) {
      socket.destroy();
      this.#line.leave(handshake);
      return;
    }
    this.#begun.set(key, handshake);
    // The TLS socket of one who hangs up does not know any more whose it was, so #onError does not hear of these.
    socket.once('close', () => {
      if (this.#begun.get(key) !== handshake) return;
      this.#begun.delete(key);
      this.#fail('client_left', socket, 'the connection was closed');
    });
    socket.allowHalfOpen = false; // who leaves in mid-handshake waits for no answer
    this.#server.emit('connection', socket);
  }

  #onSecure(secure: TLSSocket): void {
    const handshake = this.#take(secure);
    if (handshake === undefined) {
      secure.destroy();
      return;
    }
    secure.allowHalfOpen = true;
    const objection = this.#objectionTo(secure);
    if (objection !== undefined) {
      this.#fail('certificate', handshake.socket, objection);
      handshake.handler.onUnwelcome(secure, objection);
      return;
    }
    this.#done += 1;
    handshake.handler.onSecure(secure);
  }

  /** What is wrong with the certificate of a client. In words over HTTP it reaches a person, which a TLS alert does not. */
  #objectionTo(secure: TLSSocket): string | undefined {
    if (this.#clientCertificates === 'off') return undefined;
    const certificate = secure.getPeerX509Certificate();
    // Asked first: what OpenSSL says about a certificate that is not there does not count.
    if (certificate === undefined) return this.#clientCertificates === 'required' ? 'this server asks its clients for a certificate, and there is none' : undefined;
    const isOver = certificate.validToDate.getTime() <= wallClock.nowMs();
    // A resumed session brings the verdict of its first handshake along, and may be resumed again and again.
    if (secure.authorized && !isOver) return undefined;
    const code = secure.authorized ? expired : String(secure.authorizationError);
    const objection = code === expired && !isOver ? 'the certificate of its authority has expired' : objections[code];
    return `the client certificate is not accepted: ${objection ?? code}`;
  }

  #onError(error: NodeJS.ErrnoException, secure: TLSSocket): void {
    const handshake = this.#take(secure);
    if (handshake === undefined) return; // given up before
    this.#fail(failureOf(error), handshake.socket, reasonOf(error), adviceOn(error));
    handshake.socket.destroy();
  }

  #giveUp({ socket }: Handshake, why: HandshakeEnd): void {
    this.#begun.delete(endsOf(socket));
    this.#fail(why, socket, why === 'timeout' ? 'it took too long' : 'it took long while others waited');
    socket.destroy();
  }

  #take(secure: TLSSocket): Handshake | undefined {
    const key = endsOf(secure);
    const handshake = this.#begun.get(key);
    if (handshake === undefined) return undefined;
    this.#begun.delete(key);
    this.#line.leave(handshake);
    return handshake;
  }

  #fail(failure: HandshakeFailure, socket: Socket, reason: string, fix?: string): void {
    this.#failed[failure] += 1;
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    if (failure === 'client_left') this.#log.debug('a client left during the TLS handshake', { peer, reason });
    else this.#log.info('a TLS handshake failed', { peer, failure, reason, ...(fix === undefined ? {} : { fix }) });
  }
}

/** Throws what the constructor of a terminator would. */
export function requireUsable(settings: TlsSettings): void {
  createTlsServer(settings);
}

/** One that never listens: connections are given to it. */
function createTlsServer(settings: TlsSettings): Server {
  const options: TlsOptions = {
    cert: settings.certificateChain,
    key: settings.key,
    ca: settings.clientAuthorities,
    requestCert: settings.clientCertificates !== 'off',
    rejectUnauthorized: false, // see objectionTo
    minVersion: settings.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    ciphers,
    ecdhCurve: groups,
    honorCipherOrder: true,
    // A client may not make us compute keys again and again on one connection.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA,
    ALPNProtocols: protocols,
  };
  try {
    return createServer(options);
  } catch (cause) {
    throw new CacheError('invalid_argument', `the certificate or its key cannot be used for TLS (${errorCodeOf(cause)})\nmake a new one: RSA of at least 2048 bits, or ECDSA with P-256`, { cause });
  }
}

function ignore(): void {}

function endsOf(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}|${socket.localAddress}|${socket.localPort}`;
}

/** Errors of OpenSSL have a `reason` in words. */
function reasonOf(error: NodeJS.ErrnoException): string {
  const reason: unknown = Reflect.get(error, 'reason');
  return typeof reason === 'string' ? reason : (error.code ?? 'unknown');
}

const expired = 'CERT_HAS_EXPIRED';

/** By the codes of OpenSSL. */
const objections: Readonly<Record<string, string>> = {
  [expired]: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_SIGNATURE_FAILURE: 'its signature is not that of the authority it names',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it has signed itself, and is not known here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not believed here',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is not believed here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not believed here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is not believed here, or the client does not send the certificates in between',
  INVALID_PURPOSE: 'it is not meant for clients',
};

const ourName = 'the client does not accept our certificate; does it have the name by which the client calls this server?';

/** What clients mean by the alerts that they send, and by what they offer: nobody sees it but whoever reads the log here. */
const handshakeAdvice: Readonly<Record<string, string>> = {
  ALERT_UNKNOWN_CA: 'the client does not know who signed our certificate: name the authority there, and put the certificates in between into tls.certificate',
  ALERT_BAD_CERTIFICATE: ourName,
  ALERT_CERTIFICATE_UNKNOWN: ourName,
  ALERT_CERTIFICATE_EXPIRED: 'for the client our certificate has expired: renew it, or set the clock of the client right',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the client speaks only versions of TLS below tls.min-version: renew it',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'the client asks by ALPN for a protocol that is neither h2 nor http/1.1',
};

/** What stands before the name of an alert changes with the versions of OpenSSL. */
function adviceOn({ code = '' }: NodeJS.ErrnoException): string | undefined {
  return handshakeAdvice[code.replace(/^.*(?=ALERT_)/, '')];
}

const failures: Readonly<Record<string, HandshakeFailure>> = {
  ECONNRESET: 'client_left',
  EPIPE: 'client_left',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'unsupported',
  ERR_SSL_NO_SHARED_CIPHER: 'unsupported',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'unsupported',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'unsupported',
  ERR_SSL_NO_SUITABLE_KEY_SHARE: 'unsupported',
  ERR_SSL_NO_SHARED_GROUP: 'unsupported',
};

function failureOf({ code = '' }: NodeJS.ErrnoException): HandshakeFailure {
  return failures[code] ?? (/_ALERT_/.test(code) ? 'rejected' : 'other');
}
