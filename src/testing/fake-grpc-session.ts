// A server as a channel sees it below its calls, driven by hand: sessions that stand or fail when a test says so.
import { CacheError } from '../base/cache-error.ts';
import type { GrpcSession, OpenSession, SessionOptions } from '../client/grpc-session.ts';
import type { ConnectionEnd } from '../h2/client-connection.ts';
import type { Http2Client } from '../h2/client-session.ts';
import { errorCode } from '../h2/error-code.ts';
import type { ClientStream, OutgoingHeaders, RequestHeaders, ResponseHandler } from '../h2/stream.ts';
import { headerBlock } from './fake-server-stream.ts';

/** One stream that a channel opened; what it sends is kept, and goes out at once. */
export class FakeClientStream implements ClientStream {
  readonly id: number;
  readonly headers: OutgoingHeaders;
  readonly sent: Uint8Array[] = [];
  queuedBytes = 0;
  closed = false;
  hasEnded = false;
  resetCode: number | undefined;
  readonly #handler: ResponseHandler;
  readonly #session: FakeSession;

  constructor(id: number, headers: OutgoingHeaders, handler: ResponseHandler, session: FakeSession) {
    this.id = id;
    this.headers = headers;
    this.#handler = handler;
    this.#session = session;
  }

  header(name: string): string | undefined {
    return this.headers.find(([key]) => key === name)?.[1];
  }

  sendData(slices: readonly Uint8Array[], endStream: boolean): void {
    this.sent.push(...slices);
    this.hasEnded ||= endStream;
  }

  sendTrailers(): void {}

  consumed(): void {}

  reset(code: number): void {
    if (this.closed) return;
    this.resetCode = code;
    this.#close();
    this.#handler.onReset({ code, byPeer: false, unprocessed: false });
  }

  /** The answer to any method: headers, a message, trailers. */
  answer(trailers: Readonly<Record<string, string>> = { 'grpc-status': '0' }, message = Uint8Array.of(0, 0, 0, 0, 0)): void {
    this.begin();
    this.#session.heardCount += 1;
    this.#handler.onData(message);
    this.#close();
    this.#handler.onEnd(headerBlock(trailers));
  }

  /** Headers of an answer. */
  begin(): void {
    this.#session.heardCount += 1;
    this.#handler.onHeaders(headerBlock({ ':status': '200', 'content-type': 'application/grpc' }));
  }

  /** A failure in one block. */
  refuse(trailers: Readonly<Record<string, string>>): void {
    this.#session.heardCount += 1;
    this.#handler.onHeaders(headerBlock({ ':status': '200', 'content-type': 'application/grpc', ...trailers }));
    this.#close();
    this.#handler.onEnd(undefined);
  }

  /** The answer step by step, whatever it is: its headers, a piece of it, its end. */
  head(fields: Readonly<Record<string, string>>): void {
    if (!this.closed) this.#handler.onHeaders(headerBlock(fields));
  }

  data(bytes: Uint8Array): void {
    if (!this.closed) this.#handler.onData(bytes);
  }

  end(trailers: Readonly<Record<string, string>> | undefined): void {
    if (this.closed) return;
    this.#close();
    this.#handler.onEnd(trailers === undefined ? undefined : headerBlock(trailers));
  }

  /** Broken off by the server or with its connection. */
  lose(code: number = errorCode.refusedStream, unprocessed = false): void {
    if (this.closed) return;
    this.#close();
    this.#handler.onReset({ code, byPeer: true, unprocessed });
  }

  #close(): void {
    this.closed = true;
    this.#session.onStreamClosed(this);
  }
}

/** A connection; takes `streamsMax` calls at a time. */
export class FakeSession implements GrpcSession, Http2Client {
  readonly http2 = this;
  readonly streams: FakeClientStream[] = [];
  readonly streamsMax: number;
  heardCount = 0;
  loss: string | undefined;
  ending: ConnectionEnd | undefined;
  pings = 0;
  /** Answers pings. */
  isAlive = true;
  readonly #options: SessionOptions;
  readonly #closed = Promise.withResolvers<void>();
  #open = 0;
  #askedCount = 0;

  constructor(options: SessionOptions, streamsMax: number) {
    this.#options = options;
    this.streamsMax = streamsMax;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  takeSignOfLife(): boolean {
    const wasHeard = this.heardCount !== this.#askedCount;
    this.#askedCount = this.heardCount;
    return wasHeard;
  }

  get streamCount(): number {
    return this.#open;
  }

  get freeStreams(): number {
    return this.ending === undefined ? this.streamsMax - this.#open : 0;
  }

  open(headers: OutgoingHeaders | RequestHeaders, _endStream: boolean, handler: ResponseHandler): ClientStream {
    if (this.freeStreams <= 0) throw new RangeError('no stream is free');
    const all = 'shared' in headers ? [...headers.shared.fields, ...headers.own] : headers;
    const stream = new FakeClientStream(2 * this.streams.length + 1, all, handler, this);
    this.streams.push(stream);
    this.#open += 1;
    return stream;
  }

  async ping(): Promise<number> {
    this.pings += 1;
    if (!this.isAlive) return new Promise(() => {});
    this.heardCount += 1;
    return 1;
  }

  drain(): Promise<void> {
    this.ending ??= { code: errorCode.noError, byPeer: false, byGoaway: false, reason: '' };
    this.#endWhenDrained();
    return this.closed;
  }

  close(): void {
    this.ending ??= { code: errorCode.cancel, byPeer: false, byGoaway: false, reason: 'the connection was closed' };
    for (const stream of this.streams) stream.lose(errorCode.cancel);
    this.#closed.resolve();
  }

  /** The server says that it takes no more, and has not begun with the streams above `lastId`. */
  goAway(lastId = Infinity, code: number = errorCode.noError, reason = ''): void {
    this.ending = { code, byPeer: true, byGoaway: true, reason };
    for (const stream of this.streams) if (stream.id > lastId) stream.lose(errorCode.refusedStream, true);
    this.#endWhenDrained();
    this.#options.onChange();
  }

  /** The connection breaks. */
  break(): void {
    this.loss = 'the connection broke (ECONNRESET)';
    this.close();
  }

  onStreamClosed(_stream: FakeClientStream): void {
    this.#open -= 1;
    this.#endWhenDrained();
    queueMicrotask(() => this.#options.onChange());
  }

  #endWhenDrained(): void {
    if (this.ending !== undefined && this.#open === 0) this.#closed.resolve();
  }
}

/** Attempts to connect, each of which waits until the test decides. */
export class FakeSessions {
  readonly made: FakeSession[] = [];
  readonly #waiting: { readonly options: SessionOptions; readonly session: PromiseWithResolvers<GrpcSession> }[] = [];
  attempts = 0;
  streamsMax = 2;

  readonly open: OpenSession = (options) => {
    this.attempts += 1;
    const session = Promise.withResolvers<GrpcSession>();
    this.#waiting.push({ options, session });
    options.signal.addEventListener('abort', () => session.reject(new CacheError('cancelled', 'connecting was cancelled')));
    return session.promise;
  };

  /** An attempt is under way. */
  get isConnecting(): boolean {
    return this.#waiting.length > 0;
  }

  /** The oldest attempt succeeds. */
  async accept(): Promise<FakeSession> {
    const { options, session } = this.#next();
    const made = new FakeSession(options, this.streamsMax);
    this.made.push(made);
    session.resolve(made);
    await turn();
    return made;
  }

  /** The oldest attempt fails. */
  async refuse(failure = new CacheError('unavailable', 'cannot connect to fake: nothing listens there')): Promise<void> {
    this.#next().session.reject(failure);
    await turn();
  }

  #next() {
    const next = this.#waiting.shift();
    if (next === undefined) throw new RangeError('nobody connects');
    return next;
  }
}

/** Lets everything run that waits for nothing but promises. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
