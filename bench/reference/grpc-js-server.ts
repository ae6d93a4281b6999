// Reference: the cache in memory on @grpc/grpc-js, the usual gRPC server of this platform.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerReadableStream, ServerWritableStream } from '@grpc/grpc-js';
import { paths } from '../traffic/calls.ts';
import { announce, referenceArguments } from './announce.ts';
import { CallFailure, MemoryCache } from './memory-cache.ts';

type Answer = (error: { code: number; details: string } | null, message?: Buffer) => void;

const identity = (bytes: Buffer): Buffer => bytes;
const serialization = { requestSerialize: identity, requestDeserialize: identity, responseSerialize: identity, responseDeserialize: identity };
/** No limits, and windows at least as large as Kiln's. */
const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1, 'grpc-node.flow_control_window': 16 * 1024 * 1024 };

function buffer(message: Uint8Array): Buffer {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

function failed(thrown: unknown): { code: number; details: string } {
  return { code: thrown instanceof CallFailure ? thrown.status : 13, details: String(thrown) };
}

const { readyFile, detail, tls } = referenceArguments();
const cache = new MemoryCache(Number(detail));
const server = new Server(options);
for (const [index, [path, handle]] of Object.entries(cache.unary).entries()) {
  const method = { path, requestStream: false, responseStream: false, ...serialization };
  server.addService(
    { [`unary${index}`]: method },
    {
      [`unary${index}`]: (call: { request: Buffer }, answer: Answer) => {
        try {
          answer(null, buffer(handle(call.request)));
        } catch (thrown) {
          answer(failed(thrown));
        }
      },
    },
  );
}
server.addService(
  {
    read: { path: paths.read, requestStream: false, responseStream: true, ...serialization },
    write: { path: paths.write, requestStream: true, responseStream: false, ...serialization },
  },
  {
    read: (call: ServerWritableStream<Buffer, Buffer>) => {
      try {
        for (const message of cache.read(call.request)) call.write(buffer(message));
        call.end();
      } catch (thrown) {
        call.emit('error', failed(thrown));
      }
    },
    write: (call: ServerReadableStream<Buffer, Buffer>, answer: Answer) => {
      const push = cache.write();
      call.on('data', (message: Buffer) => {
        try {
          const done = push(message);
          if (done !== undefined) answer(null, buffer(done));
        } catch (thrown) {
          answer(failed(thrown));
        }
      });
    },
  },
);
const credentials = tls === undefined ? ServerCredentials.createInsecure() : ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }]);
server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error !== null) throw error;
  announce(readyFile, port);
});
