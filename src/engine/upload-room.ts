// What one upload takes on the disk while it is written: what stood there before, and room for the rest.
import type { SpaceCategory, SpaceLedger, SpaceReservation } from './space-ledger.ts';

/** Until it is settled, what was placed stays placed and the rest reserved; disposing of it gives the rest back. */
export class UploadRoom implements Disposable {
  readonly #ledger: SpaceLedger;
  readonly #reserved: SpaceReservation;
  readonly #placedBytes: number;
  #isSettled = false;

  /** @param placedBytes counted under `uploads` before. */
  constructor(ledger: SpaceLedger, reserved: SpaceReservation, placedBytes: number) {
    this.#ledger = ledger;
    this.#reserved = reserved;
    this.#placedBytes = placedBytes;
  }

  /** Only the first call does anything: from here on it is these that are there. */
  settle(placed: readonly (readonly [SpaceCategory, number])[]): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#ledger.remove('uploads', this.#placedBytes);
    this.#reserved[Symbol.dispose]();
    for (const [category, bytes] of placed) this.#ledger.place(category, bytes);
  }

  [Symbol.dispose](): void {
    this.#reserved[Symbol.dispose]();
  }
}
