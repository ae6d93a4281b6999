// Cuts the body of a request or an answer into messages: one flag byte, four bytes of length (big-endian), then the message
// (gRPC over HTTP/2, "Length-Prefixed-Message"). Knows nothing of frames: pieces may end anywhere (REAPI HT-5).
import type { ByteBudget, RoomWaiter } from '../base/byte-budget.ts';
import type { CacheError } from '../base/cache-error.ts';
import type { RoomShare } from '../base/room-share.ts';
import { KeptPieces } from './kept-pieces.ts';
import { partialBytesMin, pieceMemory, wholeBytesMax } from './message-buffer.ts';
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

export function byteLengthOf(message: ReceivedMessage): number {
  return message instanceof CompressedMessage ? message.bytes.byteLength : message.byteLength;
}

const emptyMessage = new Uint8Array(0);

/** A message up to here is received in parts however little memory is left: a question, not an upload. */
export const smallBytesMax = 4 * 1024;

/**
 * Whether `piece` is exactly one uncompressed message, prefix and all. Nearly all small calls are like this; it
 * spares them the reader and its state.
 */
export function isWholeMessage(piece: Uint8Array, messageBytesMax: number): boolean {
  const length = piece.byteLength - prefixBytes;
  return length >= 0 && length <= messageBytesMax && piece[0] === 0 && lengthAt(piece, 1) === length;
}

/** The length of the message that begins at `at`; -1 when it is compressed, or its prefix not all there. */
export function plainLengthAt(piece: Uint8Array, at: number): number {
  return at + prefixBytes <= piece.byteLength && piece[at] === 0 ? lengthAt(piece, at + 1) : -1;
}

/** Where the memory for messages comes from that take more than one piece, and who is told. */
export interface ReaderMemory {
  readonly budget: ByteBudget;
  /** What the connection may have of it for such messages; all, if left out, and if it is a share of another one. */
  readonly share?: RoomShare | undefined;
  /** There is room now for the message that was in line: the sender may go on. */
  onRoom(): void;
  /** There will be none; nothing more may be read. */
  onRefused(error: CacheError): void;
}

/**
 * The state between pieces. A message is allocated once, from its length prefix, and each of its bytes copied
 * once, straight from the transport's input. A large one that comes piece by piece has to show that it really comes,
 * and then needs room for all of it in the budget: so whatever has begun can also end. Without room it stands in line.
 * One of up to 136 KiB is taken for large only while memory is scarce:
 *
 *   whole in its piece ────────────────────────────────────────────────▶ complete
 *   first 64 KiB ── room for all ──▶ admitted ─────────────────────────▶ complete
 *            └── no room ──▶ in line ── room ──▶ admitted    └── came all the same, within what flow control had let out
 */
export class MessageReader implements RoomWaiter {
  readonly #messageBytesMax: number;
  readonly #memory: ReaderMemory;
  readonly #side: MessageSide;
  #prefixLength = 0;
  #flag = 0;
  #length = 0;
  /** The message being filled, or its beginning; undefined between messages, while its prefix is incomplete, and in line. */
  #body: Uint8Array | undefined;
  /** What came of a message that stands in line. */
  #pieces: KeptPieces | undefined;
  #filled = 0;
  /** Taken from the budget for the message at hand. */
  #heldBytes = 0;
  /** The message at hand is, or wants to be, part of what its connection may have. */
  #usesShare = false;
  #complete: ReceivedMessage | undefined;

  constructor(messageBytesMax: number, memory: ReaderMemory, side: MessageSide = 'request') {
    this.#messageBytesMax = messageBytesMax;
    this.#memory = memory;
    this.#side = side;
  }

  /** Bytes of the unfinished message, prefix included; 0 between messages. */
  get pendingBytes(): number {
    return this.#prefixLength + this.#filled;
  }

  /** The message at hand has no room yet: give its sender no credit. */
  get isInLine(): boolean {
    return this.#pieces !== undefined;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** What the message needs beside what it has. */
  get wantedBytes(): number {
    return this.#length - this.#heldBytes;
  }

  /**
   * Reads `piece` from `offset` and returns where it stopped: behind a message, which `take` then gives, or at
   * the end of the piece. Never reads on while a message waits to be taken.
   * @throws StatusError RESOURCE_EXHAUSTED for a message over the limit, INTERNAL for an unknown flag;
   *   CacheError `unavailable` when there is no memory for it.
   */
  read(piece: Uint8Array, offset: number): number {
    let at = offset;
    while (this.#prefixLength < prefixBytes) {
      if (at === piece.byteLength) return at;
      const byte = piece[at] ?? 0;
      if (this.#prefixLength === 0) this.#flag = byte;
      else this.#length = this.#length * 256 + byte;
      this.#prefixLength += 1;
      at += 1;
      if (this.#prefixLength === prefixBytes) this.#begin(piece.byteLength - at);
    }
    while (this.#complete === undefined) {
      if (this.#filled === this.#length) this.#finish();
      else if (at === piece.byteLength) break;
      else at = this.#fill(piece, at);
    }
    return at;
  }

  /** The message completed by the last `read`, once. */
  take(): ReceivedMessage | undefined {
    const message = this.#complete;
    this.#complete = undefined;
    return message;
  }

  /** Lets go of everything. */
  drop(): void {
    this.#memory.budget.leaveLine(this);
    this.#forget();
  }

  onRoom(): void {
    this.#heldBytes = this.#length; // taken for us
    this.#body = joined(this.#pieces ?? [], pieceMemory.take(this.#length));
    this.#pieces = undefined;
    this.#memory.onRoom();
  }

  onRefused(error: CacheError): void {
    this.#memory.onRefused(error);
  }

  /** `availableBytes` of the message are in the piece at hand. */
  #begin(availableBytes: number): void {
    if (this.#flag > 1) {
      throw new StatusError(grpcStatusOf.internal, `the ${this.#side} has a message with the unknown flag ${this.#flag}`);
    }
    if (this.#length > this.#messageBytesMax) throw messageTooLarge(`${this.#length}`, this.#messageBytesMax, this.#side);
    if (this.#length === 0) this.#body = emptyMessage;
    else if (this.#length <= availableBytes) this.#body = pieceMemory.take(this.#length);
    else {
      const { budget } = this.#memory;
      if (this.#length > smallBytesMax && budget.refusesGrowth) throw budget.refusal();
      const bytes = this.#length <= wholeBytesMax && !budget.isTight ? this.#length : Math.min(this.#length, partialBytesMin);
      this.#hold(bytes);
      this.#body = pieceMemory.take(bytes);
    }
  }

  /** Copies what there is room for; returns where it stopped. */
  #fill(piece: Uint8Array, at: number): number {
    if (this.#body?.byteLength === this.#filled) this.#admit(this.#body);
    const body = this.#body;
    const part = Math.min((body?.byteLength ?? this.#length) - this.#filled, piece.byteLength - at);
    const bytes = part === piece.byteLength ? piece : piece.subarray(at, at + part);
    if (body !== undefined) body.set(bytes, this.#filled);
    else this.#keepInLine(bytes);
    this.#filled += part;
    return at + part;
  }

  /** The beginning has come, and the message is larger. */
  #admit(beginning: Uint8Array): void {
    const { budget } = this.#memory;
    const share = this.#memory.share?.isOf(budget) === true ? this.#memory.share : undefined;
    this.#usesShare = share !== undefined;
    if (share === undefined ? budget.tryReserve(this.wantedBytes) : share.enter(this)) {
      this.#heldBytes = this.#length;
      this.#body = joined([beginning], pieceMemory.take(this.#length));
      pieceMemory.giveBack(beginning);
      return;
    }
    if (share === undefined) budget.enterLine(this);
    this.#pieces = new KeptPieces(beginning);
    this.#body = undefined;
  }

  #keepInLine(bytes: Uint8Array): void {
    const { budget, share } = this.#memory;
    if (budget.refusesGrowth || (this.#usesShare && share?.mayKeep(bytes.byteLength) === false)) throw budget.refusal();
    this.#hold(bytes.byteLength);
    this.#pieces?.add(bytes);
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#memory.budget.take(bytes);
  }

  #finish(): void {
    if (this.#pieces !== undefined) this.#memory.budget.leaveLine(this);
    const body = this.#body ?? joined(this.#pieces ?? [], pieceMemory.take(this.#length));
    this.#complete = this.#flag === 1 ? new CompressedMessage(body) : body;
    this.#forget();
  }

  #forget(): void {
    if (this.#heldBytes > 0) this.#memory.budget.give(this.#heldBytes);
    this.#heldBytes = 0;
    if (this.#usesShare) this.#memory.share?.leave(this);
    this.#usesShare = false;
    this.#body = undefined;
    this.#pieces = undefined;
    this.#prefixLength = 0;
    this.#length = 0;
    this.#filled = 0;
  }
}

/** `into`, with `pieces` at its beginning. */
function joined(pieces: Iterable<Uint8Array>, into: Uint8Array): Uint8Array {
  let offset = 0;
  for (const piece of pieces) {
    into.set(piece, offset);
    offset += piece.byteLength;
  }
  return into;
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
