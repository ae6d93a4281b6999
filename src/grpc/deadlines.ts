// Starts the deadlines of calls. Most calls are answered in the turn of the loop in which they came, and a timer for
// each would cost more than all else that gRPC does for them (bench/unary with grpc-timeout: 1.3 of 4.1 us).

/** A call whose deadline may have to be watched. */
export interface DeadlineOwner {
  /** Starts the timer, unless the call has been answered. */
  startDeadline(): void;
}

/** Collects the calls of one turn and starts, at its end, the deadlines of those still open. */
export class Deadlines {
  /** At most the calls that one read from a socket can bring. */
  #fresh: DeadlineOwner[] = [];

  watch(call: DeadlineOwner): void {
    if (this.#fresh.push(call) === 1) queueMicrotask(() => this.#startAll());
  }

  #startAll(): void {
    const calls = this.#fresh;
    this.#fresh = [];
    for (const call of calls) call.startDeadline();
  }
}
