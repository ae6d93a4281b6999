// An HTTP/2 client that does no more than it is told: it sends frames, and reads or does not read, as no library would.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { prepareHeaders } from '../../src/h2/header-encoder.ts';
import type { OutgoingHeaders } from '../../src/h2/stream.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const frameTypes = { data: 0, headers: 1, settings: 4, windowUpdate: 8 } as const;
const endStream = 1;
const endHeaders = 4;
const initialWindowSize = 4;
const frameBytesMax = 16_384;

/** Content of all DATA; one buffer, so that what waits in sockets costs the test nothing. */
const filler = Buffer.alloc(frameBytesMax, 7);

export class RawHttp2 {
  readonly socket: Socket;
  #nextStreamId = 1;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** @param windowBytes of each stream, for answers; that of the connection is as large as it may be. */
  static async connect(port: number, windowBytes: number): Promise<RawHttp2> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {}); // being cut off is what it is made for
    await once(socket, 'connect');
    socket.resume();
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(initialWindowSize, 0);
    settings.writeUInt32BE(windowBytes, 2);
    const window = Buffer.alloc(4);
    window.writeUInt32BE(2 ** 31 - 1 - 65_535);
    socket.write(Buffer.concat([preface, frame(frameTypes.settings, 0, 0, settings), frame(frameTypes.windowUpdate, 0, 0, window)]));
    return new RawHttp2(socket);
  }

  /** Begins a request; returns its stream. */
  open(headers: OutgoingHeaders, ends: boolean): number {
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    const block = Buffer.from(prepareHeaders(headers).block);
    this.socket.write(frame(frameTypes.headers, endHeaders | (ends ? endStream : 0), streamId, block));
    return streamId;
  }

  /** A frame of DATA. */
  send(streamId: number, bytes: Uint8Array, ends = false): void {
    this.socket.write(frame(frameTypes.data, ends ? endStream : 0, streamId, bytes));
  }

  /** So many bytes of anything, in frames. */
  fill(streamId: number, byteCount: number): void {
    for (let left = byteCount; left > 0; left -= frameBytesMax) {
      const bytes = Math.min(left, frameBytesMax);
      this.socket.write(frameHeader(frameTypes.data, 0, streamId, bytes));
      this.socket.write(bytes === filler.byteLength ? filler : filler.subarray(0, bytes));
    }
  }
}

/** Headers of a gRPC call. */
export function grpcCall(port: number, path: string): OutgoingHeaders {
  return [[':method', 'POST'], [':scheme', 'http'], [':path', path], [':authority', `127.0.0.1:${port}`], ['content-type', 'application/grpc'], ['te', 'trailers']];
}

/** The prefix of a gRPC message of that length. */
export function messagePrefix(length: number): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(type, flags, streamId, payload.byteLength), payload]);
}

function frameHeader(type: number, flags: number, streamId: number, length: number): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return header;
}
