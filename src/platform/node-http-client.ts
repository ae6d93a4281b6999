// Requests to one server with node:http, over connections that are kept. One request is an OutgoingExchange.
import { Agent, request as openRequest } from 'node:http';
import type { RequestOptions } from 'node:http';
import type { CallOptions } from '../base/call-options.ts';
import type { HttpClient, HttpReply, HttpRequest } from '../base/http-client.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { OutgoingExchange } from './outgoing-exchange.ts';
import type { OutgoingLimits } from './outgoing-exchange.ts';

export interface NodeHttpClientLimits extends OutgoingLimits {
  /** Connections at a time. More requests wait for one, in a line without bound: callers bound what they send. */
  readonly connectionsMax: number;
}

export class NodeHttpClient implements HttpClient {
  readonly serverName: string;
  readonly #agent: Agent;
  readonly #target: RequestOptions;
  readonly #limits: NodeHttpClientLimits;

  constructor(server: ListenAddress, limits: NodeHttpClientLimits) {
    this.serverName = formatListenAddress(server);
    // Idle connections do not keep the process alive; the agent sees to that.
    this.#agent = new Agent({ keepAlive: true, maxSockets: limits.connectionsMax, maxFreeSockets: limits.connectionsMax });
    this.#target = server.kind === 'unix' ? { socketPath: server.path } : { host: server.host, port: server.port };
    this.#limits = limits;
  }

  send(request: HttpRequest, { signal }: CallOptions = {}): Promise<HttpReply> {
    const { method, target, body } = request;
    const headers: Record<string, string | number> = {};
    for (const [name, value] of Object.entries(request.headers)) if (value !== undefined) headers[name] = value;
    if (body !== undefined) headers['content-length'] = body.sizeBytes;
    if (body?.expectContinue === true) headers['expect'] = '100-continue';
    const outgoing = openRequest({ ...this.#target, agent: this.#agent, method, path: target, headers });
    return new OutgoingExchange(outgoing, { serverName: this.serverName, limits: this.#limits, signal }).run(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
  }
}
