// Reference: FindMissingBlobs on node:http2 with nothing around it.
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { announce } from './announce.ts';
import { findMissing, findMissingPath } from './find-missing.ts';

const server = createServer();
server.on('stream', (stream, headers) => {
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
    // Without sendDate: false node:http2 formats a date for every answer, which no gRPC server sends.
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true, sendDate: false } as object);
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => announce((server.address() as AddressInfo).port));
