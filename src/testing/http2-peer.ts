// A hand-driven HTTP/2 client on the pure connection: frames as bytes in, frames as bytes out, no sockets.
import { errorCodeName } from '../h2/error-code.ts';
import { clientPreface } from '../h2/frames.ts';
import { HeaderDecoder } from '../h2/header-decoder.ts';
import { encodeHeaders } from '../h2/header-encoder.ts';
import { http2Limits } from '../h2/limits.ts';
import type { Http2Limits } from '../h2/limits.ts';
import { ServerConnection } from '../h2/server-connection.ts';
import type { HeaderBlock, OutgoingHeaders, ServerStream, StreamHandler, StreamReset } from '../h2/stream.ts';
import { ManualClock } from './manual-clock.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** One frame as bytes. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, 9);
  return bytes;
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
  return bytes;
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  return frame(4, 0, 0, Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]))));
}

export const requestHeaders: OutgoingHeaders = [[':method', 'POST'], [':scheme', 'http'], [':path', '/']];

/** HEADERS with END_HEADERS. */
export function headers(streamId: number, endStream: boolean, list: OutgoingHeaders = requestHeaders): Buffer {
  return frame(1, endStream ? 0x5 : 0x4, streamId, encodeHeaders(list));
}

export function data(streamId: number, endStream: boolean, bytes: Uint8Array | number): Buffer {
  return frame(0, endStream ? 1 : 0, streamId, typeof bytes === 'number' ? new Uint8Array(bytes) : bytes);
}

/** The frames in `bytes`, which must not end within one. */
export function parseFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) throw new RangeError('the output ends within a frame');
    frames.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, streamId: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, end) });
    at = end;
  }
  return frames;
}

/** What one stream was told, in words, and what it can do. `consumes` returns credit at once. */
export class RecordedStream implements StreamHandler {
  readonly stream: ServerStream;
  readonly block: HeaderBlock;
  readonly events: string[] = [];
  receivedBytes = 0;
  readonly #peer: Http2Peer;

  constructor(stream: ServerStream, block: HeaderBlock, peer: Http2Peer) {
    this.stream = stream;
    this.block = block;
    this.#peer = peer;
  }

  onData(bytes: Uint8Array): void {
    this.receivedBytes += bytes.length;
    this.events.push(`data ${bytes.length}`);
    if (this.#peer.consumes) this.stream.consumed(bytes.length);
  }
  onEnd(trailers: HeaderBlock | undefined): void {
    this.events.push(trailers === undefined ? 'end' : `end ${trailers.fields.join('=')}`);
    this.#peer.onEnd?.(this);
  }
  onReset(reset: StreamReset): void {
    this.events.push(`reset ${reset.code} ${reset.byPeer ? 'by peer' : 'by us'}`);
  }
  onDrained(): void {
    this.events.push('drained');
    this.#peer.onDrained?.(this);
  }
}

/** A connection with its peer. The preface and an empty SETTINGS have been exchanged unless `raw`. */
export class Http2Peer {
  readonly clock = new ManualClock();
  readonly connection: ServerConnection;
  readonly streams: RecordedStream[] = [];
  readonly #decoder = new HeaderDecoder(1_000_000);
  /** What went wrong, as statistics are told. */
  readonly mishaps: string[] = [];
  wakes = 0;
  consumes = true;
  /** Called while the acceptor makes a handler. */
  onStream: ((stream: ServerStream) => void) | undefined;
  /** Called when a request is complete, or a queue has drained. */
  onEnd: ((stream: RecordedStream) => void) | undefined;
  onDrained: ((stream: RecordedStream) => void) | undefined;

  constructor(limits: Partial<Http2Limits> = {}, options: { raw?: boolean } = {}) {
    this.connection = new ServerConnection({
      acceptor: {
        onStream: (stream, block) => {
          const recorded = new RecordedStream(stream, block, this);
          this.streams.push(recorded);
          this.onStream?.(stream);
          return recorded;
        },
      },
      limits: { ...http2Limits, ...limits },
      clock: this.clock,
      events: {
        onReset: (code, byPeer) => this.mishaps.push(`reset ${errorCodeName(code)} by ${byPeer ? 'peer' : 'us'}`),
        onFault: (code, flood) => this.mishaps.push(flood === undefined ? errorCodeName(code) : `${errorCodeName(code)}: ${flood}`),
      },
      wake: () => this.wakes++,
    });
    if (options.raw === true) return;
    this.send(clientPreface, settings(), frame(4, 1, 0));
  }

  /** Feeds the bytes as one chunk and returns what goes out. */
  send(...bytes: Uint8Array[]): Frame[] {
    this.connection.receive(Buffer.concat(bytes));
    return this.take();
  }

  /** What waits to go out, as if it went out at once. */
  take(): Frame[] {
    return parseFrames(this.takeBytes());
  }

  takeBytes(): Buffer {
    const { outlet } = this.connection;
    const taken: Uint8Array[] = [];
    for (let slices = outlet.take(); slices.length > 0; slices = outlet.take()) {
      taken.push(...slices.map((slice) => new Uint8Array(slice)));
      outlet.onBacklog(0);
    }
    return Buffer.concat(taken);
  }

  stream(index = 0): RecordedStream {
    const stream = this.streams[index];
    if (stream === undefined) throw new RangeError(`no stream ${index}`);
    return stream;
  }

  /** Header fields of a HEADERS frame that came out, flat. */
  fieldsOf(sent: Frame | undefined): readonly string[] {
    const block = sent?.payload ?? Buffer.alloc(0);
    return this.#decoder.decode(block, 0, block.length).fields;
  }
}
