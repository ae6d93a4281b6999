// The port of connections that we make: to a TCP address or a unix socket, in plain or over TLS.
import type { CallOptions } from './call-options.ts';
import { formatListenAddress } from './listen-address.ts';
import type { ListenAddress } from './listen-address.ts';
import type { Socket } from './socket.ts';

/**
 * How to speak TLS to a server. Files are PEM and are read again for every connection, so that whoever replaces them
 * need not tell anybody.
 */
export interface ClientTls {
  /** The name that the certificate must be for, and that is asked for by SNI. Default: the host of the address. */
  readonly serverName?: string | undefined;
  /** Who may have signed the certificate. Default: whom the system trusts. */
  readonly caFile?: string | undefined;
  /** How this client proves who it is, to servers that ask. */
  readonly certificate?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
}

/** Where to connect. */
export interface ConnectTarget {
  readonly address: ListenAddress;
  /** Default: in plain. */
  readonly tls?: ClientTls | undefined;
}

export interface ConnectOptions extends CallOptions {
  /** For all of it: looking up the name, connecting, the TLS handshake. */
  readonly timeoutMs: number;
}

/** Connects. What comes back has not been read from: its owner calls `start`. */
export interface Connector {
  /**
   * A connection on which HTTP/2 can begin: with TLS it was agreed on by ALPN.
   * @throws CacheError that names the target and the cause: `unavailable` for what may pass (refused, unknown name,
   *   timeout), `failed_precondition` for what somebody has to change (certificates, no TLS or no HTTP/2 on the other
   *   side), `invalid_argument` (a file that cannot be read), `cancelled` by the signal.
   */
  connect(target: ConnectTarget, options: ConnectOptions): Promise<Socket>;
}

/** The target in texts: `127.0.0.1:9092`, `unix:/run/kiln.sock`. */
export function targetName({ address }: ConnectTarget): string {
  return formatListenAddress(address);
}
