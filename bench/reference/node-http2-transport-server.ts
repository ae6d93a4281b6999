// Reference: node:http2 with nothing behind it. Whatever comes is thrown away chunk by chunk, which is the least that a
// server can do with it, and answered from memory with prepared messages once it is complete.
// Usage: READY_FILE ANSWER_FILE (the DATA of every answer) [CERTIFICATE KEY].
import { readFileSync } from 'node:fs';
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { framed, messagesIn } from '../traffic/grpc-frame.ts';
import { announce, referenceArguments } from './announce.ts';
import { answerWith, http2Server } from './node-http2.ts';

const { readyFile, detail, tls } = referenceArguments();
const prepared = messagesIn(readFileSync(detail)).map(framed);

const server = http2Server(tls);
server.on('stream', (stream: ServerHttp2Stream) => {
  stream.resume();
  stream.on('end', () => answerWith(stream, prepared));
});
server.listen(0, '127.0.0.1', () => announce(readyFile, (server.address() as AddressInfo).port));
