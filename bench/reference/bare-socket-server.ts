// Reference: a node:net socket that sends prepared bytes back for whatever comes in, the ceiling of any server on this
// platform. It looks for the end of each request and for nothing else: no HPACK, no limits, no flow control towards a
// client, so it serves small answers and clients with large windows only.
// Usage: READY_FILE PROTOCOL:FILE, where PROTOCOL is "grpc" (FILE holds the DATA of every answer) or "http1" (its body).
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { clientPreface, flag, frameBytesDefault, frameHeaderBytes, frameType, settingId, windowBytesDefault, windowBytesLimit } from '../../src/h2/frames.ts';
import { encodeHeaders } from '../../src/h2/header-encoder.ts';
import { announce, referenceArguments } from './announce.ts';

const { readyFile, detail } = referenceArguments();
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

/** All frames of an answer, and where in them the stream id goes. */
function answerFrames(): { bytes: Buffer; idOffsets: number[] } {
  const frames = [frame(frameType.headers, flag.endHeaders, encodeHeaders([[':status', '200'], ['content-type', 'application/grpc']]))];
  for (let at = 0; at < prepared.length; at += frameBytesDefault) frames.push(frame(frameType.data, 0, prepared.subarray(at, at + frameBytesDefault)));
  frames.push(frame(frameType.headers, flag.endHeaders | flag.endStream, encodeHeaders([['grpc-status', '0']])));
  let length = 0;
  const idOffsets = frames.map((one) => (length += one.length) - one.length + 5);
  return { bytes: Buffer.concat(frames), idOffsets };
}

/** Largest windows at once, so that uploads never wait. */
const serverPreface = Buffer.concat([
  frame(frameType.settings, 0, Buffer.concat([Buffer.from([0, settingId.initialWindowSize]), uint32(windowBytesLimit)])),
  frame(frameType.windowUpdate, 0, uint32(windowBytesLimit - windowBytesDefault)),
]);
const settingsAck = frame(frameType.settings, flag.ack, Buffer.alloc(0));
/** Uploaded bytes after which the connection's window is filled up again. */
const creditBytes = 16 * 1024 * 1024;

function serveHttp2(socket: Socket): void {
  const answer = answerFrames();
  let rest: Buffer = Buffer.alloc(0);
  let prefaceLeft = clientPreface.byteLength;
  let uploadedBytes = 0;
  socket.write(serverPreface);
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = Math.min(prefaceLeft, bytes.length);
    prefaceLeft -= at;
    const out: Buffer[] = [];
    while (bytes.length - at >= frameHeaderBytes) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < frameHeaderBytes + length) break;
      const [type, flags] = [bytes[at + 3], bytes[at + 4] ?? 0];
      if (type === frameType.settings && (flags & flag.ack) === 0) out.push(settingsAck);
      if (type === frameType.data) uploadedBytes += length;
      if ((type === frameType.data || type === frameType.headers) && (flags & flag.endStream) !== 0) {
        const copy = Buffer.from(answer.bytes);
        for (const offset of answer.idOffsets) bytes.copy(copy, offset, at + 5, at + frameHeaderBytes);
        out.push(copy);
      }
      at += frameHeaderBytes + length;
    }
    rest = bytes.subarray(at);
    if (uploadedBytes > creditBytes) {
      out.push(frame(frameType.windowUpdate, 0, uint32(uploadedBytes)));
      uploadedBytes = 0;
    }
    if (out.length > 0) socket.write(out.length === 1 ? (out[0] ?? settingsAck) : Buffer.concat(out));
  });
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

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  if (protocol === 'http1') serveHttp1(socket);
  else serveHttp2(socket);
});
server.listen(0, '127.0.0.1', () => announce(readyFile, (server.address() as AddressInfo).port));
