// One call from its headers to its status: everything but how the request's messages come in, which
// single-request-call.ts and stream-request-call.ts add.
import { assert } from '../base/assert.ts';
import type { Caller } from '../base/authorizer.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { LoopTurn } from '../base/loop-turns.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { ReusedMemory } from '../base/reused-memory.ts';
import type { Span } from '../base/tracer.ts';
import { errorCode } from '../h2/error-code.ts';
import { prepareHeaders } from '../h2/header-encoder.ts';
import type { HeaderBlock, OutgoingHeaders, ServerStream, StreamHandler, StreamReset } from '../h2/stream.ts';
import { notEnded } from './call-observation.ts';
import type { CallObservation } from './call-observation.ts';
import type { EndedCall } from './call-observer.ts';
import type { DeadlineOwner, Deadlines } from './deadlines.ts';
import type { GrpcLimits } from './limits.ts';
import { placedBytesMax } from './answer-memory.ts';
import { newMessageBuffer } from './message-buffer.ts';
import { frameMessage } from './message-frame.ts';
import type { MessageInflater } from './message-inflater.ts';
import type { CompressedMessage } from './message-reader.ts';
import { assertMetadata } from './metadata.ts';
import { failureTrailers, statusOf } from './outcome.ts';
import { decodeMessage } from './received-message.ts';
import { grpcContentType } from './request-head.ts';
import type { RequestHead } from './request-head.ts';
import { RequestDiscard } from './request-discard.ts';
import type { CallContext } from './service.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf, okStatus } from './status.ts';

/** What all calls of a router share. */
export interface CallHost {
  readonly limits: GrpcLimits;
  readonly timers: Timers;
  readonly log: Log;
  readonly deadlines: Deadlines;
  /** Of what is kept between turns of the loop. */
  readonly budget: ByteBudget;
  readonly inflater: MessageInflater;
  /** Of answers on their way out. */
  readonly answers: ReusedMemory;
  /** Who makes the call. @throws CacheError `unauthenticated` or `unavailable`, then or by the promise. */
  callerOf(head: RequestHead): MaybePromise<Caller>;
  /** Who is told of calls; undefined when nobody wants to know. */
  readonly observed: CallObservation | undefined;
  /** A handler did not answer at once, and has come to its end. Always in pairs. */
  handlerStarted(): void;
  handlerEnded(): void;
}

type Header = readonly [name: string, value: string];

/** An answer that waits for its client is counted by its length, and holds no more than twice that: thousands of short ones may wait. */
const usedShareMin = 1 / 2;

/** How soon a server that is started again may be there. */
const restartRetryMs = 1_000;

const responseHeaders: OutgoingHeaders = [[':status', '200'], ['content-type', grpcContentType]];
const okTrailers: OutgoingHeaders = [['grpc-status', '0']];
// Nearly all answers have exactly these two blocks.
const preparedHeaders = prepareHeaders(responseHeaders);
const preparedOkTrailers = prepareHeaders(okTrailers);
const preparedOk = { headers: preparedHeaders, trailers: preparedOkTrailers };

/**
 *   open ── answer or failure is sent ──▶ answered ── the request goes on: it is dropped within a bound
 *     └───── deadline ─▶ answered    └── reset, connection lost ──▶ answered (to nobody)
 * What a handler does after that has no effect; its signal is aborted if the answer was not its own.
 */
export abstract class ServerCall implements StreamHandler, CallContext, DeadlineOwner, EndedCall {
  protected readonly stream: ServerStream;
  protected readonly host: CallHost;
  readonly #head: RequestHead;
  // What observers are told, kept here: an object of its own for each call would cost as much as all that they do.
  status = notEnded;
  receivedBytes = 0;
  sentBytes = 0;
  trace: Span | undefined = undefined;
  readonly observation: unknown;
  readonly #turn: LoopTurn | undefined;
  /** A promise until it is known; no handler runs before. */
  #caller: MaybePromise<Caller>;
  /** Taken from the budget for a request message that waits for its end or for its handler. */
  #requestBytes = 0;
  #answered = false;
  #requestEnded = false;
  #headersSent = false;
  #headers: Header[] | undefined;
  #trailers: Header[] | undefined;
  #deadline: Disposable | undefined;
  #discard: RequestDiscard | undefined;
  /** Made when a handler asks for the signal; most never do. */
  #abort: AbortController | undefined;
  /** Why the call ended although its handler had not answered. */
  #stopReason: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: ServerStream, head: RequestHead, host: CallHost) {
    this.stream = stream;
    this.host = host;
    this.#head = head;
    this.#caller = host.callerOf(head);
    const { observed } = host;
    this.#turn = observed?.turns.current();
    this.observation = observed?.observer.started?.(this);
    if (head.timeoutMs !== Infinity) host.deadlines.watch(this);
  }

  startDeadline(): void {
    if (!this.#answered || this.stream.queuedBytes > 0) this.#deadline = this.host.timers.after(this.#head.timeoutMs, () => this.#expire());
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#stopReason !== undefined) this.#abort.abort(this.#stopReason);
    return this.#abort.signal;
  }

  get caller(): Caller {
    assert(!isPromise(this.#caller), 'a handler runs when it is known who calls');
    return this.#caller;
  }

  get tool(): string {
    return this.#head.tool;
  }

  get path(): string {
    return this.#head.method.path;
  }

  get traceparent(): string | undefined {
    return this.#head.traceparent;
  }

  get durationMs(): number {
    const { observed } = this.host;
    return observed === undefined || this.#turn === undefined ? 0 : observed.turns.exactNowMs() - this.#turn.beganAtMs;
  }

  get atOnce(): boolean {
    return this.#turn?.isOver === false;
  }

  header(name: string): string | undefined {
    return this.#head.headers.get(name);
  }

  setHeader(name: string, value: string): void {
    assertMetadata(name, value);
    (this.#headers ??= []).push([name, value]);
  }

  setTrailer(name: string, value: string): void {
    assertMetadata(name, value);
    (this.#trailers ??= []).push([name, value]);
  }

  onData(bytes: Uint8Array): void {
    if (this.#answered) {
      this.#discard?.drop(bytes.byteLength);
      return;
    }
    this.receivedBytes += bytes.byteLength;
    try {
      this.receive(bytes);
    } catch (error) {
      this.stop(error);
    }
  }

  abstract get awaitsPeer(): boolean;
  abstract get awaitsRequest(): boolean;

  onEnd(_trailers: HeaderBlock | undefined): void {
    this.#requestEnded = true;
    this.#discard?.end();
    if (this.#answered) return;
    try {
      this.receiveEnd();
    } catch (error) {
      this.stop(error);
    }
  }

  onReset(reset: StreamReset): void {
    this.#requestEnded = true;
    this.#discard?.end();
    if (this.#answered) {
      this.#deadline?.[Symbol.dispose]();
      this.#wake?.();
      return;
    }
    const who = reset.byPeer ? 'the client cancelled the call' : 'the connection was lost';
    this.#markAnswered(grpcStatusOf.cancelled);
    this.#abandon(new CacheError('cancelled', who));
  }

  onDrained(): void {
    if (this.#answered) this.#deadline?.[Symbol.dispose]();
    this.#wake?.();
  }

  /** Shutting down (REAPI ERR-4): whoever comes again finds the next server. */
  onCutOff(): void {
    this.stop(new CacheError('unavailable', 'the server is shutting down', { details: [{ kind: 'retry_after', delayMs: restartRetryMs }] }));
  }

  /** The client may say that it did not want to wait so long; what waits of the answer is dropped by the stream. */
  onStalled(reason: string): void {
    this.stop(new CacheError('deadline_exceeded', reason));
  }

  /** Others need the memory, and the client has let it lie: whoever comes again may find some. */
  onEvicted(): void {
    this.stop(this.host.budget.refusal());
  }

  /** A piece of the request. A throw ends the call with its status. */
  protected abstract receive(bytes: Uint8Array): void;
  /** The request is complete. */
  protected abstract receiveEnd(): void;
  /** Nothing more of the request will be taken; whoever waits for it must be told `reason`. */
  protected abstract abandonRequest(reason: Error): void;

  protected get method() {
    return this.#head.method;
  }

  /** @throws CacheError when it is not a message of the method. */
  protected decode(bytes: Uint8Array): unknown {
    return decodeMessage(this.#head.method, bytes);
  }

  /** @throws as `MessageInflater.inflate`. */
  protected inflate(message: CompressedMessage): Promise<Uint8Array> {
    const { limits, inflater } = this.host;
    return inflater.inflate(message, { encoding: this.#head.encoding, messageBytesMax: limits.messageBytesMax, side: 'request' }, this);
  }

  protected get answered(): boolean {
    return this.#answered;
  }

  /** Ends the call from outside its handler, which learns it by its signal. */
  protected stop(error: unknown): void {
    if (this.#answered) return;
    this.fail(error);
    this.#abandon(error instanceof Error ? error : CacheError.from(error));
  }

  /** The request's message is kept from now on. */
  protected holdRequest(bytes: number): void {
    this.#requestBytes += bytes;
    this.host.budget.take(bytes);
  }

  /** It is not kept any more. */
  protected releaseRequest(): void {
    if (this.#requestBytes === 0) return;
    this.host.budget.give(this.#requestBytes);
    this.#requestBytes = 0;
  }

  /** Sends the only message, or whatever the handler threw. Without a promise if there is none already. */
  protected answer(respond: () => MaybePromise<unknown>): void {
    if (isPromise(this.#caller)) {
      void this.#answerLater(this.#identified(this.#caller).then(respond));
      return;
    }
    try {
      const response = respond();
      if (isPromise(response)) {
        void this.#answerLater(response);
        return;
      }
      this.#sendOnly(response);
    } catch (error) {
      this.fail(error);
    }
    this.releaseRequest();
  }

  /** Sends messages as the handler yields them and the client takes them. Never rejects. */
  protected async answerStream(respond: () => AsyncIterable<unknown>): Promise<void> {
    this.host.handlerStarted();
    try {
      if (isPromise(this.#caller)) await this.#identified(this.#caller);
      for await (const response of respond()) {
        if (this.#answered) break; // returns the generator, so that its `finally` and `using` run
        this.#sendMessage(response);
        if (this.stream.queuedBytes > this.#queueBytesMax()) await this.#drained();
        if (this.#answered) break;
      }
      this.#finish(okStatus, okTrailers);
    } catch (error) {
      this.fail(error);
    } finally {
      this.releaseRequest();
      this.host.handlerEnded();
    }
  }

  /** Ends the call with the status of `error`. */
  protected fail(error: unknown): void {
    if (this.#answered) {
      // Mostly the echo of the cancellation; a real fault is not hidden, but nobody is waiting for it.
      this.host.log.debug('a call failed after it had ended', { method: this.method.path, error: String(error) });
      return;
    }
    const isBug = !(error instanceof StatusError) && CacheError.from(error).code === 'internal';
    if (isBug) this.host.log.error('a call failed for a reason that is a fault of this server', error, { method: this.method.path });
    this.#finish(statusOf(error), failureTrailers(error));
  }

  /** What comes of the request meanwhile is held within its bounds. @throws why the call ended before it was known. */
  async #identified(caller: Promise<Caller>): Promise<void> {
    this.#caller = await caller;
    if (this.#stopReason !== undefined) throw this.#stopReason;
  }

  async #answerLater(response: Promise<unknown>): Promise<void> {
    this.host.handlerStarted();
    try {
      this.#sendOnly(await response);
    } catch (error) {
      this.fail(error);
    } finally {
      this.releaseRequest();
      this.host.handlerEnded();
    }
  }

  #sendOnly(response: unknown): void {
    if (this.#answered || this.#trySendWhole(response)) return;
    this.#sendMessage(response);
    this.#finish(okStatus, okTrailers);
  }

  /** Small answers, as nearly all are. What that is worth: docs/decisions/0023-transport-speed.md. */
  #trySendWhole(response: unknown): boolean {
    const { answerWriter } = this.#head.method;
    if (answerWriter === undefined || this.#headers !== undefined || this.#trailers !== undefined) return false;
    const contentBytes = this.stream.trySendWhole?.(preparedOk, answerWriter, response) ?? -1;
    if (contentBytes < 0) return false;
    this.sentBytes += contentBytes;
    this.#headersSent = true;
    this.#markAnswered(okStatus);
    this.#leaveRequest();
    return true;
  }

  #sendMessage(message: unknown): void {
    if (this.#sendPlaced(message)) return;
    const slices = frameMessage(this.method.response, message); // first, since it may throw
    for (const { byteLength } of slices) this.sentBytes += byteLength;
    if (!this.#headersSent) this.#sendHeaders();
    this.stream.sendData(slices, false);
  }

  /** In memory that is used again, for what is copied into it anyway. */
  #sendPlaced(message: unknown): boolean {
    const { answerWriter } = this.#head.method;
    if (answerWriter === undefined) return false;
    const bytesMax = answerWriter.bytesMax(message);
    if (bytesMax > placedBytesMax) return false;
    const memory = this.host.answers.take(bytesMax);
    const end = answerWriter.write(message, memory.bytes, 0);
    if (end < 0) {
      memory.giveBack();
      return false;
    }
    this.sentBytes += end;
    if (!this.#headersSent) this.#sendHeaders();
    const answer = new Uint8Array(memory.bytes.buffer, memory.bytes.byteOffset, end);
    if (end >= memory.bytes.length * usedShareMin) {
      this.stream.sendData([answer], false, memory);
      return true;
    }
    const copy = newMessageBuffer(end);
    copy.set(answer);
    memory.giveBack();
    this.stream.sendData([copy], false);
    return true;
  }

  #sendHeaders(): void {
    this.#headersSent = true;
    const headers = this.#headers === undefined ? preparedHeaders : [...responseHeaders, ...this.#headers];
    this.stream.sendHeaders(headers, false);
  }

  /** Trailers, or all of it in one block when nothing was sent and the handler set no headers (REAPI HT-10). */
  #finish(status: number, trailers: OutgoingHeaders): void {
    if (this.#answered) return;
    this.#markAnswered(status);
    if (this.#headersSent && trailers === okTrailers && this.#trailers === undefined) {
      this.stream.sendTrailers(preparedOkTrailers);
    } else {
      this.#sendStatus([...trailers, ...(this.#trailers ?? [])]);
    }
    this.#leaveRequest();
  }

  /** What is still to come of the request is dropped within a bound. */
  #leaveRequest(): void {
    this.requestDone();
    if (this.#requestEnded || this.stream.closed) return;
    this.#discard = new RequestDiscard(this.stream, this.host.limits, this.host.timers);
    this.requestUnwanted();
  }

  #sendStatus(trailers: OutgoingHeaders): void {
    if (!this.#headersSent && this.#headers === undefined) {
      this.stream.sendHeaders([...responseHeaders, ...trailers], true);
      return;
    }
    if (!this.#headersSent) this.#sendHeaders();
    this.stream.sendTrailers(trailers);
  }

  /** The call was answered: what is still kept of the request may go. */
  protected requestDone(): void {}

  /** The call was answered while the request goes on; what is held of it may go. */
  protected requestUnwanted(): void {}

  #markAnswered(status: number): void {
    this.#answered = true;
    this.status = status;
    this.host.observed?.observer.ended(this);
    // An answer that waits for the client to take what is before it is not there yet.
    if (this.stream.queuedBytes === 0) this.#deadline?.[Symbol.dispose]();
    this.#wake?.();
  }

  #expire(): void {
    this.stop(new CacheError('deadline_exceeded', `the call took longer than the ${this.#head.timeoutMs} ms it was given`));
    // The status would wait behind what is not taken, and hold it in memory for as long as the connection lives.
    if (this.stream.queuedBytes > 0) this.stream.reset(errorCode.cancel);
  }

  #abandon(reason: Error): void {
    this.#stopReason = reason;
    this.abandonRequest(reason);
    this.#abort?.abort(reason);
  }

  /** While others wait for memory, nothing is fetched before the last message has left. */
  #queueBytesMax(): number {
    return this.host.budget.isTight ? 0 : this.host.limits.sendQueueBytesMax;
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }
}
