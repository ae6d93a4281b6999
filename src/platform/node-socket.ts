// net.Socket (and tls.TLSSocket) as the Socket port.
import type * as net from 'node:net';
import type { Socket, SocketHandler, SocketTraffic } from '../base/socket.ts';
import { DirectWrites, hasRawWrites } from './direct-writes.ts';
import { ReadTurn } from './read-turn.ts';
import { fillsInput, moveToReusedInput } from './reused-input.ts';
import { sentBytes } from './sent-bytes.ts';

/**
 * How long a connection that was ended here may wait for the peer's end, in milliseconds; again and again as long as the
 * peer takes so much each time of what was written before: a last answer may be long, and the line to its client slow.
 */
const lingerMs = 2_000;
const lingerBytesMin = 16_384;

/**
 * The port over a connected socket. `initialBytes` were read from it already and come first. From `start` on the socket
 * belongs to the port alone: it may be replaced by another one for the same connection.
 */
export function nodeSocket(socket: net.Socket, initialBytes?: Uint8Array): Socket {
  return new NodeSocket(socket, initialBytes);
}

class NodeSocket implements Socket, SocketTraffic {
  readonly peerName: string;
  #socket: net.Socket;
  #initialBytes: Uint8Array | undefined;
  /** Only of a socket that was moved: of any other it is not known what writing it means. */
  #direct: DirectWrites | undefined = undefined;
  #linger: NodeJS.Timeout | undefined = undefined;
  #paused = false;
  readonly #turn = new ReadTurn(() => {
    if (!this.#paused) this.#socket.resume();
  });

  constructor(socket: net.Socket, initialBytes: Uint8Array | undefined) {
    this.#socket = socket;
    this.#initialBytes = initialBytes;
    this.peerName = socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`;
    socket.setNoDelay(true); // answers are gathered into one write before; waiting for more only delays them
  }

  /** What the stream keeps, and what the kernel did not take yet: a large write leaves `writableNeedDrain` behind. */
  get queuedBytes(): number {
    return this.#socket.writableLength + (this.#direct?.waitingBytes ?? 0);
  }

  get traffic(): SocketTraffic {
    return this;
  }

  get receivedBytes(): number {
    return this.#socket.bytesRead;
  }

  get sentBytes(): number {
    return sentBytes(this.#socket);
  }

  start(handler: SocketHandler): void {
    const accepted = this.#socket;
    if (accepted.closed) {
      process.nextTick(() => handler.onClose());
      return;
    }
    const buffered: unknown = accepted.read(); // put back, or come since the first bytes were looked at
    const moved = moveToReusedInput(accepted, (bytes) => this.#takesMoreAfter(bytes, handler));
    if (moved !== undefined) {
      this.#writeDirectly(moved, handler);
    } else {
      accepted.on('data', (bytes: Uint8Array) => {
        if (this.#turn.spend(() => handler.onData(bytes))) this.#socket.pause();
      });
    }
    this.#listen(this.#socket, handler);
    // Before `resume` lets anything else through, and not from within this call.
    this.#deliverLater(this.#initialBytes, handler);
    if (buffered instanceof Uint8Array) this.#deliverLater(buffered, handler);
    this.#initialBytes = undefined;
    this.#socket.resume();
  }

  /** With less than a whole buffer the loop goes on to the next connection by itself, and most are never timed. */
  #takesMoreAfter(bytes: Uint8Array, handler: SocketHandler): boolean {
    if (fillsInput(bytes)) return !this.#turn.spend(() => handler.onData(bytes));
    handler.onData(bytes);
    return true;
  }

  #writeDirectly(moved: net.Socket, handler: SocketHandler): void {
    this.#socket = moved;
    if (hasRawWrites(moved)) this.#direct = new DirectWrites(moved, () => handler.onDrain());
  }

  #listen(socket: net.Socket, handler: SocketHandler): void {
    let failure: Error | undefined;
    socket.on('end', () => handler.onEnd());
    socket.on('drain', () => handler.onDrain());
    socket.on('error', (error) => (failure = error));
    socket.on('close', () => {
      clearTimeout(this.#linger);
      handler.onClose(failure);
    });
  }

  #deliverLater(bytes: Uint8Array | undefined, handler: SocketHandler): void {
    if (bytes !== undefined && bytes.length > 0) process.nextTick(() => handler.onData(bytes));
  }

  write(slices: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (!socket.writable || this.#direct?.write(slices) === true) return;
    const only = slices[0];
    if (slices.length === 1 && only !== undefined) {
      socket.write(only);
      return;
    }
    socket.cork();
    for (const slice of slices) socket.write(slice);
    socket.uncork();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (!this.#turn.isOver) this.#socket.resume();
  }

  end(): void {
    if (this.#linger !== undefined || this.#socket.destroyed) return;
    this.#socket.end();
    this.#lingerOn();
  }

  /** Closing at once would make the kernel drop what the peer has not read yet, if we have not read all of the peer's. */
  #lingerOn(): void {
    const { sentBytes: sentBefore } = this;
    this.#linger = setTimeout(() => {
      if (this.queuedBytes > 0 && this.sentBytes - sentBefore >= lingerBytesMin) this.#lingerOn();
      else this.#socket.destroy();
    }, lingerMs);
    this.#linger.unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
