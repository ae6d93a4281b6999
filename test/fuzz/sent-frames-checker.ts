// Reads what an engine sends as its peer would, and as strictly as RFC 9113 allows: an own reader of frames with an
// own book of streams and windows. It shares nothing with the engine but the HPACK decoder, which is held against
// another implementation elsewhere (src/h2/node-http2.test.ts).
import assert from 'node:assert/strict';
import { clientPreface, frameBytesDefault, frameBytesLimit, headerTableBytesDefault, windowBytesDefault, windowBytesLimit } from '../../src/h2/frames.ts';
import { HeaderDecoder } from '../../src/h2/header-decoder.ts';
import type { Http2Limits } from '../../src/h2/limits.ts';
import type { Frame } from '../../src/testing/http2-peer.ts';

/** A stream as the peer of the engine may believe it to be. */
interface SeenStream {
  /** What the engine may send: what the peer granted. */
  windowBytes: number;
  /** What the peer may send: what the engine granted. */
  grantedBytes: number;
  sawFinalHeaders: boolean;
  engineEnded: boolean;
  engineReset: boolean;
  peerEnded: boolean;
  peerReset: boolean;
}

const flags = { endStream: 0x1, ack: 0x1, endHeaders: 0x4 };

/** Everything that one engine sends on one connection passes through here, in order, together with what it is sent. */
export class SentFramesChecker {
  readonly #role: 'server' | 'client';
  readonly #limits: Http2Limits;
  readonly #decoder = new HeaderDecoder(1 << 24);
  readonly #streams = new Map<number, SeenStream>();
  #rest = Buffer.alloc(0);
  /** Octets of the client's preface that are still to come out. */
  #prefaceLeft: Buffer;
  #sawSettings = false;
  #windowBytes = windowBytesDefault;
  #grantedBytes = windowBytesDefault;
  #initialWindowBytes = windowBytesDefault;
  #frameBytesMax = frameBytesDefault;
  #streamsMax = Infinity;
  /** Our SETTINGS hold for the peer once it has acknowledged them. */
  #peerInitialWindowBytes = windowBytesDefault;
  #settingsToAcknowledge = 0;
  readonly #pingsToAnswer: string[] = [];
  /** What the engine's HPACK table is as far as its peer knows, and the least that the peer has asked for since. */
  #tableBytes = headerTableBytesDefault;
  #tableUpdateDue: number | undefined = undefined;
  #lastOpened = 0;
  #sawGoaway = false;
  #sawPeerGoaway = false;
  #goawayLastId = windowBytesLimit;
  #fault: number | undefined = undefined;
  #block: { readonly streamId: number; readonly endStream: boolean; readonly parts: Buffer[] } | undefined = undefined;
  /** DATA, and everything else, in bytes with frame headers. */
  dataBytes = 0;
  otherBytes = 0;
  /** Codes of the resets that were sent. */
  readonly resetCodes: number[] = [];

  constructor(role: 'server' | 'client', limits: Http2Limits) {
    this.#role = role;
    this.#limits = limits;
    this.#prefaceLeft = role === 'client' ? Buffer.from(clientPreface) : Buffer.alloc(0);
  }

  /** The code of the GOAWAY that ended the connection; undefined while there was none, or only a polite one. */
  get fault(): number | undefined {
    return this.#fault;
  }

  /** What the peer may still send on the connection. */
  get grantedBytes(): number {
    return this.#grantedBytes;
  }

  /** What the peer may still send on a stream, and at first might; undefined when it may send nothing any more. */
  creditOf(streamId: number): { readonly leftBytes: number; readonly windowBytes: number } | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.peerEnded || stream.peerReset || stream.engineReset) return undefined;
    return { leftBytes: stream.grantedBytes, windowBytes: this.#peerInitialWindowBytes };
  }

  /** Streams that neither side has ended or reset altogether. */
  get openStreams(): number {
    let count = 0;
    for (const stream of this.#streams.values()) if (!isClosed(stream)) count++;
    return count;
  }

  /** The engine has ended the connection; nothing of its output may be unfinished. */
  finish(): void {
    assert.equal(this.#rest.length, 0, 'the output ends within a frame');
    assert.equal(this.#block, undefined, 'the output ends within a header block');
    if (this.#fault === undefined) return;
    assert.ok(this.#sawGoaway, 'a fault without GOAWAY');
  }

  /** Nothing more was asked than what was answered: SETTINGS and PING, as long as the connection lives. */
  checkAnswered(): void {
    assert.equal(this.#settingsToAcknowledge, 0, 'SETTINGS without an acknowledgement');
    assert.deepEqual(this.#pingsToAnswer, [], 'PING without an answer');
  }

  /** A frame that the engine is about to read whole; grants take effect at once. */
  onPeerFrame(frame: Frame): void {
    const { type, payload, streamId } = frame;
    if (type === 0) this.#onPeerData(frame);
    else if (type === 1) this.#onPeerHeaders(frame);
    else if (type === 3 && payload.length === 4) this.#ofPeer(streamId, (stream) => (stream.peerReset = true));
    else if (type === 4 && streamId === 0) this.#onPeerSettings(frame);
    else if (type === 6 && (frame.flags & flags.ack) === 0) this.#pingsToAnswer.push(payload.toString('hex'));
    else if (type === 8 && payload.length === 4) this.#onPeerGrant(streamId, payload.readUInt32BE() & 0x7fff_ffff);
    else if (type === 7 && streamId === 0 && payload.length >= 8) this.#sawPeerGoaway = true;
  }

  /** Output of the engine, in pieces of any size. */
  onOutput(bytes: Buffer): void {
    if (bytes.length > 0) assert.equal(this.#fault, undefined, 'something was sent after a GOAWAY that ended the connection');
    let rest = Buffer.concat([this.#rest, bytes]);
    if (this.#prefaceLeft.length > 0) {
      const count = Math.min(rest.length, this.#prefaceLeft.length);
      assert.ok(rest.subarray(0, count).equals(this.#prefaceLeft.subarray(0, count)), 'the output does not begin with the preface of a client');
      this.#prefaceLeft = this.#prefaceLeft.subarray(count);
      rest = rest.subarray(count);
    }
    while (rest.length >= 9) {
      const end = 9 + rest.readUIntBE(0, 3);
      if (end > rest.length) break;
      assert.ok(this.#fault === undefined, 'frames follow a GOAWAY that ended the connection');
      this.#onFrame({ type: rest[3] ?? 0, flags: rest[4] ?? 0, streamId: rest.readUInt32BE(5), payload: rest.subarray(9, end) });
      rest = rest.subarray(end);
    }
    this.#rest = rest;
  }

  #onPeerData({ flags: set, streamId, payload }: Frame): void {
    this.#grantedBytes -= payload.length;
    this.#ofPeer(streamId, (stream) => {
      stream.grantedBytes -= payload.length;
      if (set & flags.endStream) stream.peerEnded = true;
    });
  }

  #onPeerHeaders({ flags: set, streamId }: Frame): void {
    if (this.#role === 'server' && streamId % 2 === 1 && streamId > this.#lastOpened) this.#openStream(streamId);
    this.#ofPeer(streamId, (stream) => {
      if (set & flags.endStream) stream.peerEnded = true;
    });
  }

  #onPeerSettings({ flags: set, payload }: Frame): void {
    if (set & flags.ack) {
      if (payload.length === 0) this.#onPeerAcknowledged();
      return;
    }
    this.#settingsToAcknowledge++;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      const id = payload.readUInt16BE(at);
      if (id === 1 && value < this.#tableBytes) this.#tableUpdateDue = Math.min(value, this.#tableUpdateDue ?? value);
      if (id === 3) this.#streamsMax = value;
      if (id === 5 && value >= frameBytesDefault && value <= frameBytesLimit) this.#frameBytesMax = value; // else the engine ends all
      if (id === 4) {
        for (const stream of this.#streams.values()) stream.windowBytes += value - this.#initialWindowBytes;
        this.#initialWindowBytes = value;
      }
    }
  }

  #onPeerAcknowledged(): void {
    if (this.#peerInitialWindowBytes === this.#limits.streamWindowBytes) return;
    for (const stream of this.#streams.values()) stream.grantedBytes += this.#limits.streamWindowBytes - this.#peerInitialWindowBytes;
    this.#peerInitialWindowBytes = this.#limits.streamWindowBytes;
  }

  #onPeerGrant(streamId: number, increment: number): void {
    if (streamId === 0) this.#windowBytes += increment;
    else this.#ofPeer(streamId, (stream) => (stream.windowBytes += increment));
  }

  #ofPeer(streamId: number, change: (stream: SeenStream) => void): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) change(stream);
  }

  #openStream(streamId: number): SeenStream {
    const stream = {
      windowBytes: this.#initialWindowBytes,
      grantedBytes: this.#peerInitialWindowBytes,
      sawFinalHeaders: false,
      engineEnded: false,
      engineReset: false,
      peerEnded: false,
      peerReset: false,
    };
    this.#streams.set(streamId, stream);
    this.#lastOpened = streamId;
    return stream;
  }

  #onFrame(frame: Frame): void {
    const { type, streamId, payload } = frame;
    const bytes = 9 + payload.length;
    if (type === 0) this.dataBytes += bytes;
    else this.otherBytes += bytes;
    assert.ok(payload.length <= this.#frameBytesMax, `a frame of ${payload.length} bytes; the peer takes ${this.#frameBytesMax}`);
    if (!this.#sawSettings) assert.ok(type === 4 && (frame.flags & flags.ack) === 0, 'the first frame is not SETTINGS');
    this.#sawSettings = true;
    if (this.#block !== undefined) assert.ok(type === 9 && streamId === this.#block.streamId, 'a header block is interrupted');
    switch (type) {
      case 0:
        return this.#onData(frame);
      case 1:
        return this.#onHeaders(frame);
      case 3:
        return this.#onReset(frame);
      case 4:
        return this.#onSettings(frame);
      case 6:
        return this.#onPing(frame);
      case 7:
        return this.#onGoaway(frame);
      case 8:
        return this.#onWindowUpdate(frame);
      case 9:
        return this.#onContinuation(frame);
      default:
        assert.fail(`a frame of type ${type} was sent`);
    }
  }

  /** A stream on which the engine may still send. */
  #sending(streamId: number, what: string): SeenStream {
    const stream = this.#streams.get(streamId);
    assert.ok(stream !== undefined, `${what} on stream ${streamId}, which is idle`);
    assert.ok(!stream.engineEnded, `${what} on stream ${streamId} after its end`);
    assert.ok(!stream.engineReset, `${what} on stream ${streamId} after its reset`);
    return stream;
  }

  #onData({ flags: set, streamId, payload }: Frame): void {
    const stream = this.#sending(streamId, 'DATA');
    assert.equal(set & ~flags.endStream, 0, 'flags of DATA that we never set');
    assert.ok(stream.sawFinalHeaders, `DATA on stream ${streamId} before its headers`);
    stream.windowBytes -= payload.length;
    this.#windowBytes -= payload.length;
    if (payload.length > 0) assert.ok(stream.windowBytes >= 0, `DATA on stream ${streamId} exceeds its window by ${-stream.windowBytes}`);
    if (payload.length > 0) assert.ok(this.#windowBytes >= 0, `DATA exceeds the window of the connection by ${-this.#windowBytes}`);
    if (set & flags.endStream) stream.engineEnded = true;
  }

  #onHeaders({ flags: set, streamId, payload }: Frame): void {
    assert.equal(set & ~(flags.endStream | flags.endHeaders), 0, 'flags of HEADERS that we never set');
    if (this.#role === 'client' && streamId > this.#lastOpened) this.#onRequest(streamId);
    this.#sending(streamId, 'HEADERS');
    this.#block = { streamId, endStream: (set & flags.endStream) !== 0, parts: [payload] };
    if (set & flags.endHeaders) this.#onBlock();
  }

  #onRequest(streamId: number): void {
    assert.equal(streamId % 2, 1, `a client opened stream ${streamId}`);
    assert.ok(!this.#sawPeerGoaway, `stream ${streamId} was opened after a GOAWAY`);
    assert.ok(this.openStreams < this.#streamsMax, `stream ${streamId} is one more than the ${this.#streamsMax} that the peer allows`);
    this.#openStream(streamId);
  }

  #onContinuation({ flags: set, payload }: Frame): void {
    assert.ok(this.#block !== undefined, 'CONTINUATION without HEADERS');
    this.#block.parts.push(payload);
    if (set & flags.endHeaders) this.#onBlock();
  }

  #onBlock(): void {
    const { streamId, endStream, parts } = this.#block ?? assert.fail('no block is open');
    this.#block = undefined;
    const bytes = Buffer.concat(parts);
    if (this.#tableUpdateDue !== undefined) {
      assert.equal((bytes[0] ?? 0) & 0xe0, 0x20, 'a block must open with a table size update after the peer lowered its limit');
      this.#tableBytes = (bytes[0] ?? 0) & 0x1f; // 31 begins a longer number
      assert.ok(this.#tableBytes < 31 && this.#tableBytes <= this.#tableUpdateDue, 'the table size update is above what the peer asked for');
      this.#tableUpdateDue = undefined;
    }
    const { fields } = this.#decoder.decode(bytes, 0, bytes.length);
    const stream = this.#sending(streamId, 'HEADERS');
    const pseudo = fields.filter((name, index) => index % 2 === 0 && name.startsWith(':'));
    if (stream.sawFinalHeaders) {
      assert.ok(endStream, `trailers on stream ${streamId} that do not end it`);
      assert.deepEqual(pseudo, [], `pseudo-headers in the trailers of stream ${streamId}`);
    } else if (this.#role === 'server') {
      assert.deepEqual(pseudo, [':status'], `the head of an answer on stream ${streamId}`);
      const isInformational = /^1\d\d$/.test(fields[1] ?? '');
      assert.ok(!(isInformational && endStream), `an interim answer ends stream ${streamId}`);
      stream.sawFinalHeaders = !isInformational;
    } else {
      stream.sawFinalHeaders = true;
    }
    if (endStream) stream.engineEnded = true;
  }

  #onReset({ streamId, payload }: Frame): void {
    assert.equal(payload.length, 4, 'RST_STREAM of a wrong length');
    // Ids that were passed over are closed, not idle (RFC 9113 §5.1.1).
    assert.ok(streamId % 2 === 1 && streamId <= this.#lastOpened, `RST_STREAM on stream ${streamId}, which is idle`);
    this.resetCodes.push(payload.readUInt32BE());
    this.#ofPeer(streamId, (stream) => (stream.engineReset = true));
  }

  #onSettings({ flags: set, streamId, payload }: Frame): void {
    assert.equal(streamId, 0, 'SETTINGS on a stream');
    if ((set & flags.ack) === 0) return;
    assert.equal(payload.length, 0, 'SETTINGS with ACK and a payload');
    assert.ok(this.#settingsToAcknowledge-- > 0, 'an acknowledgement for SETTINGS that nobody sent');
  }

  #onPing({ flags: set, streamId, payload }: Frame): void {
    assert.equal(streamId, 0, 'PING on a stream');
    assert.equal(payload.length, 8, 'PING of a wrong length');
    if (set & flags.ack) assert.equal(payload.toString('hex'), this.#pingsToAnswer.shift(), 'the answer to PING repeats it');
  }

  #onGoaway({ streamId, payload }: Frame): void {
    assert.equal(streamId, 0, 'GOAWAY on a stream');
    assert.ok(payload.length >= 8, 'GOAWAY that is too short');
    const lastId = payload.readUInt32BE(0);
    const code = payload.readUInt32BE(4);
    assert.ok(lastId <= this.#goawayLastId, 'a GOAWAY that takes back an earlier one');
    if (this.#role === 'server') assert.ok(lastId <= this.#lastOpened || (lastId === windowBytesLimit && code === 0), `GOAWAY names stream ${lastId}, which never was`);
    this.#goawayLastId = lastId;
    this.#sawGoaway = true;
    if (code !== 0) this.#fault = code;
  }

  #onWindowUpdate({ streamId, payload }: Frame): void {
    assert.equal(payload.length, 4, 'WINDOW_UPDATE of a wrong length');
    const increment = payload.readUInt32BE();
    assert.ok(increment > 0 && increment <= windowBytesLimit, `WINDOW_UPDATE by ${increment}`);
    if (streamId === 0) {
      this.#grantedBytes += increment;
      assert.ok(this.#grantedBytes <= this.#limits.connectionWindowBytes, `the peer may send ${this.#grantedBytes} bytes; the limit of a connection is ${this.#limits.connectionWindowBytes}`);
      return;
    }
    const stream = this.#streams.get(streamId);
    assert.ok(stream !== undefined, `WINDOW_UPDATE on stream ${streamId}, which is idle`);
    assert.ok(!stream.engineReset, `WINDOW_UPDATE on stream ${streamId} after its reset`);
    stream.grantedBytes += increment;
    const most = Math.max(this.#limits.streamWindowBytes, this.#peerInitialWindowBytes);
    assert.ok(stream.grantedBytes <= most, `the peer may send ${stream.grantedBytes} bytes on stream ${streamId}; the limit is ${most}`);
  }
}

function isClosed({ engineEnded, engineReset, peerEnded, peerReset }: SeenStream): boolean {
  return engineReset || peerReset || (engineEnded && peerEnded);
}
