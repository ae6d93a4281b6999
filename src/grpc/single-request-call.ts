// Calls whose request is one message: unary and server streaming.
import { MessageReader, wholeMessage } from './message-reader.ts';
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
  #message: ReceivedMessage | undefined;
  #reader: MessageReader | undefined;
  /** Received, and not returned as credit: a request that ends in this turn of the loop never needs it. */
  #uncreditedBytes = 0;

  constructor(stream: ServerStream, head: RequestHead, method: SingleRequestMethod, host: CallHost) {
    super(stream, head, host);
    this.#method = method;
  }

  protected override receive(bytes: Uint8Array): void {
    if (this.#uncreditedBytes > 0) this.stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = bytes.byteLength;
    if (this.#message === undefined && this.#reader === undefined) {
      this.#message = wholeMessage(bytes, this.host.limits.messageBytesMax);
      if (this.#message !== undefined) return;
    }
    this.#read(bytes);
    // The sender may be waiting for this credit to go on with the message.
    this.stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  protected override receiveEnd(): void {
    const message = this.#message;
    if (message === undefined || this.#reader?.pendingBytes) throw halfMessage(this.#reader);
    this.#message = undefined;
    this.#reader = undefined;
    const method = this.#method;
    const request = this.decode(message);
    if (method.kind === 'unary') this.answer(() => method.handler(request, this));
    else void this.answerStream(() => method.handler(request, this));
  }

  protected override abandonRequest(): void {
    this.#message = undefined;
    this.#reader = undefined;
    this.stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  protected override requestUnwanted(): void {
    this.abandonRequest();
  }

  #read(bytes: Uint8Array): void {
    this.#reader ??= new MessageReader(this.host.limits.messageBytesMax);
    for (let offset = 0; offset < bytes.byteLength; ) {
      if (this.#message !== undefined) {
        throw new StatusError(grpcStatusOf.internal, `${this.#method.path} takes one request message, and a second one came`);
      }
      offset = this.#reader.read(bytes, offset);
      this.#message = this.#reader.take();
    }
  }
}

/** gRPC calls a request without its message INTERNAL; the text tells the two ways to get there apart. */
function halfMessage(reader: MessageReader | undefined): Error {
  if (reader?.pendingBytes) return new StatusError(grpcStatusOf.internal, 'the request ended in the middle of a message');
  return new StatusError(grpcStatusOf.internal, 'the request ended without a message');
}
