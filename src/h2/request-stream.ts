// A stream at the end that serves it.
import { ProgressWatch } from '../base/progress-watch.ts';
import type { ProgressAt } from '../base/progress-watch.ts';
import type { StalledSide } from './connection-events.ts';
import { errorCode } from './error-code.ts';
import { StreamCore } from './stream-core.ts';
import type { ServerStream, StreamHandler } from './stream.ts';

/** A request that came, and its answer. */
export class RequestStream extends StreamCore implements ServerStream {
  #server: StreamHandler | undefined = undefined;
  /** `movedBytes` when it was last asked. */
  #lastMovedBytes = -1;
  /** Made for a stream that is looked at while it waits; most are not. */
  #progress: ProgressWatch | undefined = undefined;

  override attach(handler: StreamHandler): void {
    this.#server = handler;
    super.attach(handler);
  }

  /** Whether the stream holds memory, and its peer has let it lie since this was asked last. */
  hasStalled(): boolean {
    const { movedBytes } = this;
    const holds = this.queuedBytes > 0 || (this.receives && this.#server?.awaitsPeer === true);
    const stalled = holds && movedBytes === this.#lastMovedBytes;
    this.#lastMovedBytes = movedBytes;
    return stalled;
  }

  /**
   * What its peer has let stall; undefined while all goes on. To be asked from time to time. `isOutletStuck`: of what
   * only the connection keeps from going out, too little does. `isRead`: what the peer sends comes in.
   */
  stalledSide(at: ProgressAt, { isOutletStuck, isRead }: { readonly isOutletStuck: boolean; readonly isRead: boolean }): StalledSide | undefined {
    const answerWaits = this.queuedBytes > 0;
    const requestWaits = isRead && this.receives && this.#server?.awaitsRequest === true;
    if (!answerWaits && !requestWaits) {
      this.#progress?.restart();
      return undefined;
    }
    this.#progress ??= new ProgressWatch();
    if (!this.#progress.isStalled(true, this.movedBytes, at)) return undefined;
    if (!answerWaits) return 'request';
    // With an open window of its own it only waits for its turn.
    return this.sendWindowBytes <= 0 || isOutletStuck ? 'answer' : undefined;
  }

  /** See `StreamHandler.onStalled`. */
  endStalled(reason: string): void {
    this.#server?.onStalled?.(reason);
    if (this.queuedBytes > 0 || (this.receives && this.#server?.awaitsRequest === true)) this.reset(errorCode.cancel);
  }

  /** See `StreamHandler.onEvicted`. */
  evict(): void {
    this.#server?.onEvicted?.();
    if (this.queuedBytes > 0) this.reset(errorCode.refusedStream); // as in a cut-off
  }

  /** See `StreamHandler.onCutOff`. */
  cutOff(): void {
    if (this.closed) return;
    this.#server?.onCutOff?.();
    // Clients of gRPC take this code alone as UNAVAILABLE, and any other as final.
    if (this.sends) this.reset(errorCode.refusedStream);
  }
}
