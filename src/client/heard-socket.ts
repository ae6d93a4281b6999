// A socket that notes whether the other side shows signs of life, and how the connection ended. Changes nothing on the way.
import { CacheError } from '../base/cache-error.ts';
import type { Socket, SocketHandler, SocketTraffic } from '../base/socket.ts';

export class HeardSocket implements Socket, SocketHandler {
  readonly #inner: Socket;
  #handler: SocketHandler | undefined;
  /** Reads, now and when it was asked last; what the kernel had taken, and what waited for it, then. */
  #reads = 0;
  #askedReads = 0;
  #writtenBytes = 0;
  #askedSentBytes = 0;
  #askedQueuedBytes = 0;
  #paused = false;
  #loss: CacheError | undefined;

  constructor(inner: Socket) {
    this.#inner = inner;
  }

  /**
   * Whether there was a sign of life since this was asked last. Something that was read is one; and that the kernel takes
   * more where something waited for it before, since it has room again only for what the other side has received. While
   * this side does not read, and has nothing to send, nothing can be known.
   */
  takeSignOfLife(): boolean {
    const { queuedBytes, traffic } = this.#inner;
    const sentBytes = traffic?.sentBytes ?? this.#writtenBytes - queuedBytes;
    const wasHeard = this.#reads !== this.#askedReads;
    const wasTaken = queuedBytes > 0 && this.#askedQueuedBytes > 0 && sentBytes !== this.#askedSentBytes;
    this.#askedReads = this.#reads;
    this.#askedSentBytes = sentBytes;
    this.#askedQueuedBytes = queuedBytes;
    return wasHeard || wasTaken || (this.#paused && queuedBytes === 0);
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

  get traffic(): SocketTraffic | undefined {
    return this.#inner.traffic;
  }

  start(handler: SocketHandler): void {
    this.#handler = handler;
    this.#inner.start(this);
  }

  write(slices: readonly Uint8Array[]): void {
    for (const { byteLength } of slices) this.#writtenBytes += byteLength;
    this.#inner.write(slices);
  }

  pause(): void {
    this.#paused = true;
    this.#inner.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#inner.resume();
  }

  end(): void {
    this.#inner.end();
  }

  destroy(): void {
    this.#inner.destroy();
  }

  onData(bytes: Uint8Array): void {
    this.#reads += 1;
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
