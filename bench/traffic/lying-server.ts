// A gRPC server on node:http2 that answers whatever it was told, for tests of what checks answers.
import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { ServerProcess } from '../harness/processes.ts';

/** Answers every call with `data` as DATA and `status` as grpc-status. Lives in this process. */
export async function lyingServer(data: Buffer, status: string): Promise<ServerProcess> {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
    stream.end(data);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { name: 'a liar', pid: process.pid, host: '127.0.0.1', port, readyMs: 0, [Symbol.asyncDispose]: async () => void server.close() };
}
