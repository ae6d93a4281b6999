// Reference: the cache in memory on node:http2 with nothing around it.
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { paths } from '../traffic/calls.ts';
import { framed, messagesIn } from '../traffic/grpc-frame.ts';
import { announce, referenceArguments } from './announce.ts';
import { CallFailure, MemoryCache } from './memory-cache.ts';
import { answerWith, http2Server, refuseWith } from './node-http2.ts';

const { readyFile, detail, tls } = referenceArguments();
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

const server = http2Server(tls);
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const [only] = chunks;
    const body = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
    try {
      answerWith(stream, answerTo(headers[':path'] ?? '', body));
    } catch (thrown) {
      refuseWith(stream, thrown instanceof CallFailure ? thrown.status : 13, String(thrown));
    }
  });
});
server.listen(0, '127.0.0.1', () => announce(readyFile, (server.address() as AddressInfo).port));
