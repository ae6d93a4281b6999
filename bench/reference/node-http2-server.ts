// Reference: FindMissingBlobs on node:http2 with nothing around it.
import { createServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { announce } from './announce.ts';
import { findMissing, findMissingPath } from './find-missing.ts';

/** Unless told otherwise node:http2 adds a date to every answer, which no gRPC server sends. */
const withoutDate = { waitForTrailers: true, sendDate: false };

const server = createServer();
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    if (headers[':path'] !== findMissingPath) {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
      return;
    }
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    const message = findMissing((body ?? Buffer.alloc(5)).subarray(5));
    const answer = Buffer.allocUnsafe(5 + message.byteLength);
    answer[0] = 0;
    answer.writeUInt32BE(message.byteLength, 1);
    answer.set(message, 5);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, withoutDate);
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => announce((server.address() as AddressInfo).port));
