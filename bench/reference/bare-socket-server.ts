// Reference: a node:net or node:tls socket that sends prepared bytes back for whatever comes in, the ceiling of any server
// on this platform. It looks for the end of each request and for nothing else: no HPACK, no limits, no flow control towards
// a client, so it serves clients only whose windows take an answer whole. Large answers are sent as slices of one buffer.
// Usage: READY_FILE PROTOCOL:FILE [CERTIFICATE KEY], where PROTOCOL is "grpc" (FILE holds the DATA of every answer) or
// "http1" (its body).
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { clientPreface, flag, frameBytesDefault, frameHeaderBytes, frameType, settingId, windowBytesDefault, windowBytesLimit } from '../../src/h2/frames.ts';
import { encodeHeaders } from '../../src/h2/header-encoder.ts';
import { announce, referenceArguments } from './announce.ts';

const { readyFile, detail, tls } = referenceArguments();
const [protocol, ...file] = detail.split(':');
const prepared = readFileSync(file.join(':'));

function frame(type: number, flags: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUIntBE(payload.byteLength, 0, 3);
  header[3] = type;
  header[4] = flags;
  return Buffer.concat([header, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** In the header of a frame. */
const streamIdOffset = 5;

/** An answer as pieces to be written one after the other; where a stream id is to go they are copied for each stream. */
interface Piece {
  readonly bytes: Buffer;
  readonly idOffsets: readonly number[];
}

/** Above this a slice of its own is cheaper than a copy. */
const copiedBytesMax = 4_096;

function answerPieces(): readonly Piece[] {
  const head = frame(frameType.headers, flag.endHeaders, encodeHeaders([[':status', '200'], ['content-type', 'application/grpc']]));
  const trailers = frame(frameType.headers, flag.endHeaders | flag.endStream, encodeHeaders([['grpc-status', '0']]));
  if (prepared.length <= copiedBytesMax) {
    const frames = [head, frame(frameType.data, 0, prepared), trailers];
    let length = 0;
    return [{ bytes: Buffer.concat(frames), idOffsets: frames.map((one) => (length += one.length) - one.length + streamIdOffset) }];
  }
  const pieces: Piece[] = [{ bytes: head, idOffsets: [streamIdOffset] }];
  for (let at = 0; at < prepared.length; at += frameBytesDefault) {
    const payload = prepared.subarray(at, at + frameBytesDefault);
    pieces.push({ bytes: frame(frameType.data, 0, payload).subarray(0, frameHeaderBytes), idOffsets: [streamIdOffset] }, { bytes: payload, idOffsets: [] });
  }
  return [...pieces, { bytes: trailers, idOffsets: [streamIdOffset] }];
}

/** The same for the stream whose id is the four bytes at `at`. */
function forStream({ bytes, idOffsets }: Piece, id: Buffer, at: number): Buffer {
  if (idOffsets.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  for (const offset of idOffsets) id.copy(copy, offset, at, at + 4);
  return copy;
}

/** Largest windows at once, so that uploads never wait. */
const serverPreface = Buffer.concat([
  frame(frameType.settings, 0, Buffer.concat([Buffer.from([0, settingId.initialWindowSize]), uint32(windowBytesLimit)])),
  frame(frameType.windowUpdate, 0, uint32(windowBytesLimit - windowBytesDefault)),
]);
const settingsAck = frame(frameType.settings, flag.ack, Buffer.alloc(0));
/** Uploaded bytes after which the connection's window is filled up again. */
const creditBytes = 16 * 1024 * 1024;

const pieces = protocol === 'http1' ? [] : answerPieces();

/** Goes from frame to frame and joins nothing but headers of frames that were cut in two. */
function serveHttp2(socket: Socket): void {
  let head: Buffer = Buffer.alloc(0);
  let skipBytes: number = clientPreface.byteLength;
  /** Header of the frame that is being skipped, if its end is that of a request. */
  let last: Buffer | undefined;
  let uploadedBytes = 0;
  socket.write(serverPreface);
  socket.on('data', (chunk: Buffer) => {
    const out: Buffer[] = [];
    for (let at = 0; ; ) {
      const skipped = Math.min(skipBytes, chunk.length - at);
      skipBytes -= skipped;
      at += skipped;
      if (skipBytes > 0) break;
      if (last !== undefined) for (const piece of pieces) out.push(forStream(piece, last, streamIdOffset));
      last = undefined;
      const lacking = frameHeaderBytes - head.length;
      head = head.length === 0 ? chunk.subarray(at, at + lacking) : Buffer.concat([head, chunk.subarray(at, at + lacking)]);
      at = Math.min(at + lacking, chunk.length);
      if (head.length < frameHeaderBytes) break;
      const [length, type, flags] = [head.readUIntBE(0, 3), head[3], head[4] ?? 0];
      if (type === frameType.settings && (flags & flag.ack) === 0) out.push(settingsAck);
      if (type === frameType.data) uploadedBytes += length;
      if ((type === frameType.data || type === frameType.headers) && (flags & flag.endStream) !== 0) last = head;
      skipBytes = length;
      head = head.subarray(frameHeaderBytes);
    }
    if (uploadedBytes > creditBytes) {
      out.push(frame(frameType.windowUpdate, 0, uint32(uploadedBytes)));
      uploadedBytes = 0;
    }
    writeAll(socket, out);
  });
}

/** Small pieces joined, large ones in one gathered write. */
function writeAll(socket: Socket, out: readonly Buffer[]): void {
  if (out.every(({ length }) => length <= copiedBytesMax)) {
    if (out.length > 0) socket.write(Buffer.concat(out));
    return;
  }
  socket.cork();
  for (const piece of out) socket.write(piece);
  socket.uncork();
}

function serveHttp1(socket: Socket): void {
  const answer = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${prepared.length}\r\n\r\n`), prepared]);
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    const requests = (rest + chunk.toString('latin1')).split('\r\n\r\n');
    rest = requests.pop() ?? '';
    for (const _ of requests) socket.write(answer);
  });
}

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  if (protocol === 'http1') serveHttp1(socket);
  else serveHttp2(socket);
}

const server = tls === undefined ? createServer(serve) : createTlsServer({ ...tls, ALPNProtocols: ['h2'] }, serve);
server.listen(0, '127.0.0.1', () => announce(readyFile, (server.address() as AddressInfo).port));
