// One stream, between the handler above and the connection below, as far as both ends of a connection treat it alike:
// its state, its windows, its queue. How headers come in is the role's: request-stream.ts, response-stream.ts.
import { assert } from '../base/assert.ts';
import type { LentMemory } from '../base/reused-memory.ts';
import type { RoomShare } from '../base/room-share.ts';
import type { ClosedHow } from './closed-streams.ts';
import { errorCode } from './error-code.ts';
import { ReceiveWindow, windowAfter } from './flow-control.ts';
import { encodeHeaders } from './header-encoder.ts';
import type { Outlet, QueuedSender } from './outlet.ts';
import { SendQueue } from './send-queue.ts';
import { afterLocalEnd, afterRemoteEnd, receives, sends } from './stream-state.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './stream-table.ts';
import type { ContentWriter, HeaderBlock, OpenStream, OutgoingHeaders, PreparedHeaders, ResponseReset, WholeAnswerEnds } from './stream.ts';

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly outlet: Outlet;
  /** Of all streams together. */
  readonly requestShare: RoomShare;
  /** The stream is closed; called once. */
  onStreamClosed(streamId: number, how: ClosedHow): void;
  /** Sends RST_STREAM. */
  writeReset(streamId: number, code: number): void;
  /** Bytes that were received are consumed, or will never be. */
  returnCredit(bytes: number): void;
}

/** What the handlers of both roles are told alike; see `StreamHandler` and `ResponseHandler`. */
export interface StreamEvents {
  onData(bytes: Uint8Array): void;
  onEnd(trailers: HeaderBlock | undefined): void;
  onReset(reset: ResponseReset): void;
  onDrained(): void;
}

/** Sizes that hold when the stream begins. */
export interface StreamStart {
  readonly receiveWindowBytes: number;
  readonly sendWindowBytes: number;
  /** What content-length says that the peer will send; undefined when it has not said. */
  readonly contentLength: number | undefined;
}

/** Shared by all streams that have nothing queued; never filled. */
const nothingQueued = new SendQueue();

/** A request and its answer. */
export abstract class StreamCore implements OpenStream, QueuedSender, TableEntry {
  readonly id: number;
  sendWindowBytes: number;
  sentFromQueueBytes = 0;
  queue: SendQueue = nothingQueued;
  nextInTable: this | undefined = undefined;
  readonly #owner: StreamOwner;
  readonly #receiveWindow: ReceiveWindow;
  #contentLength: number | undefined;
  #state: StreamState = 'open';
  #handler: StreamEvents | undefined = undefined;
  #bodyBytes = 0;
  /** Delivered or being delivered, and not consumed yet. */
  #unconsumedBytes = 0;
  /** Not consumed either, but returned to the connection. */
  #setAsideBytes = 0;
  /** What follows the queue: nothing yet, the end, or a block of trailers and the end. */
  #ending: 'open' | 'end' | Uint8Array = 'open';
  #owesDrained = false;
  #resetBeforeAttach: ResponseReset | undefined = undefined;

  constructor(id: number, owner: StreamOwner, start: StreamStart) {
    this.id = id;
    this.#owner = owner;
    this.sendWindowBytes = start.sendWindowBytes;
    this.#receiveWindow = new ReceiveWindow(start.receiveWindowBytes);
    this.#contentLength = start.contentLength;
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  get requestShare(): RoomShare {
    return this.#owner.requestShare;
  }

  get queuedBytes(): number {
    return this.queue.bytes;
  }

  get endsWithData(): boolean {
    return this.#ending === 'end';
  }

  /** Grows whenever something came, had to wait, or went out after that. */
  get movedBytes(): number {
    return this.#bodyBytes + this.queue.bytes + 2 * this.sentFromQueueBytes;
  }

  /** May the peer still send on this stream? */
  get receives(): boolean {
    return receives(this.#state);
  }

  /** May we still send on it? */
  get sends(): boolean {
    return sends(this.#state);
  }

  /** From here on events are delivered; a reset that came while the handler was being made is delivered now. */
  attach(handler: StreamEvents): void {
    this.#handler = handler;
    if (this.#resetBeforeAttach !== undefined) handler.onReset(this.#resetBeforeAttach);
  }

  /** Of the answer, at the end that asked: what its headers said. */
  expectLength(bytes: number | undefined): void {
    this.#contentLength = bytes;
  }

  sendHeaders(headers: OutgoingHeaders | PreparedHeaders, endStream: boolean): void {
    if (!this.#maySend()) return;
    this.#owner.outlet.headers(this.id, blockOf(headers), endStream);
    if (endStream) this.#endLocal();
  }

  sendData(slices: readonly Uint8Array[], endStream: boolean, lent?: LentMemory): void {
    if (!this.#maySend()) return;
    let bytes = 0;
    for (const slice of slices) bytes += slice.length;
    if (this.queue.bytes === 0 && this.#owner.outlet.tryData(this, { slices, bytes, lent }, endStream)) {
      if (endStream) this.#endLocal();
      return;
    }
    if (this.queue === nothingQueued) this.queue = new SendQueue();
    this.queue.push(slices, bytes, lent);
    this.#owner.outlet.onQueued(bytes);
    if (endStream) this.#ending = 'end';
    this.#owesDrained = false; // nothing is told from within this call
    this.#owner.outlet.enqueue(this);
    this.#owesDrained = this.queue.bytes > 0;
  }

  trySendWhole(ends: WholeAnswerEnds, writer: ContentWriter, content: unknown): number {
    if (!this.#maySend() || this.queue.bytes > 0) return -1;
    const contentBytes = this.#owner.outlet.tryWhole(this, ends, writer, content);
    if (contentBytes >= 0) this.#endLocal();
    return contentBytes;
  }

  sendTrailers(headers: OutgoingHeaders | PreparedHeaders): void {
    if (!this.#maySend()) return;
    const block = blockOf(headers);
    if (this.queue.bytes > 0) {
      this.#ending = block;
      return;
    }
    this.#owner.outlet.headers(this.id, block, true);
    this.#endLocal();
  }

  reset(code: number, reason?: string): void {
    if (this.#state === 'closed') return;
    this.#owner.writeReset(this.id, code);
    this.#close('reset', { code, byPeer: false, unprocessed: false, reason });
  }

  consumed(bytes: number): void {
    if (this.#state === 'closed') return; // all of it was returned when the stream closed
    const owedBytes = this.#setAsideBytes === 0 ? bytes : this.#takeBack(bytes);
    assert(owedBytes <= this.#unconsumedBytes, 'a stream consumes no more than it was given');
    this.#unconsumedBytes -= owedBytes;
    this.#owner.returnCredit(owedBytes);
    this.#announce(this.#receiveWindow.give(bytes));
  }

  setAside(bytes: number): void {
    if (this.#state === 'closed') return;
    assert(bytes <= this.#unconsumedBytes, 'a stream sets no more aside than it was given');
    this.#unconsumedBytes -= bytes;
    this.#setAsideBytes += bytes;
    this.#owner.returnCredit(bytes);
  }

  onQueueSent(): void {
    if (this.#ending !== 'open') {
      if (this.#ending !== 'end') this.#owner.outlet.headers(this.id, this.#ending, true);
      this.#endLocal();
    }
    if (this.#owesDrained) this.#handler?.onDrained();
  }

  /**
   * A DATA frame begins. The whole frame counts against the window, and what is padding is given back at once.
   * Returns false when the stream broke a rule and was reset.
   */
  beginData(frameBytes: number, contentBytes: number): boolean {
    this.#unconsumedBytes += frameBytes; // returned to the connection if the stream ends here
    if (!this.#receiveWindow.take(frameBytes)) return this.refuse(errorCode.flowControlError, 'more DATA than the window of the stream');
    this.#bodyBytes += contentBytes;
    if (this.#contentLength !== undefined && this.#bodyBytes > this.#contentLength) {
      return this.refuse(errorCode.protocolError, 'a body longer than its content-length');
    }
    if (contentBytes < frameBytes) this.consumed(frameBytes - contentBytes);
    return true;
  }

  deliver(bytes: Uint8Array): void {
    if (this.#state !== 'closed') this.#handler?.onData(bytes);
  }

  /** The peer has sent END_STREAM. Returns false when the body was too short and the stream was reset. */
  endRemote(trailers: HeaderBlock | undefined): boolean {
    if (this.#contentLength !== undefined && this.#bodyBytes !== this.#contentLength) {
      return this.refuse(errorCode.protocolError, 'a body shorter than its content-length');
    }
    this.#state = afterRemoteEnd(this.#state);
    if (this.#state === 'closed') this.#onClosed('ended');
    this.#handler?.onEnd(trailers);
    return true;
  }

  /** The peer has reset the stream, or the connection is over. */
  abort(reset: ResponseReset): void {
    if (this.#state === 'closed') return;
    this.#close('ended', reset);
  }

  /** The peer's window for this stream grows. Returns false when it became too large: the stream was reset. */
  openSendWindow(increment: number): boolean {
    const windowBytes = windowAfter(this.sendWindowBytes, increment);
    if (windowBytes === undefined) return this.refuse(errorCode.flowControlError, 'a window above 2^31-1');
    this.sendWindowBytes = windowBytes;
    this.#owner.outlet.enqueue(this);
    return true;
  }

  resizeReceiveWindow(bytes: number): void {
    this.#announce(this.#receiveWindow.resize(bytes));
  }

  /** Resets the stream for a rule that the peer broke; false, for the callers that say whether all is well. */
  refuse(code: number, reason: string): false {
    this.reset(code, reason);
    return false;
  }

  #maySend(): boolean {
    return sends(this.#state) && this.#ending === 'open';
  }

  /** How much of what is consumed the connection has not got back yet. */
  #takeBack(bytes: number): number {
    const takenBytes = Math.min(bytes, this.#setAsideBytes);
    this.#setAsideBytes -= takenBytes;
    return bytes - takenBytes;
  }

  #announce(increment: number): void {
    if (increment === 0 || !this.receives) return;
    this.#owner.outlet.frames.windowUpdate(this.id, increment);
    this.#owner.outlet.touch();
  }

  #endLocal(): void {
    this.#state = afterLocalEnd(this.#state);
    if (this.#state === 'closed') this.#onClosed('ended');
  }

  #close(how: ClosedHow, reset: ResponseReset): void {
    this.#state = 'closed';
    this.#onClosed(how);
    if (this.#handler === undefined) this.#resetBeforeAttach = reset;
    else this.#handler.onReset(reset);
  }

  #onClosed(how: ClosedHow): void {
    if (this.queue !== nothingQueued) {
      this.#owner.outlet.forget(this);
      this.queue = nothingQueued;
    }
    if (this.#unconsumedBytes > 0) this.#owner.returnCredit(this.#unconsumedBytes);
    this.#unconsumedBytes = 0;
    this.#owner.onStreamClosed(this.id, how);
  }
}

function blockOf(headers: OutgoingHeaders | PreparedHeaders): Uint8Array {
  return 'block' in headers ? headers.block : encodeHeaders(headers);
}
