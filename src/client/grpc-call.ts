// One call from its beginning to its outcome: it waits for a connection, is tried, perhaps again, and ends by the answer,
// its deadline or its caller.
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { Span } from '../base/tracer.ts';
import { acceptedEncodings } from '../grpc/message-inflater.ts';
import type { MessageEncoding, MessageInflater } from '../grpc/message-inflater.ts';
import { MessageLane } from '../grpc/message-lane.ts';
import { CompressedMessage } from '../grpc/message-reader.ts';
import type { ReceivedMessage } from '../grpc/message-reader.ts';
import { grpcContentType } from '../grpc/request-head.ts';
import { formatTimeout } from '../grpc/timeout.ts';
import type { OutgoingHeaders, RequestHeaders } from '../h2/stream.ts';
import { OnlyAnswer } from './grpc-answers.ts';
import { GrpcAttempt } from './grpc-attempt.ts';
import type { AnswerReceiver, AttemptOwner } from './grpc-attempt.ts';
import type { GrpcConnection } from './grpc-connection.ts';
import { asGrpcError, localFailure } from './grpc-error.ts';
import type { GrpcError } from './grpc-error.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';
import type { ReceivedMetadata } from './grpc-metadata.ts';
import { decodeAnswer } from './grpc-method.ts';
import type { ClientMethod } from './grpc-method.ts';
import type { GrpcPool, StreamWaiter } from './grpc-pool.ts';
import type { GrpcRequests } from './grpc-requests.ts';
import type { GrpcRetries } from './grpc-retries.ts';

/** What all calls of a channel share. */
export interface GrpcCallHost {
  readonly serverName: string;
  readonly limits: GrpcChannelLimits;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly pool: GrpcPool;
  readonly retries: GrpcRetries;
  readonly budget: ByteBudget;
  readonly inflater: MessageInflater;
}

/** What the caller wants. */
export interface GrpcCallPlan {
  readonly method: ClientMethod;
  readonly requests: GrpcRequests;
  readonly metadata: OutgoingHeaders;
  /** Undefined: no deadline. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly trace: Span | undefined;
  readonly waitsForReady: boolean;
  readonly attemptsMax: number;
  readonly onHeaders: ((headers: ReceivedMetadata) => void) | undefined;
  readonly onTrailers: ((trailers: ReceivedMetadata) => void) | undefined;
}

/** How often a call that the server did not begin with is sent again at once; after that it waits like any other. */
const atOnceMax = 2;

/**
 *   waiting ── a stream is free ──▶ tried ── OK, or a failure after which nothing is tried ──▶ ended
 *      ▲ └── refused ─▶ as tried      │
 *      │                              └── a failure that may pass ──▶ resting
 *      └──────────────── the wait is over ──────────────────────────────┘
 *   any ── deadline, cancelled ──▶ ended
 */
export class GrpcCall implements StreamWaiter, AttemptOwner {
  readonly #host: GrpcCallHost;
  readonly #plan: GrpcCallPlan;
  /** The message of a method that answers once; the lane of one that streams. */
  readonly #answer = Promise.withResolvers<unknown>();
  readonly #deadlineMs: number;
  readonly #onAbort = (): void => this.#end(localFailure('cancelled', `the call of ${this.#plan.method.path} to ${this.#host.serverName} was cancelled`, { cause: this.#plan.signal?.reason }));
  #span: Span | undefined;
  #deadline: Disposable | undefined;
  #attempt: GrpcAttempt | undefined;
  /** Once the answer has begun; from then on there is no other try. */
  #receiver: AnswerReceiver | undefined;
  /** Of a method that answers once. */
  #message: unknown;
  /** Tries so far that the server may have begun with, and those it has not. */
  #tries = 0;
  #unprocessedTries = 0;
  #lastFailure: GrpcError | undefined;
  #ended = false;

  constructor(host: GrpcCallHost, plan: GrpcCallPlan) {
    this.#host = host;
    this.#plan = plan;
    this.#deadlineMs = plan.timeoutMs === undefined ? Infinity : host.clock.nowMs() + plan.timeoutMs;
    this.#answer.promise.catch(() => {}); // whoever waits for it is told; before that nobody may
  }

  get serverName(): string {
    return this.#host.serverName;
  }

  get sendQueueBytesMax(): number {
    const { budget, limits } = this.#host;
    return budget.isTight ? 0 : limits.sendQueueBytesMax;
  }

  get waitsForReady(): boolean {
    return this.#plan.waitsForReady;
  }

  /** The message of a method that answers once. @throws GrpcError, or what the source of the request threw. */
  message(): Promise<unknown> {
    this.#begin();
    return this.#answer.promise;
  }

  /** The messages of a method that streams. Leaving early cancels the call. @throws as `message`. */
  async *messages(): AsyncGenerator<unknown, void, undefined> {
    this.#begin();
    try {
      const lane = (await this.#answer.promise) as MessageLane;
      try {
        yield* lane;
      } finally {
        lane.close(new CacheError('cancelled', 'nobody takes the answer any more'));
      }
    } finally {
      if (!this.#ended) this.#onAbort();
    }
  }

  onConnection(connection: GrpcConnection): void {
    if (this.#ended) return;
    const { requests } = this.#plan;
    if (!requests.isReplayable && this.#lastFailure !== undefined) return this.#end(this.#lastFailure);
    try {
      this.#attempt = new GrpcAttempt(this, connection, this.#headers());
    } catch (thrown) {
      return this.#end(asGrpcError(thrown));
    }
    this.#attempt.send(requests);
  }

  onRefused(failure: GrpcError, final: boolean): void {
    if (final) this.#end(failure);
    else this.#tryAgain(failure);
  }

  onAnswer(attempt: GrpcAttempt, headers: ReceivedMetadata, encoding: MessageEncoding): AnswerReceiver {
    const { method, requests, signal, onHeaders } = this.#plan;
    const { limits, budget, inflater } = this.#host;
    const onFault = (thrown: unknown): void => this.#end(asGrpcError(thrown));
    requests.commit();
    this.#tell(() => onHeaders?.(headers));
    const { messageBytesMax } = limits;
    const decode = (bytes: Uint8Array): unknown => decodeAnswer(method, bytes);
    const inflate = (message: CompressedMessage): Promise<Uint8Array> => inflater.inflate(message, { encoding, messageBytesMax, side: 'answer' }, { signal });
    if (method.answersOnce) {
      const onMessage = (message: ReceivedMessage): void => {
        this.#message = message instanceof CompressedMessage ? decodedLater(inflate(message), decode) : decode(message);
      };
      this.#receiver = new OnlyAnswer(attempt.stream, { messageBytesMax, budget, onFault, onMessage });
      return this.#receiver;
    }
    const lane = new MessageLane(attempt.stream, {
      limits,
      budget,
      side: 'answer',
      decode: (bytes) => decodedHere(() => decode(bytes)),
      inflate: (message) => inflatedHere(inflate(message)),
      onFault,
    });
    this.#receiver = lane;
    this.#answer.resolve(lane);
    return lane;
  }

  onOver(attempt: GrpcAttempt, trailers: ReceivedMetadata, failure: GrpcError | undefined, unprocessed: boolean): void {
    if (this.#ended || attempt !== this.#attempt) return;
    this.#attempt = undefined;
    if (failure === undefined) {
      this.#host.retries.onAnswered();
      this.#tell(() => this.#plan.onTrailers?.(trailers));
      if (this.#ended) return;
      this.#finish();
      this.#answer.resolve(this.#message); // of no effect for a stream
    } else if (this.#receiver !== undefined) {
      this.#host.retries.onFailed(failure);
      this.#receiver.end(failure);
      this.#finish(failure);
      this.#answer.reject(failure); // of no effect for a stream, whose messages so far are still to be had
    } else if (unprocessed && this.#plan.requests.isReplayable && this.#unprocessedTries < atOnceMax) {
      this.#unprocessedTries += 1;
      this.#lastFailure = failure;
      this.#host.pool.request(this);
    } else this.#tryAgain(failure);
  }

  onSourceFailed(attempt: GrpcAttempt, thrown: unknown): void {
    if (attempt === this.#attempt) this.#end(thrown);
  }

  /** What the caller wants to know of. A throw ends the call, and not the connection, on which others have theirs. */
  #tell(tell: () => void): void {
    try {
      tell();
    } catch (thrown) {
      this.#end(thrown);
    }
  }

  #begin(): void {
    const { signal, timeoutMs, trace, method } = this.#plan;
    this.#span = trace?.child(method.path.slice(1), { server: this.#host.serverName });
    if (signal?.aborted === true) return this.#onAbort();
    if (timeoutMs !== undefined && timeoutMs <= 0) return this.#expire();
    try {
      this.#plan.requests.begin();
    } catch (thrown) {
      return this.#end(thrown);
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (timeoutMs !== undefined) this.#deadline = this.#host.timers.after(timeoutMs, () => this.#expire());
    this.#host.pool.request(this);
  }

  #headers(): RequestHeaders {
    const { method, metadata } = this.#plan;
    if (this.#deadlineMs === Infinity) return { shared: method.headers, own: metadata };
    const leftMs = Math.max(1, this.#deadlineMs - this.#host.clock.nowMs());
    return { shared: method.headers, own: [['grpc-timeout', formatTimeout(leftMs)], ...metadata] };
  }

  /** Or not, if that would do no good. */
  #tryAgain(failure: GrpcError): void {
    this.#tries += 1;
    this.#lastFailure = failure;
    const [host, plan] = [this.#host, this.#plan];
    if (host.pool.closed !== undefined) return this.#end(host.pool.closed);
    const delayMs = host.retries.delayMsAfter(failure, this.#tries, plan.attemptsMax);
    if (delayMs === undefined || !plan.requests.isReplayable || host.clock.nowMs() + delayMs >= this.#deadlineMs) return this.#end(failure);
    this.#span?.event('is tried again', { after: failure.message, delayMs });
    host.pool.requestAfter(delayMs, this);
  }

  #expire(): void {
    const { method, timeoutMs } = this.#plan;
    const { serverName, pool } = this.#host;
    const before = this.#lastFailure ?? (this.#attempt === undefined ? pool.lastFailure : undefined);
    const what = this.#attempt === undefined ? `could not be made to ${serverName}` : `was not answered by ${serverName}`;
    const why = before === undefined ? '' : `; the last try ended with: ${before.message}`;
    this.#end(localFailure('deadline_exceeded', `the call of ${method.path} ${what} within ${timeoutMs} ms${why}`));
  }

  /** The outcome, unless there is one: with `failure` that. */
  #end(failure: unknown): void {
    if (this.#ended) return;
    const reason = failure instanceof Error ? failure : CacheError.from(failure);
    this.#finish(reason);
    this.#receiver?.close(reason);
    this.#answer.reject(failure);
  }

  /** Lets go of everything but the outcome. */
  #finish(failure?: Error): void {
    this.#ended = true;
    this.#span?.end(failure?.message);
    this.#deadline?.[Symbol.dispose]();
    this.#plan.signal?.removeEventListener('abort', this.#onAbort);
    this.#host.pool.withdraw(this);
    this.#attempt?.cutOff();
    this.#attempt = undefined;
    this.#plan.requests.end();
  }
}

function decodedHere(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (thrown) {
    throw asGrpcError(thrown);
  }
}

async function inflatedHere(inflating: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await inflating;
  } catch (thrown) {
    throw asGrpcError(thrown);
  }
}

/** The only message of an answer, or why there is none; nobody may be left to hear of that. */
function decodedLater(inflating: Promise<Uint8Array>, decode: (bytes: Uint8Array) => unknown): Promise<unknown> {
  const decoded = inflatedHere(inflating).then((bytes) => decodedHere(() => decode(bytes)));
  decoded.catch(() => {});
  return decoded;
}

/** What every request of gRPC says of itself. */
export const grpcRequestHeaders: OutgoingHeaders = [
  ['te', 'trailers'],
  ['content-type', grpcContentType],
  ['grpc-accept-encoding', acceptedEncodings],
];
