// Request bodies that have to be in memory before it is known what they are or how long. All of them together stay
// within one bound, and are counted with all else that waits.
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { concatenate } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';

/** When to come back if the bound is used up: bodies held for a look are gone within a round trip or two. */
const busyRetryMs = 1_000;

/** The start of a body, or all of it. Disposing gives back the memory; the body is read on by `rest`. */
export interface HeldBody extends Disposable {
  readonly bytes: Uint8Array;
  /** True when `bytes` is all of the body. */
  readonly complete: boolean;
  /** Everything: what is held and what is still to come. Consumed once. */
  all(): AsyncIterable<Uint8Array>;
}

/** Memory for held bodies. */
export class BodyMemory {
  readonly #bytesMax: number;
  readonly #budget: ByteBudget;
  readonly #held: HeldBytes;

  /** @param bytesMax of all bodies held at a time, at least the largest single one. */
  constructor(bytesMax: number, budget: ByteBudget) {
    this.#bytesMax = bytesMax;
    this.#budget = budget;
    this.#held = new HeldBytes(budget);
  }

  get heldBytes(): number {
    return this.#held.bytes;
  }

  /**
   * Reads until the body ends or more than `bodyBytesMax` bytes of it have come.
   * @throws CacheError `unavailable` with `retry_after` when the memory is used up.
   */
  async hold(body: AsyncIterable<Uint8Array>, bodyBytesMax: number): Promise<HeldBody> {
    const iterator = body[Symbol.asyncIterator]();
    const chunks: Uint8Array[] = [];
    let length = 0;
    let complete = false;
    try {
      while (length <= bodyBytesMax) {
        const next = await iterator.next();
        if (next.done === true) {
          complete = true;
          break;
        }
        this.#take(next.value.byteLength);
        length += next.value.byteLength;
        chunks.push(next.value);
      }
    } catch (error) {
      this.#give(length);
      throw error;
    }
    const only = chunks.length === 1 ? chunks[0] : undefined;
    return this.#bodyOf(only ?? concatenate(chunks, length), complete, iterator);
  }

  #take(bytes: number): void {
    if (this.#budget.refusesGrowth) throw this.#budget.refusal();
    if (this.#held.bytes + bytes > this.#bytesMax) {
      throw new CacheError('busy', 'too many request bodies at a time that have to be held in memory; try again', {
        details: [{ kind: 'retry_after', delayMs: busyRetryMs }],
      });
    }
    this.#held.set(this.#held.bytes + bytes);
  }

  #give(bytes: number): void {
    this.#held.set(this.#held.bytes - bytes);
  }

  #bodyOf(bytes: Uint8Array, complete: boolean, rest: AsyncIterator<Uint8Array>): HeldBody {
    let held = bytes.byteLength;
    return {
      bytes,
      complete,
      all: async function* all() {
        if (bytes.byteLength > 0) yield bytes;
        if (!complete) yield* remaining(rest);
      },
      [Symbol.dispose]: () => {
        this.#give(held);
        held = 0;
      },
    };
  }
}

/**
 * What an iterator still has to give. Unlike the iterator itself it may be left early without ending it, so that
 * somebody else can read on.
 */
export async function* remaining(iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}
