// A stream at the end that serves it.
import { errorCode } from './error-code.ts';
import { StreamCore } from './stream-core.ts';
import type { ServerStream, StreamHandler } from './stream.ts';

/** A request that came, and its answer. */
export class RequestStream extends StreamCore implements ServerStream {
  #server: StreamHandler | undefined = undefined;

  override attach(handler: StreamHandler): void {
    this.#server = handler;
    super.attach(handler);
  }

  /** See `StreamHandler.onCutOff`. */
  cutOff(): void {
    if (this.closed) return;
    this.#server?.onCutOff?.();
    // Clients of gRPC take this code alone as UNAVAILABLE, and any other as final.
    if (this.sends) this.reset(errorCode.refusedStream);
  }
}
