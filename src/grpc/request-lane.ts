// The messages of one request stream between the transport, which pushes, and a handler, which pulls.
import { assert } from '../base/assert.ts';
import type { ServerStream } from '../h2/stream.ts';
import type { GrpcLimits } from './limits.ts';
import { CompressedMessage, MessageReader, prefixBytes } from './message-reader.ts';
import type { ReceivedMessage } from './message-reader.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';

/** What a lane needs to know of its call. */
export interface LaneOptions {
  readonly limits: GrpcLimits;
  /** @throws CacheError or StatusError when it is not a message of the method. */
  decode(message: ReceivedMessage): unknown;
  /** The request breaks the rules; the call ends with this. */
  onFault(error: unknown): void;
  /** Called when the handler begins to wait for the client, disposed when it has not to wait any more. */
  watch(receivedBytes: () => number): Disposable;
}

/**
 * Flow control keeps the lane bounded: credit is returned for what the handler has taken, and for the message
 * being received while nothing else waits (it may be larger than the window). So at most one message and one
 * window are held. Messages are cut out up to `laneMessagesMax` ahead; what comes beyond stays as it came, so
 * that a flood of empty messages costs its five bytes each.
 */
export class RequestLane implements AsyncIterable<unknown>, AsyncIterator<unknown, undefined> {
  readonly #stream: ServerStream;
  readonly #options: LaneOptions;
  readonly #reader: MessageReader;
  #queue: ReceivedMessage[] = [];
  #queuedBytes = 0;
  /** Pieces not yet cut into messages, copied since the transport takes its own back. */
  #backlog: Uint8Array[] = [];
  #backlogBytes = 0;
  #uncreditedBytes = 0;
  #receivedBytes = 0;
  /** The last message was pushed, or the handler wants no more. */
  #ended = false;
  #unwanted = false;
  #failure: Error | undefined;
  #waiting: PromiseWithResolvers<ReceivedMessage | undefined> | undefined;

  constructor(stream: ServerStream, options: LaneOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#reader = new MessageReader(options.limits.messageBytesMax);
  }

  /** A piece of the request. @throws StatusError when it breaks gRPC's framing. */
  push(bytes: Uint8Array): void {
    this.#receivedBytes += bytes.byteLength;
    this.#uncreditedBytes += bytes.byteLength;
    if (this.#unwanted) return; // without credit: the client waits until the call is answered
    const cut = this.#backlogBytes === 0 ? this.#cut(bytes) : 0;
    if (cut < bytes.byteLength) {
      const rest = bytes.slice(cut);
      this.#backlog.push(rest);
      this.#backlogBytes += rest.byteLength;
    }
    this.#serve();
    this.#returnCredit();
  }

  /** The request is complete. @throws StatusError when it ends in the middle of a message. */
  end(): void {
    this.#ended = true;
    this.#checkEnd();
    this.#serve();
  }

  /** The call is over: drops what is held, returns its credit, and ends the handler's wait with `reason`. */
  close(reason: Error): void {
    this.#failure ??= reason;
    this.#drop();
    this.#stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    assert(this.#waiting === undefined, 'one consumer pulls, one message at a time');
    const message = this.#take() ?? (await this.#waitWatched());
    if (message === undefined) return { done: true, value: undefined };
    return { done: false, value: this.#options.decode(message) };
  }

  /** The handler wants no more. */
  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.#ended = true;
    this.#drop();
    return { done: true, value: undefined };
  }

  async #waitWatched(): Promise<ReceivedMessage | undefined> {
    const arrival = this.#wait();
    if (arrival === undefined) return undefined;
    using _watch = this.#options.watch(() => this.#receivedBytes);
    return await arrival;
  }

  #wait(): Promise<ReceivedMessage | undefined> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return undefined;
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  #serve(): void {
    if (this.#waiting === undefined) return;
    const message = this.#take();
    if (message === undefined && !this.#ended) return;
    this.#waiting.resolve(message);
    this.#waiting = undefined;
  }

  #take(): ReceivedMessage | undefined {
    if (this.#failure !== undefined) return undefined;
    const message = this.#queue.shift();
    if (message === undefined) return undefined;
    this.#queuedBytes -= wireBytes(message);
    if (this.#backlogBytes > 0) this.#cutBacklog();
    this.#returnCredit();
    return message;
  }

  /** Cuts messages out of `piece` while there is room; returns where it stopped. */
  #cut(piece: Uint8Array): number {
    let offset = 0;
    while (offset < piece.byteLength && this.#queue.length < this.#options.limits.laneMessagesMax) {
      offset = this.#reader.read(piece, offset);
      const message = this.#reader.take();
      if (message === undefined) continue;
      this.#queue.push(message);
      this.#queuedBytes += wireBytes(message);
    }
    return offset;
  }

  #cutBacklog(): void {
    try {
      for (let piece = this.#backlog[0]; piece !== undefined; piece = this.#backlog[0]) {
        const cut = this.#cut(piece);
        this.#backlogBytes -= cut;
        if (cut < piece.byteLength) {
          this.#backlog[0] = piece.subarray(cut);
          return;
        }
        this.#backlog.shift();
      }
      this.#checkEnd();
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  #checkEnd(): void {
    if (!this.#ended || this.#backlogBytes > 0 || this.#reader.pendingBytes === 0 || this.#unwanted) return;
    throw new StatusError(grpcStatusOf.internal, 'the request ended in the middle of a message');
  }

  #returnCredit(): void {
    const partial = this.#queuedBytes > 0 ? this.#reader.pendingBytes : 0;
    const credit = this.#uncreditedBytes - this.#queuedBytes - this.#backlogBytes - partial;
    if (credit <= 0) return;
    this.#uncreditedBytes -= credit;
    this.#stream.consumed(credit);
  }

  #drop(): void {
    this.#unwanted = true;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#backlog = [];
    this.#backlogBytes = 0;
  }
}

function wireBytes(message: ReceivedMessage): number {
  return prefixBytes + (message instanceof CompressedMessage ? message.bytes.byteLength : message.byteLength);
}
