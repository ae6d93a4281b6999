// One gRPC call at a time over node:http2: how servers are filled, and how their answers are checked before anything
// is measured. Independent of the generator and of Kiln's own HTTP/2.
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import type { ServerProcess } from '../harness/processes.ts';

export const grpcHeaders = { 'content-type': 'application/grpc', te: 'trailers' } as const;

/** Takes any answer that is measured whole, since the bare socket does not wait for a window. */
const windowBytes = 16 * 1024 * 1024;

/** A server that has not answered a single call by then hangs. */
export const answerTimeoutMs = 60_000;

/** A connection for such calls. Disposing it closes it. */
export class GrpcCaller implements Disposable {
  readonly #name: string;
  readonly #session: ClientHttp2Session;

  constructor({ name, host, port, authority }: Pick<ServerProcess, 'name' | 'host' | 'port' | 'authority'>) {
    this.#name = name;
    const settings = { initialWindowSize: windowBytes };
    this.#session = authority === undefined ? connect(`http://${host}:${port}`, { settings }) : connect(`https://${host}:${port}`, { settings, ca: authority });
    // Even of a connection that has failed meanwhile it is said that it was made.
    this.#session.once('connect', () => void (this.#session.destroyed || this.#session.setLocalWindowSize(windowBytes)));
    this.#session.on('error', () => undefined); // the call that it ends reports it
  }

  /**
   * The DATA of the answer. `body` is one or more framed messages.
   * @throws Error unless the call ends with grpc-status 0 (where `statusless` is not set), within a minute.
   */
  async call(path: string, body: Uint8Array, { statusless = false } = {}): Promise<Buffer> {
    const stream = this.#session.request({ ':method': 'POST', ':path': path, ...grpcHeaders });
    let status: unknown;
    let text: unknown;
    const read = (headers: Readonly<Record<string, unknown>>): void => {
      status ??= headers['grpc-status'];
      text ??= headers['grpc-message'];
    };
    let httpStatus: unknown;
    stream.on('response', (headers) => {
      httpStatus = headers[':status'];
      read(headers);
    });
    stream.on('trailers', read);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.end(body);
    stream.on('error', (error) => (text ??= error.message)); // said together with the status, or with its absence
    stream.setTimeout(answerTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL));
    await once(stream, 'close');
    const rightStatus = statusless ? httpStatus === 200 : status === '0';
    if (rightStatus) return Buffer.concat(chunks);
    throw new Error(`${this.#name} answered ${path} with HTTP status ${String(httpStatus)}, grpc-status ${String(status)} (${String(text)})`);
  }

  [Symbol.dispose](): void {
    this.#session.close();
    this.#session.destroy(undefined, constants.NGHTTP2_NO_ERROR);
  }
}
