// A socket that notes what is heard of the other side, and how it ended. Changes nothing on the way.
import { CacheError } from '../base/cache-error.ts';
import type { Socket, SocketHandler } from '../base/socket.ts';

export class HeardSocket implements Socket, SocketHandler {
  readonly #inner: Socket;
  #handler: SocketHandler | undefined;
  #heardCount = 0;
  #loss: CacheError | undefined;

  constructor(inner: Socket) {
    this.#inner = inner;
  }

  /** Reads so far. */
  get heardCount(): number {
    return this.#heardCount;
  }

  /** Set before the handler is told: how the connection ended; undefined while it is there. */
  get loss(): CacheError | undefined {
    return this.#loss;
  }

  get peerName(): string {
    return this.#inner.peerName;
  }

  get queuedBytes(): number {
    return this.#inner.queuedBytes;
  }

  start(handler: SocketHandler): void {
    this.#handler = handler;
    this.#inner.start(this);
  }

  write(slices: readonly Uint8Array[]): void {
    this.#inner.write(slices);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  end(): void {
    this.#inner.end();
  }

  destroy(): void {
    this.#inner.destroy();
  }

  onData(bytes: Uint8Array): void {
    this.#heardCount += 1;
    this.#handler?.onData(bytes);
  }

  onEnd(): void {
    this.#loss ??= new CacheError('unavailable', 'the other side closed the connection');
    this.#handler?.onEnd();
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  onClose(error?: Error): void {
    this.#loss ??= lossOf(error);
    this.#handler?.onClose(error);
  }
}

function lossOf(error: Error | undefined): CacheError {
  if (error === undefined) return new CacheError('unavailable', 'the connection was closed');
  if (error instanceof CacheError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return new CacheError('unavailable', `the connection broke (${code})`, { cause: error });
}
