// Two HTTP/1.1 clients for tests: node:http for what is well formed, a bare socket for what is not.
import { once } from 'node:events';
import { request } from 'node:http';
import type { Agent, IncomingHttpHeaders } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

export interface HttpRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** An iterable is sent chunked unless `headers` has a content-length. */
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>;
  /** PEM of who has signed the server's certificate: over TLS. */
  readonly authority?: string | undefined;
  /** Keeps connections for several requests; for TLS one of node:https. Left out: a connection for this one. */
  readonly agent?: Agent;
}

/** One request. The path is sent as it is. */
export async function fetchHttp(port: number, path: string, options: HttpRequest = {}): Promise<HttpReply> {
  const { method = 'GET', headers = {}, body, authority, agent = false } = options;
  const wanted = { port, host: '127.0.0.1', path, method, headers, agent } as const;
  const sent = authority === undefined ? request(wanted) : requestSecurely({ ...wanted, ca: authority });
  const answered = Promise.withResolvers<HttpReply>();
  sent.on('error', answered.reject);
  sent.on('response', (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', answered.reject);
    response.on('end', () => {
      const whole = Buffer.concat(chunks);
      answered.resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: whole,
        // Only for who asks: of a large body it would take longer than to receive it.
        get text() {
          return whole.toString();
        },
      });
    });
  });
  if (body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) {
    for await (const chunk of body) if (!sent.write(chunk)) await once(sent, 'drain');
    sent.end();
  } else {
    sent.end(body);
  }
  return answered.promise;
}

/**
 * Sends bytes as they are, ends its side unless told otherwise, and gives everything that comes until the server
 * closes the connection.
 */
export async function sendRaw(port: number, bytes: Uint8Array | string, options: { readonly keepOpen?: boolean } = {}): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(bytes);
  if (options.keepOpen !== true) socket.end();
  socket.once('end', () => socket.end());
  await untilClosed(socket); // a reset shows as what did not come
  return Buffer.concat(chunks).toString('latin1');
}

/** Resolves when the socket is closed, whatever it ended with: `once` of node:events rejects for an error before that. */
export async function untilClosed(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}
