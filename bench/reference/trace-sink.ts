// A collector of traces that throws them away and counts what came: GET /received answers with the numbers. It takes
// what a real collector would take off the network, and runs on the generator's core.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { announce, referenceArguments } from './announce.ts';

const { readyFile } = referenceArguments();
const received = { requests: 0, bytes: 0 };

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify(received));
    return;
  }
  received.requests += 1;
  request.on('data', (chunk: Buffer) => (received.bytes += chunk.length));
  // An empty ExportTraceServiceResponse: everything was taken.
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
});
server.listen(0, '127.0.0.1', () => announce(readyFile, (server.address() as AddressInfo).port));
