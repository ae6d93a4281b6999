// The bound of what the calls of one channel keep of their requests, while they wait for a connection, for flow control,
// for the answer to begin, or for their next try.
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { localFailure } from './grpc-error.ts';

/**
 * Of the budget for all. What is queued for flow control is counted there once more, so requests alone take half of it at
 * most, and never bring it to its end, where nothing would be read any more that lets go of them.
 */
const budgetShare = 1 / 4;
/** How soon a call that was refused may come again. */
const busyRetryMs = 250;

export class RequestRoom {
  readonly #serverName: string;
  readonly #held: HeldBytes;
  readonly #bytesMax: number;

  constructor(serverName: string, budget: ByteBudget, bytesMax: number) {
    this.#serverName = serverName;
    this.#held = new HeldBytes(budget);
    this.#bytesMax = Math.min(bytesMax, budget.maxBytes * budgetShare);
  }

  get heldBytes(): number {
    return this.#held.bytes;
  }

  /** A request of any size has room when there is no other. @throws GrpcError `busy` with `retry_after`. */
  enter(bytes: number): void {
    const heldBytes = this.#held.bytes;
    if (heldBytes > 0 && heldBytes + bytes > this.#bytesMax) {
      const text = `the requests of other calls to ${this.#serverName} take ${heldBytes} bytes already, and ${bytes} more would pass the limit of ${this.#bytesMax}; start fewer at a time`;
      throw localFailure('busy', text, { details: [{ kind: 'retry_after', delayMs: busyRetryMs }] });
    }
    this.#held.set(heldBytes + bytes);
  }

  leave(bytes: number): void {
    this.#held.set(this.#held.bytes - bytes);
  }
}
