// Reference: the HTTP build cache in memory on node:http, PUT and GET of /cas/HASH.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { announce, referenceArguments } from './announce.ts';
import { CallFailure, MemoryCache } from './memory-cache.ts';

const { readyFile } = referenceArguments();
const cache = new MemoryCache(0);

const server = createServer((request, response) => {
  const hash = (request.url ?? '').replace('/cas/', '');
  if (request.method === 'PUT') {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      try {
        cache.put(hash, Buffer.concat(chunks));
        response.writeHead(200).end();
      } catch (thrown) {
        response.writeHead(thrown instanceof CallFailure ? 400 : 500).end(String(thrown));
      }
    });
    return;
  }
  const bytes = cache.blob(hash);
  if (bytes === undefined) response.writeHead(404).end();
  else response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.byteLength }).end(bytes);
});
server.listen(0, '127.0.0.1', () => announce(readyFile, (server.address() as AddressInfo).port));
