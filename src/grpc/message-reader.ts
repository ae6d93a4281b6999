// Cuts the body of a request or an answer into messages: one flag byte, four bytes of length (big-endian), then the message
// (gRPC over HTTP/2, "Length-Prefixed-Message"). Knows nothing of frames: pieces may end anywhere (REAPI HT-5).
import { newMessageBuffer } from './message-buffer.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';

export const prefixBytes = 5;

/** Whose messages are read, for texts: a server reads requests, a client answers. */
export type MessageSide = 'request' | 'answer';

/** A message whose flag says that it is compressed with the call's `grpc-encoding`. */
export class CompressedMessage {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** A message that nobody else holds or writes to: decoded messages may keep views of it. */
export type ReceivedMessage = Uint8Array | CompressedMessage;

const emptyMessage = new Uint8Array(0);

/**
 * Whether `piece` is exactly one uncompressed message, prefix and all. Nearly all small calls are like this; it
 * spares them the reader and its state.
 */
export function isWholeMessage(piece: Uint8Array, messageBytesMax: number): boolean {
  const length = piece.byteLength - prefixBytes;
  return length >= 0 && length <= messageBytesMax && piece[0] === 0 && lengthAt(piece, 1) === length;
}

/**
 * The state between pieces. A message is allocated once, from its length prefix, and each of its bytes copied
 * once, straight from the transport's input.
 */
export class MessageReader {
  readonly #messageBytesMax: number;
  readonly #side: MessageSide;
  #prefixLength = 0;
  #flag = 0;
  #length = 0;
  /** The message being filled; undefined between messages and while its prefix is incomplete. */
  #body: Uint8Array | undefined;
  #filled = 0;
  #complete: ReceivedMessage | undefined;

  constructor(messageBytesMax: number, side: MessageSide = 'request') {
    this.#messageBytesMax = messageBytesMax;
    this.#side = side;
  }

  /** Bytes of the unfinished message, prefix included; 0 between messages. */
  get pendingBytes(): number {
    return this.#prefixLength + this.#filled;
  }

  /**
   * Reads `piece` from `offset` and returns where it stopped: behind a message, which `take` then gives, or at
   * the end of the piece. Never reads on while a message waits to be taken.
   * @throws StatusError RESOURCE_EXHAUSTED for a message over the limit, INTERNAL for an unknown flag.
   */
  read(piece: Uint8Array, offset: number): number {
    let at = offset;
    while (this.#body === undefined) {
      if (at === piece.byteLength) return at;
      const byte = piece[at] ?? 0;
      if (this.#prefixLength === 0) this.#flag = byte;
      else this.#length = this.#length * 256 + byte;
      this.#prefixLength += 1;
      at += 1;
      if (this.#prefixLength === prefixBytes) this.#begin();
    }
    const part = Math.min(this.#body.byteLength - this.#filled, piece.byteLength - at);
    if (part > 0) this.#body.set(piece.subarray(at, at + part), this.#filled);
    this.#filled += part;
    if (this.#filled === this.#body.byteLength) this.#finish(this.#body);
    return at + part;
  }

  /** The message completed by the last `read`, once. */
  take(): ReceivedMessage | undefined {
    const message = this.#complete;
    this.#complete = undefined;
    return message;
  }

  #begin(): void {
    if (this.#flag > 1) {
      throw new StatusError(grpcStatusOf.internal, `the ${this.#side} has a message with the unknown flag ${this.#flag}`);
    }
    if (this.#length > this.#messageBytesMax) throw messageTooLarge(`${this.#length}`, this.#messageBytesMax, this.#side);
    this.#body = this.#length === 0 ? emptyMessage : newMessageBuffer(this.#length);
  }

  #finish(body: Uint8Array): void {
    this.#complete = this.#flag === 1 ? new CompressedMessage(body) : body;
    this.#body = undefined;
    this.#prefixLength = 0;
    this.#length = 0;
    this.#filled = 0;
  }
}

/** gRPC's own status for this, although the store is not full: libraries know it (REAPI ERR-4, HT-1). */
export function messageTooLarge(length: string, messageBytesMax: number, side: MessageSide): StatusError {
  return new StatusError(
    grpcStatusOf.resource_exhausted,
    `the ${side} has a message of ${length} bytes, and the limit of this ${side === 'request' ? 'server' : 'client'} is ${messageBytesMax} bytes`,
  );
}

function lengthAt(bytes: Uint8Array, offset: number): number {
  const low = ((bytes[offset + 1] ?? 0) << 16) | ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
  return (bytes[offset] ?? 0) * 0x1000000 + low;
}
