// The only message of an answer that has one; streams of them wait in a lane (grpc/request-lane.ts).
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { isWholeMessage, MessageReader, prefixBytes } from '../grpc/message-reader.ts';
import type { ReceivedMessage } from '../grpc/message-reader.ts';
import { StatusError } from '../grpc/status-error.ts';
import { grpcStatusOf } from '../grpc/status.ts';
import type { OpenStream } from '../h2/stream.ts';
import type { AnswerReceiver } from './grpc-attempt.ts';

export class OnlyAnswer implements AnswerReceiver {
  readonly #stream: Pick<OpenStream, 'consumed'>;
  readonly #messageBytesMax: number;
  readonly #onMessage: (message: ReceivedMessage) => void;
  /** Made for an answer that comes in pieces. */
  #reader: MessageReader | undefined;
  #message: ReceivedMessage | undefined;

  /** `onMessage` is told the message at the end of the answer. */
  constructor(stream: Pick<OpenStream, 'consumed'>, messageBytesMax: number, onMessage: (message: ReceivedMessage) => void) {
    this.#stream = stream;
    this.#messageBytesMax = messageBytesMax;
    this.#onMessage = onMessage;
  }

  push(bytes: Uint8Array): void {
    this.#stream.consumed(bytes.byteLength); // one message is bounded by its limit
    if (this.#message === undefined && this.#reader === undefined && isWholeMessage(bytes, this.#messageBytesMax)) {
      this.#message = bytes.slice(prefixBytes);
      return;
    }
    const memory = { budget: unboundedByteBudget(), onRoom: () => {}, onRefused: () => {} };
    this.#reader ??= new MessageReader(this.#messageBytesMax, memory, 'answer');
    for (let offset = 0; offset < bytes.byteLength; ) {
      if (this.#message !== undefined) throw new StatusError(grpcStatusOf.unimplemented, 'the answer has more than one message, and the method has one');
      offset = this.#reader.read(bytes, offset);
      this.#message = this.#reader.take();
    }
  }

  end(): void {
    if ((this.#reader?.pendingBytes ?? 0) > 0) throw new StatusError(grpcStatusOf.internal, 'the answer ended in the middle of a message');
    if (this.#message === undefined) throw new StatusError(grpcStatusOf.unimplemented, 'the answer is OK and has no message, and the method has one');
    this.#onMessage(this.#message);
  }
}
