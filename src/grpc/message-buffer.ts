// Memory for one message, and its use for another one. Memory of its own for each piece of an upload is what the garbage
// collector runs for: without reuse it took a quarter of the CPU of uploads (bench/transport-write).

/**
 * Small messages share a slab of Node's Buffer pool (8 KiB): memory of its own costs a small typed array more than
 * all else that is done for it (bench/unary: 1.1 against 0.5 us). Whoever keeps bytes of a message for long copies
 * them, as a view keeps the slab.
 */
const pooledBytesMax = 1024;

/** What a message has beside the data it carries: names, offsets, lengths. Clients cut their data by round figures. */
const envelopeBytesMax = 4 * 1024;

/**
 * How much of a message that comes in pieces gets memory at once, whatever length its prefix announces. A few frames; a
 * message that is larger moves once, which takes a hundredth of what receiving it takes.
 */
export const partialBytesMin = 64 * 1024 + envelopeBytesMax;

/**
 * A message up to here has its memory at once while there is enough: a batch of a hundred small blobs, which would otherwise move
 * (a twentieth of what receiving it takes, bench/batch-update). Twice what a larger one gets before it has shown that it comes.
 */
export const wholeBytesMax: number = 2 * partialBytesMin;

/** Sizes that are kept for reuse: data of 16 KiB to 4 MiB by powers of two, which is how clients cut it, and its envelope. */
const reusedSizes: readonly number[] = Array.from({ length: 9 }, (_, power) => 16 * 1024 * 2 ** power + envelopeBytesMax);
/** A message that would leave more of the memory than this unused gets some of its own. */
const unusedShareMax = 1 / 4;

/**
 * Memory of messages that nobody needs any more, for messages to come. One for all connections of the thread, so that
 * its bound is a constant of the process.
 */
export class MessageMemory {
  readonly #keptBytesMax: number;
  /** By index in `reusedSizes`. */
  readonly #kept: ArrayBuffer[][] = reusedSizes.map(() => []);
  #keptBytes = 0;

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** `length` bytes of any content. */
  take(length: number): Uint8Array {
    const index = reusedSizes.findIndex((size) => size >= length);
    const size = reusedSizes[index];
    if (size === undefined || size - length > Math.max(envelopeBytesMax, size * unusedShareMax)) return newMessageBuffer(length);
    const kept = this.#kept[index]?.pop();
    if (kept === undefined) return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer, 0, length);
    this.#keptBytes -= size;
    return new Uint8Array(kept, 0, length);
  }

  /** `message` came from `take`, and nobody reads it or a view of it any more: it will be overwritten. */
  giveBack(message: Uint8Array): void {
    const { buffer, byteOffset } = message;
    if (byteOffset !== 0 || !(buffer instanceof ArrayBuffer)) return;
    const index = reusedSizes.indexOf(buffer.byteLength);
    if (index < 0 || this.#keptBytes + buffer.byteLength > this.#keptBytesMax) return;
    this.#keptBytes += buffer.byteLength;
    this.#kept[index]?.push(buffer);
  }
}

/** Of the pieces of all uploads; enough for some hundred that come at the same time. */
export const pieceMemory: MessageMemory = new MessageMemory(16 * 1024 * 1024);

/** `length` bytes of any content, to be overwritten; nobody else writes to them. */
export function newMessageBuffer(length: number): Uint8Array {
  const { buffer, byteOffset } = length <= pooledBytesMax ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer, byteOffset, length); // no Buffer: its slice() would be a view
}
