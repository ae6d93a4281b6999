// Credit for DATA (RFC 9113 §5.2, §6.9). Windows of the sending side are plain numbers that may become negative; the
// receiving side remembers what was consumed and tells the peer in large steps.
import { windowBytesLimit } from './frames.ts';

/** A send window after the peer gave `increment` more, or undefined when it would become larger than any may be. */
export function windowAfter(windowBytes: number, increment: number): number | undefined {
  const grown = windowBytes + increment;
  return grown > windowBytesLimit ? undefined : grown;
}

/** What the peer may still send, on one stream or on the connection. */
export class ReceiveWindow {
  #sizeBytes: number;
  #leftBytes: number;
  /** Consumed, and the peer not told yet. */
  #untoldBytes = 0;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    this.#leftBytes = sizeBytes;
  }

  /** False when the peer has sent more than it was allowed to. */
  take(bytes: number): boolean {
    this.#leftBytes -= bytes;
    return this.#leftBytes >= 0;
  }

  /** Credit for `bytes` that were consumed. Returns the increment to announce now; 0 while it is not worth a frame. */
  give(bytes: number): number {
    this.#untoldBytes += bytes;
    return this.#announce();
  }

  /**
   * Our SETTINGS_INITIAL_WINDOW_SIZE took effect (RFC 9113 §6.9.2): what is left may become negative. Returns the
   * increment to announce now, like `give`: what was little of the old size may be much of the new one.
   */
  resize(sizeBytes: number): number {
    this.#leftBytes += sizeBytes - this.#sizeBytes;
    this.#sizeBytes = sizeBytes;
    return this.#announce();
  }

  #announce(): number {
    // Half of the window: the sender never waits while it is read quickly, and a frame is paid per half window only.
    if (this.#untoldBytes * 2 < this.#sizeBytes) return 0;
    const increment = this.#untoldBytes;
    this.#leftBytes += increment;
    this.#untoldBytes = 0;
    return increment;
  }
}
