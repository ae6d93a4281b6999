// Spans of HTTP exchanges, over real sockets.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import { TracedBlobStore } from '../blob/traced-blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { RecordedTracer } from '../testing/recorded-tracer.ts';
import { createTestHandler, serveHandler } from '../testing/serve-http.ts';
import { tracedHttp } from './http-traces.ts';

const content = Buffer.from('content of a blob');
const { hash } = Digest.of(content);

async function served(inner: HttpHandler) {
  const tracer = new RecordedTracer();
  return { tracer, server: await serveHandler(tracedHttp(inner, tracer)) };
}

function cache(): HttpHandler {
  return createTestHandler({ blobs: new TracedBlobStore(new MemoryBlobStore()) }, new RecordedLog()).handler;
}

describe('tracedHttp', () => {
  it('describes an exchange as OpenTelemetry does, without its query, with what the store did', async () => {
    const { tracer, server } = await served(cache());
    await using _server = server;
    const path = `/some/instance/cas/${hash}`;
    await fetchHttp(server.port, path, { method: 'PUT', body: content, headers: { traceparent: 'p', tracestate: 's' } });
    await fetchHttp(server.port, `${path}?token=secret`, { headers: { 'user-agent': 'curl/8' } });
    await fetchHttp(server.port, `/cas/${'0'.repeat(64)}`);
    const [put, get, miss] = tracer.spans;
    assert.deepEqual(put?.incoming, { traceparent: 'p', tracestate: 's' });
    const { 'http.response.body.size': _answer, ...attributes } = put.attributes;
    assert.deepEqual(attributes, {
      'http.request.method': 'PUT',
      'http.route': '/{instance}/cas/{hash}',
      'url.path': path,
      'reapi.instance': 'some/instance',
      'http.request.body.size': content.byteLength,
      'http.response.status_code': 200,
    });
    assert.deepEqual(put.children.map(({ name, ends }) => [name, ends]), [['blob.put', 1]]);
    assert.equal(get?.name, 'GET /{instance}/cas/{hash}');
    assert.deepEqual([get.attributes['url.path'], get.attributes['http.response.body.size'], get.attributes['user_agent.original']], [path, content.byteLength, 'curl/8']);
    assert.deepEqual(get.events.map(({ name }) => name), ['blob.resolve', 'blob.get']);
    assert.deepEqual([miss?.attributes['http.response.status_code'], miss?.failure, miss?.ends], [404, undefined, 1]);
  });

  it('leaves out the host of a whole URL, and the password before it', async () => {
    const { tracer, server } = await served(cache());
    await using _server = server;
    await fetchHttp(server.port, `http://somebody:secret@127.0.0.1/cas/${hash}?token=secret`);
    assert.deepEqual([tracer.spans[0]?.attributes['url.path'], tracer.spans[0]?.attributes['http.route']], [`/cas/${hash}`, '/{instance}/cas/{hash}']);
  });

  it('hands an exchange that is not traced to the handler as it is', async () => {
    const seen: HttpExchange[] = [];
    const { tracer, server } = await served(async (exchange) => {
      seen.push(exchange);
      await exchange.respond(204);
    });
    await using _server = server;
    tracer.sampling = false;
    await fetchHttp(server.port, '/');
    tracer.sampling = true;
    await fetchHttp(server.port, '/');
    assert.deepEqual(seen.map(({ trace }) => trace), [undefined, tracer.spans[0]]);
  });

  it('calls 5xx and a handler that throws failures', async () => {
    const { tracer, server } = await served(async (exchange) => {
      if (exchange.target === '/throws') throw new Error('a bug');
      await exchange.respond(503);
    });
    await using _server = server;
    await fetchHttp(server.port, '/busy', { method: 'POST' });
    await fetchHttp(server.port, '/throws').catch(() => undefined);
    assert.deepEqual(tracer.spans.map(({ name, failure, ends }) => [name, failure, ends]), [['POST', 'HTTP 503', 1], ['GET', 'Error: a bug', 1]]);
  });
});
