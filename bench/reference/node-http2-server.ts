// Reference: the cache in memory on node:http2 with nothing around it.
import { createServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { paths } from '../traffic/calls.ts';
import { framed, messagesIn } from '../traffic/grpc-frame.ts';
import { announce, referenceArguments } from './announce.ts';
import { CallFailure, MemoryCache } from './memory-cache.ts';

/** Unless told otherwise node:http2 adds a date to every answer, which no gRPC server sends. */
const withTrailers = { waitForTrailers: true, sendDate: false };
const grpcAnswer = { ':status': 200, 'content-type': 'application/grpc' } as const;

const { readyFile, detail } = referenceArguments();
const cache = new MemoryCache(Number(detail));

/** The DATA of the answer to a whole request. @throws CallFailure */
function answerTo(path: string, body: Buffer): Buffer[] {
  const messages = messagesIn(body);
  const [first = Buffer.alloc(0)] = messages;
  if (path === paths.read) return Array.from(cache.read(first), framed);
  if (path === paths.write) {
    const push = cache.write();
    return messages.flatMap((message) => push(message) ?? []).map(framed);
  }
  const handle = cache.unary[path];
  if (handle === undefined) throw new CallFailure(12, `there is no ${path}`);
  return [framed(handle(first))];
}

const server = createServer();
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const [only] = chunks;
    const body = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
    try {
      const answer = answerTo(headers[':path'] ?? '', body);
      stream.respond(grpcAnswer, withTrailers);
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      for (const message of answer.slice(0, -1)) stream.write(message);
      stream.end(answer.at(-1));
    } catch (thrown) {
      const status = thrown instanceof CallFailure ? thrown.status : 13;
      stream.respond({ ...grpcAnswer, 'grpc-status': String(status), 'grpc-message': encodeURI(String(thrown)) }, { endStream: true });
    }
  });
});
server.listen(0, '127.0.0.1', () => announce(readyFile, (server.address() as AddressInfo).port));
