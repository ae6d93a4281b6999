// Requests to one server with node:http or node:https, over connections that are kept. One request is an OutgoingExchange.
import type { Agent, RequestOptions } from 'node:http';
import { Agent as SecureAgent, request as openSecureRequest } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { HttpClient, HttpReply, HttpRequest } from '../base/http-client.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { connectFailure } from './connect-failure.ts';
import { errorCodeOf } from './error-code-of.ts';
import { systemAuthorities } from './node-connector.ts';
import { nodeHttp } from './node-http-module.ts';
import { OutgoingExchange } from './outgoing-exchange.ts';
import type { OutgoingLimits } from './outgoing-exchange.ts';

export interface NodeHttpClientLimits extends OutgoingLimits {
  /** Connections at a time. More requests wait for one, in a line without bound: callers bound what they send. */
  readonly connectionsMax: number;
}

/** TLS to a server. All of it is PEM; the key is a secret. */
export interface NodeHttpTls {
  /** Who may have signed the certificate of the server. Default: whom Node and the system trust. */
  readonly ca?: string | undefined;
  /** What this client shows to servers that ask. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export class NodeHttpClient implements HttpClient {
  readonly serverName: string;
  readonly #agent: Agent;
  readonly #target: RequestOptions;
  readonly #server: ListenAddress;
  readonly #isSecure: boolean;
  readonly #open: typeof nodeHttp.request;
  readonly #limits: NodeHttpClientLimits;

  /**
   * With `tls`, the server is asked for its certificate.
   * @throws CacheError `invalid_argument` for a certificate and a key that do not fit.
   */
  constructor(server: ListenAddress, limits: NodeHttpClientLimits, tls?: NodeHttpTls) {
    this.serverName = formatListenAddress(server);
    this.#server = server;
    this.#isSecure = tls !== undefined;
    // Idle connections do not keep the process alive; the agent sees to that.
    const pool = { keepAlive: true, maxSockets: limits.connectionsMax, maxFreeSockets: limits.connectionsMax };
    this.#agent = tls === undefined ? new nodeHttp.Agent(pool) : new SecureAgent({ ...pool, secureContext: contextOf(tls) });
    this.#open = tls === undefined ? nodeHttp.request : openSecureRequest;
    this.#target = server.kind === 'unix' ? { socketPath: server.path } : { host: server.host, port: server.port };
    this.#limits = limits;
  }

  async send(request: HttpRequest, { signal }: CallOptions = {}): Promise<HttpReply> {
    const { method, target, body } = request;
    const headers: Record<string, string | number> = {};
    for (const [name, value] of Object.entries(request.headers)) if (value !== undefined) headers[name] = value;
    if (body !== undefined) headers['content-length'] = body.sizeBytes;
    if (body?.expectContinue === true) headers['expect'] = '100-continue';
    const outgoing = this.#open({ ...this.#target, agent: this.#agent, method, path: target, headers });
    try {
      return await new OutgoingExchange(outgoing, { serverName: this.serverName, limits: this.#limits, signal }).run(body);
    } catch (thrown) {
      const cause: unknown = thrown instanceof CacheError ? thrown.cause : undefined;
      throw this.#isSecure && failuresOfTls.test(errorCodeOf(cause)) ? connectFailure({ address: this.#server, tls: {} }, cause) : thrown;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
  }
}

/** Codes of failures that no second try sets right. */
const failuresOfTls = /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_PURPOSE|ERR_TLS_|ERR_SSL_|EPROTO)/;

function contextOf({ ca, certificate, key }: NodeHttpTls): SecureContext {
  try {
    return createSecureContext({ ca: ca ?? systemAuthorities(), cert: certificate, key });
  } catch (cause) {
    throw new CacheError('invalid_argument', `the certificate of this client, its key or the authorities cannot be used for TLS (${errorCodeOf(cause)})\nname files in PEM that belong together`, { cause });
  }
}
