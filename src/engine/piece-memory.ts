// Memory in which bodies are gathered on their way to the disk, and used again: what comes is lent for a moment only, in pieces
// much smaller than what is worth a way to the thread pool and back.

/** The way costs as much as copying some 100 KiB. A few pieces go to each sync of a MiB. */
const longPieceBytes = 2 ** 18;
/** When many bodies come at once. */
const shortPieceBytes = 2 ** 16;
/** Kept while nobody needs them. */
const spareMax = 16;

export class PieceMemory {
  readonly #bytesMax: number;
  readonly #spare: Buffer[] = [];
  #lentBytes = 0;

  /** `bytesMax`: of long pieces. Beyond it there are short ones, as many as there are bodies. */
  constructor(bytesMax = 2 ** 24) {
    this.#bytesMax = bytesMax;
  }

  get lentBytes(): number {
    return this.#lentBytes;
  }

  /** Whoever has one that is being written waits for that before it asks for another. */
  get isFull(): boolean {
    return this.#lentBytes + longPieceBytes > this.#bytesMax;
  }

  /** Holds anything. */
  take(): Buffer {
    const piece = this.isFull ? Buffer.allocUnsafeSlow(shortPieceBytes) : (this.#spare.pop() ?? Buffer.allocUnsafeSlow(longPieceBytes));
    this.#lentBytes += piece.byteLength;
    return piece;
  }

  /** Once, of what was taken. */
  giveBack(piece: Buffer): void {
    this.#lentBytes -= piece.byteLength;
    if (piece.byteLength === longPieceBytes && this.#spare.length < spareMax) this.#spare.push(piece);
  }
}
