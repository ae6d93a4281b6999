// The client's end of one HTTP/2 connection, for sending prepared calls as fast as a core can: frames are made by hand,
// whatever is due is written at once, and every answer is compared. It speaks the part of RFC 9113 that gRPC servers
// use and ends with an error at anything else, since a benchmark must not go on with a misunderstanding.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { clientPreface, flag, frameBytesDefault, frameHeaderBytes, frameType, settingId, windowBytesDefault } from '../../src/h2/frames.ts';
import { AnswerHeaders } from './answer-headers.ts';
import { Exchange } from './exchange.ts';
import type { Call } from './exchange.ts';

export class Connection {
  readonly #socket: Socket;
  readonly #windowBytes: number;
  readonly #exchanges = new Map<number, Exchange>();
  /** Exchanges with DATA left to send; at most as many as streams are open. */
  #sending: Exchange[] = [];
  readonly #headers = new AnswerHeaders();
  #rest: Buffer = Buffer.alloc(0);
  #out: Uint8Array[] = [];
  #nextStreamId = 1;
  /** What the server takes: DATA on the connection, DATA on a new stream, streams at the same time. */
  #sendWindow = windowBytesDefault;
  #streamSendWindow = windowBytesDefault;
  #streamsMax = Infinity;
  #unreportedBytes = 0;
  #failed: (error: Error) => void = () => undefined;
  #settingsSeen: () => void = () => undefined;

  private constructor(socket: Socket, windowBits: number) {
    this.#socket = socket;
    this.#windowBytes = 2 ** windowBits - 1;
  }

  /** Resolves once the server's settings are known. `failed` hears of anything that is wrong, and nothing works afterwards. */
  static async open(to: { readonly host: string; readonly port: number; readonly windowBits: number }, failed: (error: Error) => void): Promise<Connection> {
    const socket = connect({ host: to.host, port: to.port, noDelay: true });
    await once(socket, 'connect');
    const connection = new Connection(socket, to.windowBits);
    await connection.#begin(failed);
    return connection;
  }

  /** How many more calls the server lets start now. */
  get freeStreams(): number {
    return this.#streamsMax - this.#exchanges.size;
  }

  /** Begins the call; `done` is called when its answer was complete and right. Goes out with the next `flush`. */
  start(call: Call, done: () => void): void {
    const exchange = new Exchange(this.#nextStreamId, call, this.#streamSendWindow, done);
    this.#nextStreamId += 2;
    this.#exchanges.set(exchange.streamId, exchange);
    this.#out.push(frame(frameType.headers, flag.endHeaders, exchange.streamId, call.headers));
    this.#sending.push(exchange);
  }

  /** Writes what the windows allow. */
  flush(): void {
    this.#sendData();
    if (this.#out.length === 0) return;
    const out = this.#out;
    this.#out = [];
    if (out.every(({ byteLength }) => byteLength <= copiedBytesMax)) {
      this.#socket.write(Buffer.concat(out));
      return;
    }
    this.#socket.cork();
    for (const piece of out) this.#socket.write(piece);
    this.#socket.uncork();
  }

  close(): void {
    this.#failed = () => undefined;
    this.#socket.destroy();
  }

  async #begin(failed: (error: Error) => void): Promise<void> {
    const { promise: settled, resolve, reject } = Promise.withResolvers<void>();
    this.#failed = reject;
    this.#settingsSeen = resolve;
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on('error', (error) => this.#failed(error));
    this.#socket.on('close', () => this.#failed(new Error('the server closed the connection')));
    this.#out.push(clientPreface, settingsFrame(this.#windowBytes));
    // An update by nothing would be an error (RFC 9113 §6.9).
    if (this.#windowBytes > windowBytesDefault) this.#out.push(windowUpdate(0, this.#windowBytes - windowBytesDefault));
    this.flush();
    await settled;
    this.#failed = failed;
  }

  #onData(chunk: Buffer): void {
    try {
      this.#readFrames(this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]));
      this.flush();
    } catch (thrown) {
      this.#failed(thrown instanceof Error ? thrown : new Error(String(thrown)));
      this.close();
    }
  }

  #readFrames(bytes: Buffer): void {
    let at = 0;
    while (bytes.length - at >= frameHeaderBytes) {
      const end = at + frameHeaderBytes + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const [type = 0, flags = 0] = [bytes[at + 3], bytes[at + 4]];
      this.#onFrame({ type, flags, streamId: bytes.readUInt32BE(at + 5) & 0x7fff_ffff }, bytes.subarray(at + frameHeaderBytes, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #onFrame({ type, flags, streamId }: { type: number; flags: number; streamId: number }, payload: Buffer): void {
    const ends = (flags & flag.endStream) !== 0;
    switch (type) {
      case frameType.data:
        return this.#onAnswerData(streamId, payload, ends);
      case frameType.headers:
        if ((flags & (flag.padded | flag.priority)) !== 0 || (flags & flag.endHeaders) === 0) throw new Error('headers of a shape that this generator does not know');
        this.#headers.check(payload, ends);
        if (ends) this.#end(streamId);
        return;
      case frameType.settings:
        if ((flags & flag.ack) === 0) this.#onSettings(payload);
        return;
      case frameType.ping:
        if ((flags & flag.ack) === 0) this.#out.push(frame(frameType.ping, flag.ack, 0, payload));
        return;
      case frameType.windowUpdate:
        return this.#onWindow(streamId, payload.readUInt32BE(0));
      case frameType.rstStream:
        if (this.#exchanges.has(streamId)) throw new Error(`the server reset a stream with error ${payload.readUInt32BE(0)}`);
        return;
      case frameType.goaway:
        throw new Error(`the server said GOAWAY with error ${payload.readUInt32BE(4)}: ${payload.subarray(8).toString()}`);
      default:
        if (type === frameType.continuation || type === frameType.pushPromise) throw new Error(`frame type ${type} is not known to this generator`);
    }
  }

  #onAnswerData(streamId: number, payload: Buffer, ends: boolean): void {
    if (ends) throw new Error('the answer ended without a grpc-status');
    this.#unreportedBytes += payload.length;
    if (this.#unreportedBytes > this.#windowBytes / 2) {
      this.#out.push(windowUpdate(0, this.#unreportedBytes));
      this.#unreportedBytes = 0;
    }
    const exchange = this.#exchange(streamId);
    const credit = exchange.receive(payload, this.#windowBytes / 2);
    if (credit > 0) this.#out.push(windowUpdate(streamId, credit));
  }

  #end(streamId: number): void {
    const exchange = this.#exchange(streamId);
    this.#exchanges.delete(streamId);
    exchange.finish();
  }

  #exchange(streamId: number): Exchange {
    const exchange = this.#exchanges.get(streamId);
    if (exchange === undefined) throw new Error(`the server sent on stream ${streamId}, which is not open`);
    return exchange;
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const [id, value] = [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
      if (id === settingId.maxConcurrentStreams) this.#streamsMax = value;
      if (id === settingId.initialWindowSize) {
        for (const exchange of this.#exchanges.values()) exchange.window += value - this.#streamSendWindow;
        this.#streamSendWindow = value;
      }
    }
    this.#out.push(frame(frameType.settings, flag.ack, 0, new Uint8Array(0)));
    this.#settingsSeen();
  }

  #onWindow(streamId: number, increment: number): void {
    if (streamId === 0) this.#sendWindow += increment;
    else {
      const exchange = this.#exchanges.get(streamId);
      if (exchange !== undefined) exchange.window += increment;
    }
  }

  /** A frame of each stream in turn, until there is nothing left or no window. */
  #sendData(): void {
    let progress = true;
    while (progress && this.#sending.length > 0 && this.#sendWindow > 0) {
      progress = false;
      for (const exchange of this.#sending) {
        const payload = exchange.take(Math.min(frameBytesDefault, this.#sendWindow));
        if (payload === undefined) continue;
        progress = true;
        let length = 0;
        for (const piece of payload) length += piece.byteLength;
        this.#sendWindow -= length;
        this.#out.push(frameHeader(length, frameType.data, exchange.sent ? flag.endStream : 0, exchange.streamId), ...payload);
      }
      this.#sending = this.#sending.filter(({ sent }) => !sent);
    }
  }
}

/** Pieces up to here are joined into one write; larger ones are worth a vector of their own. */
const copiedBytesMax = 4_096;

function frameHeader(length: number, type: number, flags: number, streamId: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return header;
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(payload.byteLength, type, flags, streamId), payload]);
}

function windowUpdate(streamId: number, increment: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(increment);
  return frame(frameType.windowUpdate, 0, streamId, payload);
}

/** No table for the answers' headers, so that equal headers come as equal bytes, and no push. */
function settingsFrame(windowBytes: number): Buffer {
  const values = [
    [settingId.headerTableSize, 0],
    [settingId.enablePush, 0],
    [settingId.initialWindowSize, windowBytes],
  ] as const;
  const payload = Buffer.alloc(values.length * 6);
  for (const [index, [id, value]] of values.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(frameType.settings, 0, 0, payload);
}
