// What both ends of an HTTP/2 connection do alike, as a pure state machine (RFC 9113): the order of frames, SETTINGS,
// PING, both windows, resets, floods, the end. What streams are opened for, and by whom, is the role's, that is
// server-connection.ts and client-connection.ts.
// Knows no sockets and no timers; time enters as a clock that only the flood guard asks.
import { assert } from '../base/assert.ts';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { RoomShare } from '../base/room-share.ts';
import { ClosedStreams } from './closed-streams.ts';
import type { ClosedHow } from './closed-streams.ts';
import type { ConnectionEvents } from './connection-events.ts';
import type { ConnectionRole, CoreParts } from './connection-role.ts';
import { ConnectionError, errorCode } from './error-code.ts';
import { FloodGuard } from './flood-guard.ts';
import { ReceiveWindow } from './flow-control.ts';
import { FrameReader, readUint31, readUint32 } from './frame-reader.ts';
import type { FrameSink } from './frame-reader.ts';
import { flag, frameType, windowBytesDefault } from './frames.ts';
import type { FrameHeader } from './frames.ts';
import type { DecodedBlock } from './header-block.ts';
import { HeaderReceiver } from './header-receiver.ts';
import { Outlet } from './outlet.ts';
import { SettingsExchange } from './settings-exchange.ts';
import type { StreamCore, StreamOwner } from './stream-core.ts';
import { StreamTable } from './stream-table.ts';
import type { ResponseReset } from './stream.ts';

/** Debug data of a GOAWAY that is kept: a sentence. */
const debugBytesMax = 256;

/** What a peer says, fit for logs and terminals: anything but printable ASCII is escaped. */
function printable(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replaceAll(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/**
 * One end of one connection. A peer that breaks the protocol gets GOAWAY and the connection is over. What a
 * handler throws passes through; the caller logs it and calls `fail`.
 */
export class ConnectionCore<S extends StreamCore> implements FrameSink, StreamOwner {
  readonly outlet: Outlet;
  readonly streams: StreamTable<S>;
  readonly guard: FloodGuard;
  readonly settings: SettingsExchange<S>;
  readonly #role: ConnectionRole;
  readonly #events: ConnectionEvents | undefined;
  readonly #reader: FrameReader;
  readonly #headers: HeaderReceiver;
  readonly #window: ReceiveWindow;
  readonly #closed = new ClosedStreams();
  readonly #budget: ByteBudget;
  /** Made for a connection with large requests; most have none. */
  #requestShare: RoomShare | undefined = undefined;
  /** What the peer must begin with, before its first frame, and how much of it was seen. */
  readonly #preface: Uint8Array;
  #prefaceBytes = 0;
  #sawSettings = false;
  /** The DATA frame at hand: its stream, or undefined when its content is dropped, and whether it ends the stream. */
  #dataStream: S | undefined = undefined;
  #dataEndsStream = false;
  #over = false;

  /** `preface`: what the peer begins with. The role writes the preface of this end. */
  constructor(role: ConnectionRole, parts: CoreParts, preface: Uint8Array) {
    const { limits } = parts;
    assert(limits.connectionWindowBytes >= windowBytesDefault, 'a connection window cannot be smaller than it starts');
    this.#role = role;
    this.#events = parts.events;
    this.#preface = preface;
    this.guard = new FloodGuard(parts.clock, limits);
    this.#headers = new HeaderReceiver(limits);
    this.#reader = new FrameReader(this, limits.frameBytesMax);
    this.streams = new StreamTable(limits.concurrentStreamsMax);
    this.#window = new ReceiveWindow(limits.connectionWindowBytes);
    this.#budget = parts.budget ?? unboundedByteBudget();
    this.outlet = new Outlet(limits.outputBytesMax, parts.wake, this.#budget);
    this.outlet.expectTaker(); // the maker takes our preface
    this.settings = new SettingsExchange({
      limits,
      outlet: this.outlet,
      streams: this.streams,
      guard: this.guard,
      onPeer: (change) => role.onSettings(change),
      onAck: () => this.#headers.onSettingsAck(),
    });
  }

  /** Nothing more is read or begun: write what is left, then close. */
  get isOver(): boolean {
    return this.#over;
  }

  get requestShare(): RoomShare {
    this.#requestShare ??= new RoomShare(this.#budget);
    return this.#requestShare;
  }

  /** The peer's SETTINGS have come. */
  get sawSettings(): boolean {
    return this.#sawSettings;
  }

  /** The stream of a header block that is not complete; 0 when there is none. */
  get openBlockStreamId(): number {
    return this.#headers.isOpen ? this.#headers.streamId : 0;
  }

  /** Of frames and header blocks that are not complete. */
  get gatheredBytes(): number {
    return this.#reader.gatheredBytes + this.#headers.gatheredBytes;
  }

  /** Reads a chunk and runs handlers; the caller takes the output afterwards. `bytes` may be reused after it. */
  receive(bytes: Uint8Array): void {
    if (this.#over) return;
    this.outlet.expectTaker();
    try {
      const from = this.#prefaceBytes < this.#preface.length ? this.#readPreface(bytes) : 0;
      this.#reader.push(bytes, from);
    } catch (thrown) {
      if (!(thrown instanceof ConnectionError)) throw thrown;
      this.fail(thrown.code, thrown.message, thrown.flood);
    }
  }

  writeGoaway(lastStreamId: number, code: number, message: string): void {
    this.outlet.frames.goaway(lastStreamId, code, message);
    this.outlet.touch();
  }

  /** Ends the connection for a fault. */
  fail(code: number, message: string, flood?: string): void {
    if (this.#over) return;
    this.#events?.onFault(code, flood);
    this.#role.onFault(code, message);
    this.writeGoaway(this.#role.servedStreamId, code, message);
    this.end({ code, byPeer: false, unprocessed: false, reason: message });
  }

  /** The connection is over; every stream still open is told, whatever another one's handler throws. */
  end(reset: ResponseReset): void {
    if (this.#over && this.streams.size === 0) return;
    this.#over = true;
    this.#reader.stop();
    using aborts = new DisposableStack();
    for (const stream of this.streams.all()) aborts.defer(() => stream.abort(reset));
  }

  /** The connection is over, and every stream has ended. */
  endQuietly(): void {
    this.#over = true;
  }

  onStreamClosed(streamId: number, how: ClosedHow): void {
    this.streams.remove(streamId);
    this.#closed.add(streamId, how);
    this.#role.onStreamClosed(how);
  }

  writeReset(streamId: number, code: number): void {
    this.#events?.onReset(code, false);
    this.outlet.frames.rstStream(streamId, code);
    this.outlet.touch();
  }

  /**
   * HEADERS on a stream that is in the table no more. Those on their way when we reset the stream, or on one that is not
   * served, are decoded all the same, or the tables would drift apart, and dropped; that work is not for free, unless
   * they were to be expected.
   */
  onHeadersOnClosed(streamId: number, isExpected = false): void {
    const how = this.#howClosed(streamId);
    if (how === 'ended') throw new ConnectionError(errorCode.streamClosed, 'HEADERS on a closed stream');
    if (how === undefined) throw new ConnectionError(errorCode.protocolError, 'HEADERS on a stream that closed long ago, or never was');
    if (!isExpected) this.guard.spend('HEADERS on a closed stream');
  }

  /** Resets a stream of the peer's that was never opened here; `what` is told to the flood guard, with what it cost. */
  resetUnopened(streamId: number, code: number, what: string, cost = 1): void {
    this.guard.spend(what, undefined, cost);
    this.#closed.add(streamId, 'reset');
    this.writeReset(streamId, code);
  }

  returnCredit(bytes: number): void {
    const increment = this.#window.give(bytes);
    if (increment === 0 || this.#over) return;
    this.outlet.frames.windowUpdate(0, increment);
    this.outlet.touch();
  }

  onFrame(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    this.#checkOrder(frame);
    switch (frame.type) {
      case frameType.headers:
        return this.#onHeaders(frame, bytes, from, end);
      case frameType.continuation:
        return this.#onContinuation(frame, bytes, from, end);
      case frameType.windowUpdate:
        return this.#onWindowUpdate(frame.streamId, bytes, from, end);
      case frameType.settings:
        this.settings.onFrame(frame, bytes, from, end);
        return this.#checkTinyWindows();
      case frameType.ping:
        return this.#onPing(frame, bytes, from, end);
      case frameType.rstStream:
        return this.#onRstStream(frame.streamId, bytes, from, end);
      case frameType.priority:
        return this.#onPriority(frame, bytes, from);
      case frameType.goaway:
        return this.#onGoaway(frame, bytes, from);
      case frameType.pushPromise: // a client may not push, and a server was told not to
        throw new ConnectionError(errorCode.protocolError, 'PUSH_PROMISE, and push is off');
      default:
        this.guard.spend('of an unknown type'); // RFC 9113 §5.5: ignored
    }
  }

  onDataBegin(frame: FrameHeader, contentBytes: number): void {
    this.#checkOrder(frame);
    this.#dataStream = undefined;
    if (!this.#window.take(frame.length)) throw new ConnectionError(errorCode.flowControlError, 'more DATA than the connection window');
    const endsStream = (frame.flags & flag.endStream) !== 0;
    if (contentBytes === 0 && !endsStream) this.guard.spend('empty DATA');
    const stream = this.streams.get(frame.streamId);
    if (stream === undefined || !stream.receives) {
      this.returnCredit(frame.length);
      this.#refuseData(frame.streamId, stream);
      return;
    }
    this.#dataEndsStream = endsStream;
    if (stream.beginData(frame.length, contentBytes)) this.#dataStream = stream;
    else this.guard.spend('DATA against the rules');
  }

  onDataPiece(bytes: Uint8Array): void {
    this.#dataStream?.deliver(bytes);
  }

  onDataEnd(): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    this.#dataStream = undefined;
    if (this.#dataEndsStream && !stream.closed) this.endRemote(stream, undefined);
  }

  /** A body shorter than its content-length makes us reset the stream, which frees its place: not for free. */
  endRemote(stream: S, trailers: DecodedBlock | undefined): void {
    if (!stream.endRemote(trailers)) this.guard.spend('a body shorter than its content-length');
  }

  #readPreface(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && this.#prefaceBytes < this.#preface.length) {
      if (bytes[at++] !== this.#preface[this.#prefaceBytes++]) throw new ConnectionError(errorCode.protocolError, 'not the HTTP/2 preface');
    }
    return at;
  }

  /** Rules about which frame may follow which (RFC 9113 §3.4, §6.10) and which need a stream. */
  #checkOrder(frame: FrameHeader): void {
    if (!this.#sawSettings) {
      const isSettings = frame.type === frameType.settings && (frame.flags & flag.ack) === 0;
      if (!isSettings) throw new ConnectionError(errorCode.protocolError, 'the first frame is not SETTINGS');
      this.#sawSettings = true;
    }
    if (this.#headers.isOpen && (frame.type !== frameType.continuation || frame.streamId !== this.#headers.streamId)) {
      throw new ConnectionError(errorCode.protocolError, 'a header block is interrupted by another frame');
    }
  }

  #onHeaders(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    this.#role.onHeaders(frame.streamId);
    const block = this.#headers.onHeaders(frame, bytes, from, end);
    if (block !== undefined) this.#role.onBlock(block, this.#headers);
  }

  #onContinuation(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    if (!this.#headers.isOpen) throw new ConnectionError(errorCode.protocolError, 'CONTINUATION without HEADERS');
    const block = this.#headers.onContinuation(frame, bytes, from, end);
    if (block !== undefined) this.#role.onBlock(block, this.#headers);
  }

  #onWindowUpdate(id: number, bytes: Uint8Array, from: number, end: number): void {
    if (end - from !== 4) throw new ConnectionError(errorCode.frameSizeError, 'WINDOW_UPDATE has 4 bytes');
    const increment = readUint31(bytes, from);
    if (id === 0) this.#openWindow(increment);
    if (id !== 0 && !this.#openStreamWindow(id, increment)) this.guard.spend('WINDOW_UPDATE against the rules');
    else if (!this.outlet.takeEarnedUpdate()) this.guard.spend('WINDOW_UPDATE');
    this.#checkTinyWindows();
  }

  #openWindow(increment: number): void {
    if (increment === 0) throw new ConnectionError(errorCode.protocolError, 'WINDOW_UPDATE by 0');
    if (!this.outlet.openWindow(increment)) throw new ConnectionError(errorCode.flowControlError, 'connection window above 2^31-1');
  }

  /** False when the stream was reset for it. */
  #openStreamWindow(id: number, increment: number): boolean {
    this.#checkNotIdle(id, 'WINDOW_UPDATE');
    const stream = this.streams.get(id);
    if (stream === undefined) return true;
    return increment === 0 ? stream.refuse(errorCode.protocolError, 'WINDOW_UPDATE by 0') : stream.openSendWindow(increment);
  }

  /** A peer that opens windows by a few bytes makes us send a frame for each few. */
  #checkTinyWindows(): void {
    const count = this.outlet.takeTinyFrames();
    if (count > 0) this.guard.spend('a tiny window', undefined, count);
  }

  #onPing(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void {
    if (frame.streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'PING on a stream');
    if (end - from !== 8) throw new ConnectionError(errorCode.frameSizeError, 'PING has 8 bytes');
    const payload = bytes.subarray(from, end);
    if (frame.flags & flag.ack) {
      if (!this.#role.onPingAnswer(payload)) this.guard.spend('PING with ACK');
      return;
    }
    // Clients measure the path by a PING for what they receive, each round trip; only a PING without that is idle (HT-2).
    if (!this.outlet.takeHasAnswered()) this.guard.spend('PING', 'too_many_pings'); // gRPC clients know this text and ping less (gRPC keepalive, A8)
    this.outlet.frames.ping(payload, true);
    this.outlet.touch();
  }

  #onRstStream(id: number, bytes: Uint8Array, from: number, end: number): void {
    if (end - from !== 4) throw new ConnectionError(errorCode.frameSizeError, 'RST_STREAM has 4 bytes');
    this.#checkNotIdle(id, 'RST_STREAM');
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    // A reset after our whole answer cost nobody anything: clients do it when an upload turns out to be needless. Nor is it
    // an attack when as many calls are let come to their end: builds that race two ways cancel half of all that they ask.
    if (this.#role.resetsCost && stream.sends && !this.outlet.takeEarnedReset()) this.guard.spend('RST_STREAM');
    const code = readUint32(bytes, from);
    this.#events?.onReset(code, true);
    stream.abort({ code, byPeer: true, unprocessed: code === errorCode.refusedStream });
  }

  #onPriority(frame: FrameHeader, bytes: Uint8Array, from: number): void {
    if (frame.streamId === 0) throw new ConnectionError(errorCode.protocolError, 'PRIORITY without a stream');
    this.guard.spend('PRIORITY');
    if (frame.length !== 5) this.#resetAny(frame.streamId, errorCode.frameSizeError);
    else if (readUint31(bytes, from) === frame.streamId) this.#resetAny(frame.streamId, errorCode.protocolError);
  }

  #onGoaway(frame: FrameHeader, bytes: Uint8Array, from: number): void {
    if (frame.streamId !== 0) throw new ConnectionError(errorCode.protocolError, 'GOAWAY on a stream');
    if (frame.length < 8) throw new ConnectionError(errorCode.frameSizeError, 'GOAWAY has at least 8 bytes');
    this.guard.spend('GOAWAY');
    const debug = bytes.subarray(from + 8, from + Math.min(frame.length, 8 + debugBytesMax));
    this.#role.onGoaway(readUint31(bytes, from), readUint32(bytes, from + 4), printable(debug));
  }

  #checkNotIdle(id: number, what: string): void {
    if (id === 0) throw new ConnectionError(errorCode.protocolError, `${what} without a stream`);
    if (this.#role.isIdle(id)) throw new ConnectionError(errorCode.protocolError, `${what} on an idle stream`);
  }

  /** Of a stream that is in the table no more; undefined when it never was, or closed too long ago to tell. */
  #howClosed(id: number): ClosedHow | undefined {
    return this.#role.ignores(id) ? 'reset' : (this.#closed.find(id) ?? this.#role.forgotten);
  }

  /** DATA for a stream that receives nothing any more. */
  #refuseData(id: number, stream: S | undefined): void {
    this.#checkNotIdle(id, 'DATA');
    if (stream === undefined && this.#howClosed(id) === 'reset') return; // on its way when we reset the stream
    this.guard.spend('DATA on a closed stream');
    if (stream === undefined) this.writeReset(id, errorCode.streamClosed);
    else stream.reset(errorCode.streamClosed);
  }

  /** A stream error on a stream in any state (RFC 9113 §5.4.2); an idle one can only be answered by an end of all. */
  #resetAny(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) stream.reset(code);
    else if (this.#role.isIdle(id)) throw new ConnectionError(code, 'a frame against the rules on an idle stream');
    else this.writeReset(id, code);
  }
}
