// The messages of one stream between the transport, which pushes, and who takes them, who pulls: a handler those of a
// request, a client those of an answer.
import { assert } from '../base/assert.ts';
import { HeldBytes, unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { CacheError } from '../base/cache-error.ts';
import type { RoomShare } from '../base/room-share.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { OpenStream, ServerStream } from '../h2/stream.ts';
import type { PartsCodec } from '../proto/message-codec.ts';
import { KeptPieces } from './kept-pieces.ts';
import { Lending } from './lent-messages.ts';
import type { GrpcLimits } from './limits.ts';
import { partialBytesMin, pieceMemory } from './message-buffer.ts';
import { byteLengthOf, CompressedMessage, MessageReader, prefixBytes } from './message-reader.ts';
import type { MessageSide, ReceivedMessage } from './message-reader.ts';
import type { RequestMessages } from './service.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';

/** What a lane needs to know of its call. */
export interface LaneOptions {
  readonly limits: Pick<GrpcLimits, 'messageBytesMax' | 'laneMessagesMax'>;
  /** Default: one without a bound. */
  readonly budget?: ByteBudget;
  /** See `ReaderMemory`. */
  readonly share?: RoomShare | undefined;
  /** Default: a request. */
  readonly side?: MessageSide;
  /** Whoever takes a message, and what was decoded from it, is done with it when it asks for the next one. Default: no. */
  readonly reusesMessages?: boolean;
  /** How messages may be lent in parts, if they may. */
  readonly parts?: PartsCodec<unknown> | undefined;
  /** @throws CacheError when it is not a message of the method. */
  decode(bytes: Uint8Array): unknown;
  /** @throws as `MessageInflater.inflate`. */
  inflate(message: CompressedMessage): Promise<Uint8Array>;
  /** What comes breaks the rules; the call ends with this. */
  onFault(error: unknown): void;
}

/** What a lane does with its stream: return credit. */
type LaneStream = Pick<OpenStream, 'consumed'> & Pick<ServerStream, 'setAside'>;

/**
 * Flow control keeps the lane bounded: credit is returned for what the handler has taken, and for the message
 * being received while nothing else waits (it may be larger than the window). So at most one message and one
 * window are held, and counted in the budget; a message that waits for room in it gets no credit. Messages are cut out up to `laneMessagesMax` ahead; what comes beyond stays as it came, so
 * that a flood of empty messages costs its five bytes each.
 */
export class MessageLane implements RequestMessages<unknown>, AsyncIterator<unknown, undefined> {
  readonly #stream: LaneStream;
  readonly #side: MessageSide;
  readonly #options: LaneOptions;
  readonly #budget: ByteBudget;
  readonly #reader: MessageReader;
  /** What waits for the handler, and what it works on; the reader counts the unfinished message itself. */
  readonly #held: HeldBytes;
  #queue: ReceivedMessage[] = [];
  #queuedBytes = 0;
  /** Pieces not yet cut into messages, copied since the transport takes its own back. */
  #backlog = new KeptPieces();
  #backlogBytes = 0;
  /** What the handler has as long as it has not asked for the next one. */
  #handedOut: ReceivedMessage | undefined;
  #handedOutBytes = 0;
  #uncreditedBytes = 0;
  /** Of them, returned to the connection alone. */
  #setAsideBytes = 0;
  /** The last message was pushed, or the handler wants no more. */
  #ended = false;
  #unwanted = false;
  #failure: Error | undefined;
  /** Comes behind the last message. */
  #finalFailure: Error | undefined;
  #waiting: PromiseWithResolvers<ReceivedMessage | undefined> | undefined;
  /** From `lend` on, and how it ended. */
  #lending: Lending | undefined;
  #lent: PromiseWithResolvers<void> | undefined;
  #keptBytes = 0;

  constructor(stream: LaneStream, options: LaneOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#side = options.side ?? 'request';
    this.#budget = options.budget ?? unboundedByteBudget();
    this.#held = new HeldBytes(this.#budget);
    const memory = { budget: this.#budget, share: options.share, onRoom: () => this.#returnCredit(), onRefused: (error: CacheError) => options.onFault(error) };
    this.#reader = new MessageReader(options.limits.messageBytesMax, memory, this.#side);
  }

  /** A message has begun, nothing stands before it, and the rest of it is the sender's to send. */
  get awaitsPeer(): boolean {
    const isInside = this.#reader.pendingBytes > 0 || (this.#lending?.isInside === true && !this.#lending.isPaused);
    return isInside && this.#queue.length === 0 && !this.#reader.isInLine;
  }

  /** Somebody waits for a message, and not for memory to hold it. */
  get isAwaited(): boolean {
    const isWanted = this.#waiting !== undefined || (this.#lending !== undefined && !this.#lending.isPaused);
    return isWanted && !this.#reader.isInLine;
  }

  /** A piece of the request. @throws StatusError when it breaks gRPC's framing, CacheError when there is no memory for it. */
  push(bytes: Uint8Array): void {
    this.#uncreditedBytes += bytes.byteLength;
    if (this.#unwanted) return; // without credit: the client waits until the call is answered
    if (this.#queuedBytes + this.#backlogBytes > partialBytesMin && this.#budget.refusesGrowth) throw this.#budget.refusal();
    const cut = this.#backlogBytes === 0 ? this.#cut(bytes) : 0;
    if (cut < bytes.byteLength) {
      this.#backlog.add(cut === 0 ? bytes : bytes.subarray(cut));
      this.#backlogBytes += bytes.byteLength - cut;
    }
    this.#serve();
    this.#returnCredit();
    this.#count();
  }

  /**
   * Nothing more comes. With `failure`, whoever has taken all messages is told it instead of the end.
   * @throws StatusError when it ends in the middle of a message, unless with a failure.
   */
  end(failure?: Error): void {
    this.#ended = true;
    this.#finalFailure = failure;
    this.#checkEnd();
    this.#serve();
  }

  /** The call is over: drops what is held, returns its credit, and ends the handler's wait with `reason`. */
  close(reason: Error): void {
    this.#failure ??= reason;
    this.#drop();
    this.#stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
    this.#setAsideBytes = 0;
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
    this.#lent?.reject(this.#failure);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    assert(this.#waiting === undefined && this.#lending === undefined, 'one consumer pulls, one message at a time');
    this.#reuseHandedOut();
    const message = this.#take() ?? (await this.#wait());
    if (message === undefined) return { done: true, value: undefined };
    return { done: false, value: this.#options.decode(message instanceof CompressedMessage ? await this.#inflated(message) : message) };
  }

  lend(visit: (message: unknown) => MaybePromise<void>): Promise<void> {
    assert(this.#waiting === undefined && this.#lending === undefined, 'one consumer takes all that is left');
    this.#reuseHandedOut();
    const { limits, parts } = this.#options;
    this.#lent = Promise.withResolvers();
    this.#lending = new Lending({
      reader: this.#reader,
      messageBytesMax: limits.messageBytesMax,
      budget: this.#budget,
      parts,
      decode: (bytes) => this.#options.decode(bytes),
      inflate: (message) => this.#inflated(message),
      visit,
      onReady: () => this.#lendQueued(),
      onFailure: (error) => {
        this.#lent?.reject(error);
        this.#drop();
      },
    });
    if (this.#failure !== undefined) this.#lent.reject(this.#failure);
    else this.#lendQueued();
    return this.#lent.promise;
  }

  keep(bytes: number): void {
    if (this.#unwanted) return;
    this.#keptBytes = bytes;
    this.#count();
  }

  /** The handler wants no more. */
  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.#ended = true;
    this.#drop();
    return { done: true, value: undefined };
  }

  /** Counted, as it came and in plain, until whoever takes it is done with it. */
  async #inflated(message: CompressedMessage): Promise<Uint8Array> {
    this.#handedOutBytes = wireBytes(message);
    const bytes = await this.#options.inflate(message);
    if (this.#failure !== undefined) throw this.#failure;
    this.#handedOutBytes += bytes.byteLength;
    this.#count();
    return bytes;
  }

  /** Only here: of a call that has ended, the handler may still be at work with what it has. */
  #reuseHandedOut(): void {
    this.#handedOutBytes = 0;
    if (this.#options.reusesMessages === true && this.#handedOut instanceof Uint8Array) pieceMemory.giveBack(this.#handedOut);
    this.#handedOut = undefined;
  }

  #wait(): Promise<ReceivedMessage | undefined> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) {
      if (this.#finalFailure !== undefined) throw this.#finalFailure;
      return undefined;
    }
    this.#count(); // without what the handler had: of an upload that rests, nobody else would give it back
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** What came before it was to be lent, or during a pause. */
  #lendQueued(): void {
    this.#handedOutBytes = 0;
    while (this.#lending?.isPaused === false && !this.#unwanted) {
      const message = this.#queue.shift();
      if (message === undefined) break;
      this.#queuedBytes -= wireBytes(message);
      this.#lending.visitWhole(message);
    }
    if (this.#queue.length === 0) this.#cutBacklog();
    this.#serve();
    this.#returnCredit();
    this.#count();
  }

  #endLending(): void {
    if (!this.#ended || this.#queue.length > 0 || this.#backlogBytes > 0 || this.#lending?.isPaused === true) return;
    if (this.#finalFailure !== undefined) this.#lent?.reject(this.#finalFailure);
    else this.#lent?.resolve();
  }

  #serve(): void {
    if (this.#lending !== undefined) this.#endLending();
    if (this.#waiting === undefined) return;
    const message = this.#take();
    if (message === undefined && !this.#ended) return;
    if (message === undefined && this.#finalFailure !== undefined) this.#waiting.reject(this.#finalFailure);
    else this.#waiting.resolve(message);
    this.#waiting = undefined;
  }

  #take(): ReceivedMessage | undefined {
    if (this.#failure !== undefined) return undefined;
    const message = this.#queue.shift();
    if (message === undefined) return undefined;
    this.#handedOut = message;
    this.#handedOutBytes = wireBytes(message);
    this.#queuedBytes -= this.#handedOutBytes;
    if (this.#backlogBytes > 0) this.#cutBacklog();
    this.#returnCredit();
    this.#count();
    return message;
  }

  /** Cuts messages out of `piece` while there is room; returns where it stopped. */
  #cut(piece: Uint8Array): number {
    if (this.#lending !== undefined && this.#queue.length === 0) return this.#lending.read(piece, 0);
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
      for (let piece = this.#backlog.first; piece !== undefined; piece = this.#backlog.first) {
        const cut = this.#cut(piece);
        if (this.#unwanted) return; // what was visited failed, and all that waited has been dropped
        this.#backlogBytes -= cut;
        this.#backlog.take(cut);
        if (cut < piece.byteLength) return;
      }
      this.#checkEnd();
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  #checkEnd(): void {
    const isWhole = this.#reader.pendingBytes === 0 && this.#lending?.isInside !== true;
    if (!this.#ended || this.#backlogBytes > 0 || isWhole || this.#unwanted) return;
    if (this.#finalFailure !== undefined) return;
    throw new StatusError(grpcStatusOf.internal, `the ${this.#side} ended in the middle of a message`);
  }

  #returnCredit(): void {
    const partial = this.#queuedBytes > 0 || this.#reader.isInLine ? this.#reader.pendingBytes : 0;
    const credit = this.#uncreditedBytes - this.#queuedBytes - this.#backlogBytes - partial;
    if (credit > 0) {
      this.#uncreditedBytes -= credit;
      this.#setAsideBytes = Math.max(0, this.#setAsideBytes - credit); // those first, as the stream does
      this.#stream.consumed(credit);
    }
    if (this.#reader.isInLine) this.#setAside();
  }

  /** The others of the connection shall not wait for its window while this one waits for memory. */
  #setAside(): void {
    const bytes = this.#uncreditedBytes - this.#setAsideBytes;
    this.#setAsideBytes += bytes;
    if (bytes > 0) this.#stream.setAside?.(bytes);
  }

  #drop(): void {
    this.#unwanted = true;
    this.#handedOut = undefined;
    this.#handedOutBytes = 0;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#backlog = new KeptPieces();
    this.#backlogBytes = 0;
    this.#keptBytes = 0;
    this.#reader.drop();
    this.#count();
  }

  #count(): void {
    this.#held.set(this.#queuedBytes + this.#backlogBytes + this.#handedOutBytes + this.#keptBytes);
  }
}

function wireBytes(message: ReceivedMessage): number {
  return prefixBytes + byteLengthOf(message);
}
