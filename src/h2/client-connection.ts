// The client's end of one HTTP/2 connection (RFC 9113): opens streams as far as the server lets it, and knows which of
// them the server has not begun with when it goes away. What both ends do alike is connection-core.ts.
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { ClosedHow } from './closed-streams.ts';
import { ConnectionCore } from './connection-core.ts';
import type { BlockHead, ConnectionRole, CoreParts } from './connection-role.ts';
import { ConnectionError, errorCode } from './error-code.ts';
import { foreignProtocol } from './foreign-protocol.ts';
import { clientPreface, settingId, windowBytesLimit } from './frames.ts';
import type { DecodedBlock } from './header-block.ts';
import { headerListBytes, prepareHeaders, prepareRequestHeaders } from './header-encoder.ts';
import type { Http2Limits } from './limits.ts';
import type { Outlet } from './outlet.ts';
import type { SettingsChange } from './peer-settings.ts';
import { ResponseStream } from './response-stream.ts';
import type { ClientStream, OutgoingHeaders, RequestHeaders, ResponseHandler } from './stream.ts';

/** Streams that are opened before the server has said how many it takes; what RFC 9113 §6.5.2 advises it to take at least. */
const unknownStreamsMax = 100;
/** Header blocks of an answer that may be on their way when we reset its stream: headers and trailers. */
const lateBlocksPerReset = 2;
/** The last id that a client may use (RFC 9113 §5.1.1). */
const lastStreamId = windowBytesLimit;

/** Why a connection takes no new streams any more. */
export interface ConnectionEnd {
  /** RFC 9113 §7. */
  readonly code: number;
  readonly byPeer: boolean;
  /** The peer has said so, and is not just gone. */
  readonly byGoaway: boolean;
  /** In words for people: the peer's own (its debug data, as it came) or ours; may be empty. */
  readonly reason: string;
}

/** What a connection is given besides. */
export interface ClientConnectionParts extends CoreParts {
  /** `freeStreams` or `ending` may have changed; called from `onTake`, never from within a call from above. */
  readonly onChange?: (() => void) | undefined;
  /** Odd; 1 if left out. What the end of the ids is like can only be seen from near it. */
  readonly firstStreamId?: number | undefined;
}

/** See `ConnectionCore` for what becomes of faults and of handlers that throw. */
export class ClientConnection implements ConnectionRole {
  /** No stream is opened by a server that may not push. */
  readonly servedStreamId = 0;
  /** Each stream can be reset once, and it is we who open them. */
  readonly resetsCost = false;
  /** We have opened it, and may have reset thousands since, while the server had not heard of it. */
  readonly forgotten = 'reset';
  readonly #core: ConnectionCore<ResponseStream>;
  readonly #limits: Http2Limits;
  readonly #clock: MonotonicClock;
  readonly #onChange: (() => void) | undefined;
  #nextStreamId: number;
  /** Streams below this have been handed to the socket, in whole or in part. */
  #takenStreamId: number;
  #peerStreamsMax = unknownStreamsMax;
  #sawSettings = false;
  #peerHeaderListBytesMax = Number.MAX_SAFE_INTEGER;
  /** Streams of ours above this are not processed: the server has said so. */
  #goawayStreamId = lastStreamId;
  #ending: ConnectionEnd | undefined = undefined;
  /** Blocks that may still come on streams that we have reset, and are no fault of the server then. */
  #lateBlocks = 0;
  #sawInput = false;
  #changed = false;
  /** The PING that is on the wire. */
  #ping: { readonly sentAtMs: number; readonly payload: Uint8Array; readonly answer: PromiseWithResolvers<number> } | undefined = undefined;
  #pings = 0;

  constructor(parts: ClientConnectionParts) {
    this.#limits = parts.limits;
    this.#clock = parts.clock;
    this.#onChange = parts.onChange;
    this.#nextStreamId = parts.firstStreamId ?? 1;
    this.#takenStreamId = this.#nextStreamId;
    this.#core = new ConnectionCore(this, parts, new Uint8Array(0));
    this.outlet.frames.preface(clientPreface);
    this.#core.settings.write([[settingId.enablePush, 0]]);
  }

  get outlet(): Outlet {
    return this.#core.outlet;
  }

  get isOver(): boolean {
    return this.#core.isOver;
  }

  get gatheredBytes(): number {
    return this.#core.gatheredBytes;
  }

  get streamCount(): number {
    return this.#core.streams.size;
  }

  /**
   * What requests have queued goes when the server opens its windows. If that were not read, whoever sends more than there
   * is memory would wait for ever. What comes beside it is not more than the windows of this side.
   */
  get readsWhenExhausted(): boolean {
    for (const stream of this.#core.streams.all()) if (stream.queuedBytes > 0) return true;
    return false;
  }

  /** Streams that may be opened now. */
  get freeStreams(): number {
    if (this.#ending !== undefined || this.#nextStreamId > lastStreamId) return 0;
    return Math.max(0, Math.min(this.#peerStreamsMax, this.#limits.concurrentStreamsMax) - this.#core.streams.size);
  }

  /** Undefined while streams may be opened, now or later. */
  get ending(): ConnectionEnd | undefined {
    return this.#ending;
  }

  /**
   * Sends a request; only while `freeStreams` is above 0. `handler` is not called from within.
   * @throws CacheError `resource_exhausted` for headers longer than the server takes.
   */
  open(headers: OutgoingHeaders | RequestHeaders, endStream: boolean, handler: ResponseHandler): ClientStream {
    assert(this.freeStreams > 0, 'streams are opened while there are free ones');
    this.#checkHeaderList(headers);
    // First of all, since it throws for headers that cannot be sent.
    const prepared = 'shared' in headers ? prepareRequestHeaders(headers) : prepareHeaders(headers);
    const method = ('shared' in headers ? headers.shared.fields : headers).find(([name]) => name === ':method')?.[1] ?? '';
    const stream = new ResponseStream(
      this.#nextStreamId,
      this.#core,
      { receiveWindowBytes: this.#core.settings.receiveWindowBytes, sendWindowBytes: this.#core.settings.peerInitialWindowBytes, contentLength: undefined },
      { handler, method },
    );
    this.#core.streams.add(stream);
    this.#nextStreamId += 2;
    stream.sendHeaders(prepared, endStream);
    if (this.#nextStreamId > lastStreamId) this.drain();
    return stream;
  }

  /** Measures the way to the server and back, in milliseconds. While a PING is on the wire, its answer is everybody's. */
  ping(): Promise<number> {
    if (this.isOver) return Promise.reject(this.#endedError());
    if (this.#ping !== undefined) return this.#ping.answer.promise;
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.#pings >>> 0, 4);
    this.#ping = { sentAtMs: this.#clock.nowMs(), payload, answer: Promise.withResolvers() };
    this.#ping.answer.promise.catch(() => {}); // whoever asked may have gone
    this.outlet.frames.ping(payload, false);
    this.outlet.touch();
    return this.#ping.answer.promise;
  }

  /** Opens nothing more, and is over when the last stream has ended. */
  drain(): void {
    this.#ending ??= { code: errorCode.noError, byPeer: false, byGoaway: false, reason: '' };
    this.#changed = true;
    this.#endWhenDrained();
  }

  receive(bytes: Uint8Array): void {
    if (!this.#sawInput && bytes.length > 0) {
      this.#sawInput = true;
      const foreign = foreignProtocol(bytes);
      if (foreign !== undefined) return this.#core.fail(errorCode.protocolError, foreign);
    }
    this.#core.receive(bytes);
  }

  /** Ends the connection for a bug of ours: a handler threw, and nobody knows what state things are in. */
  fail(): void {
    this.#core.fail(errorCode.internalError, 'internal error');
  }

  /** Ends the connection at once: `byPeer` when the server is gone. Every stream still open is told. */
  abort(byPeer = true): void {
    const reset = { code: errorCode.cancel, byPeer, reason: this.#ending?.reason || (byPeer ? 'the connection was lost' : 'the connection was closed') };
    this.#ending ??= { ...reset, byGoaway: false };
    using ends = new DisposableStack(); // run from the last to the first, whatever a handler throws
    ends.defer(() => this.#rejectPing());
    ends.defer(() => this.#core.end({ ...reset, unprocessed: false }));
    for (const stream of this.#core.streams.all()) {
      if (stream.id >= this.#takenStreamId) ends.defer(() => stream.abort({ ...reset, unprocessed: true }));
    }
    this.#changed = true;
  }

  onTake(): void {
    if (this.#changed) {
      this.#changed = false;
      this.#onChange?.();
    }
    this.#takenStreamId = this.#nextStreamId;
  }

  isIdle(streamId: number): boolean {
    return streamId >= this.#nextStreamId || streamId % 2 === 0;
  }

  ignores(streamId: number): boolean {
    return streamId > this.#goawayStreamId;
  }

  onHeaders(streamId: number): void {
    if (this.isIdle(streamId)) throw new ConnectionError(errorCode.protocolError, 'HEADERS on a stream that we did not open');
    if (this.#core.streams.get(streamId) !== undefined) return;
    const isExpected = this.#lateBlocks > 0;
    if (isExpected) this.#lateBlocks -= 1;
    this.#core.onHeadersOnClosed(streamId, isExpected);
  }

  onBlock(block: DecodedBlock, head: BlockHead): void {
    const stream = this.#core.streams.get(head.streamId);
    if (stream === undefined) return;
    if (!stream.receives) {
      this.#core.guard.spend('HEADERS after the end of an answer');
      stream.reset(errorCode.streamClosed);
    } else if (head.dependsOnItself) {
      this.#core.guard.spend('a stream that depends on itself');
      stream.refuse(errorCode.protocolError, 'a stream that depends on itself');
    } else if (!stream.onBlock(block, head.endStream)) {
      this.#core.guard.spend('malformed answer');
    } else if (stream.awaitsHead) {
      this.#core.guard.spend('interim answer');
    }
  }

  onSettings(change: SettingsChange): void {
    if (change.enablePush === 1) throw new ConnectionError(errorCode.protocolError, 'a server that wants to be pushed to');
    // The first one tells all: what it does not name has no limit (RFC 9113 §6.5.2).
    if (!this.#sawSettings) this.#peerStreamsMax = Number.MAX_SAFE_INTEGER;
    this.#sawSettings = true;
    this.#peerStreamsMax = change.concurrentStreamsMax ?? this.#peerStreamsMax;
    this.#peerHeaderListBytesMax = change.headerListBytesMax ?? this.#peerHeaderListBytesMax;
    this.#changed = true;
  }

  onPingAnswer(payload: Uint8Array): boolean {
    const ping = this.#ping;
    if (ping === undefined || !ping.payload.every((octet, index) => octet === payload[index])) return false;
    this.#ping = undefined;
    ping.answer.resolve(this.#clock.nowMs() - ping.sentAtMs);
    return true;
  }

  /** The server takes no new streams; those above the last one it names were not processed (RFC 9113 §6.8). */
  onGoaway(lastId: number, code: number, message: string): void {
    // A second GOAWAY may only name a lower stream; one that does not changes nothing.
    this.#goawayStreamId = Math.min(this.#goawayStreamId, lastId);
    // A server may go in steps, and find out between them that something is wrong: what says more stands.
    const before = this.#ending?.byGoaway === true ? this.#ending : undefined;
    const saysMore = before === undefined || (before.code === errorCode.noError && (code !== errorCode.noError || before.reason === ''));
    if (saysMore) this.#ending = { code, byPeer: true, byGoaway: true, reason: message };
    this.#changed = true;
    using aborts = new DisposableStack();
    for (const stream of this.#core.streams.all()) {
      if (!this.ignores(stream.id)) continue;
      aborts.defer(() => stream.abort({ code: errorCode.refusedStream, byPeer: true, unprocessed: true, reason: message }));
    }
    aborts.defer(() => this.#endWhenDrained());
  }

  onFault(code: number, reason: string): void {
    this.#ending = { code, byPeer: false, byGoaway: false, reason };
    this.#changed = true;
    this.#rejectPing();
  }

  onStreamClosed(how: ClosedHow): void {
    if (how === 'reset') this.#lateBlocks += lateBlocksPerReset;
    this.#changed = true;
    this.#endWhenDrained();
  }

  #endWhenDrained(): void {
    if (this.isOver || this.#ending === undefined || this.#core.streams.size > 0) return;
    this.#core.writeGoaway(0, errorCode.noError, '');
    this.#core.endQuietly();
    this.#rejectPing();
  }

  #checkHeaderList(headers: OutgoingHeaders | RequestHeaders): void {
    if (this.#peerHeaderListBytesMax === Number.MAX_SAFE_INTEGER) return;
    const bytes = 'shared' in headers ? headerListBytes(headers.shared.fields) + headerListBytes(headers.own) : headerListBytes(headers);
    if (bytes <= this.#peerHeaderListBytesMax) return;
    throw new CacheError(
      'resource_exhausted',
      `the request headers count ${bytes} bytes (names, values and 32 for each), and the server takes ${this.#peerHeaderListBytesMax}; send less metadata`,
    );
  }

  #rejectPing(): void {
    const ping = this.#ping;
    this.#ping = undefined;
    ping?.answer.reject(this.#endedError());
  }

  #endedError(): CacheError {
    const reason = this.#ending?.reason || 'it was closed';
    return new CacheError('unavailable', `the HTTP/2 connection has ended: ${reason}`);
  }
}
