// The only message of an answer that has one; streams of them wait in a lane (grpc/message-lane.ts).
import type { ByteBudget } from '../base/byte-budget.ts';
import { newMessageBuffer } from '../grpc/message-buffer.ts';
import { byteLengthOf, isWholeMessage, MessageReader, prefixBytes } from '../grpc/message-reader.ts';
import type { ReceivedMessage } from '../grpc/message-reader.ts';
import { StatusError } from '../grpc/status-error.ts';
import { grpcStatusOf } from '../grpc/status.ts';
import type { OpenStream } from '../h2/stream.ts';
import type { AnswerReceiver } from './grpc-attempt.ts';

export interface OnlyAnswerOptions {
  readonly messageBytesMax: number;
  readonly budget: ByteBudget;
  /** Told the message at the end of the answer. */
  onMessage(message: ReceivedMessage): void;
  /** There is no memory for it. */
  onFault(error: unknown): void;
}

export class OnlyAnswer implements AnswerReceiver {
  readonly #stream: Pick<OpenStream, 'consumed'>;
  readonly #options: OnlyAnswerOptions;
  /** Made for an answer that comes in pieces. */
  #reader: MessageReader | undefined;
  #message: ReceivedMessage | undefined;
  /** Taken from the budget for a message that came in pieces, until the end of the answer. */
  #heldBytes = 0;
  /** Received, and not returned as credit while the message waits for room. */
  #uncreditedBytes = 0;

  constructor(stream: Pick<OpenStream, 'consumed'>, options: OnlyAnswerOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  push(bytes: Uint8Array): void {
    this.#uncreditedBytes += bytes.byteLength;
    if (this.#message === undefined && this.#reader === undefined && isWholeMessage(bytes, this.#options.messageBytesMax)) {
      this.#message = newMessageBuffer(bytes.byteLength - prefixBytes);
      this.#message.set(bytes.subarray(prefixBytes));
    } else this.#read(bytes);
    if (this.#reader?.isInLine !== true) this.#returnCredit();
  }

  end(failure?: Error): void {
    const pendingBytes = this.#reader?.pendingBytes ?? 0;
    this.close();
    if (failure !== undefined) return;
    if (pendingBytes > 0) throw new StatusError(grpcStatusOf.internal, 'the answer ended in the middle of a message');
    if (this.#message === undefined) throw new StatusError(grpcStatusOf.unimplemented, 'the answer is OK and has no message, and the method has one');
    this.#options.onMessage(this.#message);
  }

  close(): void {
    this.#reader?.drop();
    this.#options.budget.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #read(bytes: Uint8Array): void {
    const options = this.#options;
    this.#reader ??= new MessageReader(options.messageBytesMax, { budget: options.budget, onRoom: () => this.#returnCredit(), onRefused: (error) => options.onFault(error) }, 'answer');
    for (let offset = 0; offset < bytes.byteLength; ) {
      if (this.#message !== undefined) throw new StatusError(grpcStatusOf.unimplemented, 'the answer has more than one message, and the method has one');
      offset = this.#reader.read(bytes, offset);
      this.#message = this.#reader.take();
      if (this.#message !== undefined) this.#hold(byteLengthOf(this.#message));
    }
  }

  #hold(bytes: number): void {
    this.#heldBytes = bytes;
    this.#options.budget.take(bytes);
  }

  #returnCredit(): void {
    this.#stream.consumed(this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }
}
