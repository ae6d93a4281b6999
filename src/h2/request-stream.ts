// A stream at the end that serves it.
import { errorCode } from './error-code.ts';
import { StreamCore } from './stream-core.ts';
import type { ServerStream, StreamHandler } from './stream.ts';

/** A request that came, and its answer. */
export class RequestStream extends StreamCore implements ServerStream {
  #server: StreamHandler | undefined = undefined;
  /** `movedBytes` when it was last asked. */
  #lastMovedBytes = -1;

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
