// The port of one accepted byte connection.

/** What the owner of a connection learns. Nothing is called after `onClose`. */
export interface SocketHandler {
  /** The view is valid during the call only: the transport may reuse its input buffer. Copy what is kept. */
  onData(bytes: Uint8Array): void;
  /** The peer will send no more. */
  onEnd(): void;
  /** What was written has left our buffers; writing may go on. */
  onDrain(): void;
  /** Last call, exactly once. `error` when the connection broke. */
  onClose(error?: Error): void;
}

/** Totals of one connection, for those who look at it from time to time. */
export interface SocketTraffic {
  readonly receivedBytes: number;
  /** Taken by the kernel: it rises as the peer takes what it is sent, byte by byte. */
  readonly sentBytes: number;
}

/** A connected byte stream. All calls are legal at any time; after the end they do nothing. */
export interface Socket {
  /** Whom we talk to, for logs: "127.0.0.1:41234" or "unix". */
  readonly peerName: string;
  /** Bytes written and not yet taken by the kernel, at most: the last ones, since they are taken in order. */
  readonly queuedBytes: number;
  /** What has gone through it, where that is known. */
  readonly traffic?: SocketTraffic | undefined;
  start(handler: SocketHandler): void;
  /** Writes the slices in order as one unit. They must not change while `queuedBytes` says that some of them may wait. */
  write(slices: readonly Uint8Array[]): void;
  /** Stop and go on reading: backpressure towards the peer. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends our side. */
  end(): void;
  /** Closes at once; what is queued is lost. */
  destroy(): void;
}
