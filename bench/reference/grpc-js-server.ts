// Reference: FindMissingBlobs on @grpc/grpc-js, the usual gRPC server of this platform.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { announce } from './announce.ts';
import { findMissing, findMissingPath } from './find-missing.ts';

const identity = (bytes: Buffer): Buffer => bytes;
const server = new Server();
server.addService(
  {
    findMissingBlobs: {
      path: findMissingPath,
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  {
    findMissingBlobs: (call: { request: Buffer }, answer: (error: null, message: Buffer) => void) => {
      const message = findMissing(call.request);
      answer(null, Buffer.from(message.buffer, message.byteOffset, message.byteLength));
    },
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  announce(port);
});
