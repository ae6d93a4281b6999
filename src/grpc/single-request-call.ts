// Calls whose request is one message: unary and server streaming.
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { newMessageBuffer, pieceMemory } from './message-buffer.ts';
import { byteLengthOf, CompressedMessage, isWholeMessage, MessageReader, prefixBytes } from './message-reader.ts';
import type { ReceivedMessage } from './message-reader.ts';
import type { CallHost } from './server-call.ts';
import { ServerCall } from './server-call.ts';
import type { ServerStream } from '../h2/stream.ts';
import type { SingleRequestMethod } from './method.ts';
import type { RequestHead } from './request-head.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';

/** The handler runs when the request is complete: only then is it known that there is no second message. */
export class SingleRequestCall extends ServerCall {
  readonly #method: SingleRequestMethod;
  /** By a promise while it is inflated. */
  #request: MaybePromise<unknown>;
  /** The message, as it came, until its handler has it. */
  #requestBytes = 0;
  /** What the request has views of, if it is to be used again once the handler has answered. */
  #lent: Uint8Array | undefined;
  #received = false;
  #reader: MessageReader | undefined;
  /** Received, and not returned as credit: a request that ends in this turn of the loop never needs it. */
  #uncreditedBytes = 0;

  constructor(stream: ServerStream, head: RequestHead, method: SingleRequestMethod, host: CallHost) {
    super(stream, head, host);
    this.#method = method;
  }

  override get awaitsPeer(): boolean {
    return this.#requestBytes > 0 || (this.#reader !== undefined && this.#reader.pendingBytes > 0 && !this.#waitsForRoom());
  }

  override get awaitsRequest(): boolean {
    return !this.answered && !this.#waitsForRoom();
  }

  protected override receive(bytes: Uint8Array): void {
    if (this.#waitsForRoom()) {
      this.#uncreditedBytes += bytes.byteLength; // returned when there is room
      this.#read(bytes);
      if (!this.#waitsForRoom()) this.#returnCredit();
      else this.stream.setAside?.(bytes.byteLength);
      return;
    }
    if (this.#uncreditedBytes > 0) this.stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = bytes.byteLength;
    if (!this.#received && this.#reader === undefined && isWholeMessage(bytes, this.host.limits.messageBytesMax)) {
      this.#accept(this.#method.request.keepsViews ? copyOf(bytes, prefixBytes) : bytes.subarray(prefixBytes), bytes.byteLength);
      return;
    }
    this.#read(bytes);
    // The sender may be waiting for this credit to go on with the message.
    if (!this.#waitsForRoom()) this.#returnCredit();
    else this.stream.setAside?.(bytes.byteLength);
  }

  protected override receiveEnd(): void {
    if (!this.#received || this.#reader?.pendingBytes) throw halfMessage(this.#reader);
    const method = this.#method;
    const request = this.#request;
    const lent = this.#lent;
    this.#request = undefined;
    this.#lent = undefined;
    this.#requestBytes = 0; // its handler's
    this.#reader = undefined;
    if (method.kind === 'unary' && lent !== undefined) this.answer(() => this.#givenBack(lent, method.handler(request, this)));
    else if (method.kind === 'unary') this.answer(() => (isPromise(request) ? request.then((inflated) => method.handler(inflated, this)) : method.handler(request, this)));
    else void this.answerStream(() => (isPromise(request) ? answersTo(request, (inflated) => method.handler(inflated, this)) : method.handler(request, this)));
  }

  protected override abandonRequest(): void {
    if (this.#requestBytes > 0) this.releaseRequest(); // else it is its handler's
    this.#request = undefined;
    this.#lent = undefined;
    this.#requestBytes = 0;
    this.#reader?.drop();
    this.#reader = undefined;
    this.#returnCredit();
  }

  protected override requestUnwanted(): void {
    this.abandonRequest();
  }

  #read(bytes: Uint8Array): void {
    this.#reader ??= new MessageReader(this.host.limits.messageBytesMax, {
      budget: this.host.budget,
      share: this.stream.requestShare,
      onRoom: () => this.#returnCredit(),
      onRefused: (error) => this.stop(error),
    });
    const reader = this.#reader;
    for (let offset = 0; offset < bytes.byteLength; ) {
      offset = reader.read(bytes, offset);
      const message = reader.take();
      if (message === undefined) continue;
      this.#accept(message, byteLengthOf(message));
      if (message instanceof CompressedMessage) continue;
      // A large message has memory that is expensive to have anew: page by page from the system, and the collector runs for it.
      if (!this.#method.request.keepsViews) pieceMemory.giveBack(message);
      else if (this.#method.request.lendsViews === true) this.#lent = message;
    }
  }

  #waitsForRoom(): boolean {
    return this.#reader !== undefined && this.#reader.isInLine;
  }

  #returnCredit(): void {
    this.stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  #accept(message: ReceivedMessage, byteLength: number): void {
    if (this.#received) {
      throw new StatusError(grpcStatusOf.internal, `${this.#method.path} takes one request message, and a second one came`);
    }
    this.#received = true;
    this.#request = message instanceof CompressedMessage ? this.#inflated(message) : this.decode(message);
    this.#requestBytes = byteLength;
    this.holdRequest(byteLength);
  }

  /** The answer, once the bytes of its request may be those of another one. What was cancelled may go on in the store for a while. */
  async #givenBack(lent: Uint8Array, answer: MaybePromise<unknown>): Promise<unknown> {
    const handled = await answer;
    if (!this.answered) pieceMemory.giveBack(lent);
    return handled;
  }

  /** A failure ends the call at once, and not only when the request has ended. */
  #inflated(message: CompressedMessage): Promise<unknown> {
    const request = this.inflate(message).then((bytes) => {
      if (this.answered) throw callOver; // and what was counted for it given back
      this.holdRequest(bytes.byteLength);
      return this.decode(bytes);
    });
    request.catch((error: unknown) => this.stop(error));
    return request;
  }
}

/** One for all: whoever had wanted the request has gone. */
const callOver = new CacheError('cancelled', 'the call was over before its request was inflated');

async function* answersTo(request: Promise<unknown>, handler: (request: unknown) => AsyncIterable<unknown>): AsyncGenerator<unknown, void, undefined> {
  yield* handler(await request);
}

function copyOf(bytes: Uint8Array, from: number): Uint8Array {
  const copy = newMessageBuffer(bytes.byteLength - from);
  copy.set(bytes.subarray(from));
  return copy;
}

/** gRPC calls a request without its message INTERNAL; the text tells the two ways to get there apart. */
function halfMessage(reader: MessageReader | undefined): Error {
  if (reader?.pendingBytes) return new StatusError(grpcStatusOf.internal, 'the request ended in the middle of a message');
  return new StatusError(grpcStatusOf.internal, 'the request ended without a message');
}
