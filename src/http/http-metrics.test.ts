// What is counted of HTTP requests, over real sockets of both versions.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import type { ByteSource } from '../base/byte-source.ts';
import { noCacheUsage } from '../base/cache-usage.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import { monotonicClock } from '../platform/clocks.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { createTestHandler, serveHandler } from '../testing/serve-http.ts';
import { HttpMetrics } from './http-metrics.ts';

async function served(handler: HttpHandler) {
  const meter = new RecordedMeter();
  const metrics = new HttpMetrics({ meter, usage: noCacheUsage, clock: monotonicClock });
  return { meter, server: await serveHandler(metrics.counted(handler)) };
}

const requests = (meter: RecordedMeter, labels: string) => meter.value(`kiln_http_requests_total{${labels}}`);

/** A source that is not in memory. */
function streamed(sizeBytes: number, chunks: () => AsyncGenerator<Uint8Array, void, undefined>): ByteSource {
  return { sizeBytes, [Symbol.asyncIterator]: chunks, async [Symbol.asyncDispose]() {} };
}

describe('HTTP metrics', () => {
  it('counts requests by route, method and status, and the bytes of their bodies', async () => {
    const { handler } = createTestHandler({}, new RecordedLog());
    const { meter, server } = await served(handler);
    await using _server = server;
    const body = Buffer.alloc(100_000, 'x');
    const path = `/cas/${createHash('sha256').update(body).digest('hex')}`;
    assert.equal((await fetchHttp(server.port, path)).status, 404);
    assert.equal((await fetchHttp(server.port, path, { method: 'PUT', body })).status, 200);
    assert.equal((await fetchHttp(server.port, path)).status, 200);
    assert.equal((await fetchHttp(server.port, path, { method: 'HEAD' })).status, 200);
    assert.equal((await fetchHttp(server.port, '/status', { method: 'PURGE' })).status, 405);
    assert.equal(requests(meter, 'route="cas",method="GET",code="404"'), 1);
    assert.equal(requests(meter, 'route="cas",method="GET",code="200"'), 1);
    assert.equal(requests(meter, 'route="cas",method="PUT",code="200"'), 1);
    assert.equal(requests(meter, 'route="status",method="other",code="405"'), 1, 'methods that clients make up are one');
    assert.equal(meter.value('kiln_http_received_bytes_total{route="cas",method="PUT"}'), body.byteLength);
    const notFound = (meter.value('kiln_http_sent_bytes_total{route="cas",method="GET"}') ?? 0) - body.byteLength;
    assert.ok(notFound > 0 && notFound < 200, 'the text of the 404');
    assert.equal(meter.value('kiln_http_sent_bytes_total{route="cas",method="HEAD"}'), 0);
    assert.equal(meter.records('kiln_http_request_duration_seconds{route="cas",method="GET"}').length, 2);
  });

  it('counts parts of a blob as hits, as the whole of it', async () => {
    const seen: string[] = [];
    const counted = (kind: string) => ({ add: (hits: number, misses: number) => seen.push(`${kind} ${hits} ${misses}`) });
    const usage = { of: () => ({ actions: counted('actions'), finds: counted('finds'), reads: counted('reads') }) };
    const { handler } = createTestHandler({}, new RecordedLog());
    await using server = await serveHandler(new HttpMetrics({ meter: new RecordedMeter(), usage, clock: monotonicClock }).counted(handler));
    const body = Buffer.from('in parts');
    const path = `/cas/${createHash('sha256').update(body).digest('hex')}`;
    await fetchHttp(server.port, path);
    await fetchHttp(server.port, path, { method: 'PUT', body });
    assert.equal((await fetchHttp(server.port, path, { headers: { range: 'bytes=3-' } })).status, 206);
    await fetchHttp(server.port, path, { method: 'HEAD' });
    assert.deepEqual(seen, ['reads 0 1', 'reads 1 0', 'finds 1 0']);
  });

  it('counts the bytes that were sent of an answer that breaks off, and calls it 500', async () => {
    const { meter, server } = await served((exchange) =>
      exchange.respond(200, {}, streamed(1_000, async function* chunks() {
        yield new Uint8Array(400);
        throw new Error('the disk is gone');
      })),
    );
    await using _server = server;
    await assert.rejects(fetchHttp(server.port, '/status'));
    assert.equal(requests(meter, 'route="status",method="GET",code="500"'), 1);
    assert.equal(meter.value('kiln_http_sent_bytes_total{route="status",method="GET"}'), 400);
    assert.equal(meter.value('kiln_http_requests_in_flight{route="status",method="GET"}'), 0);
  });

  it('calls it 499 when the client leaves before its answer', async () => {
    const [begun, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { meter, server } = await served(async (exchange) => {
      exchange.signal.addEventListener('abort', () => left.resolve());
      begun.resolve();
      await left.promise;
      await exchange.respond(200);
    });
    await using _server = server;
    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET /status HTTP/1.1\r\nHost: x\r\n\r\n');
    await begun.promise;
    assert.equal(meter.value('kiln_http_requests_in_flight{route="status",method="GET"}'), 1);
    socket.resetAndDestroy(); // a mere end would mean that it still waits for the answer
    await once(socket, 'close');
    await left.promise;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(requests(meter, 'route="status",method="GET",code="499"'), 1);
  });

  it('calls it 500 when the handler has a bug', async () => {
    const { meter, server } = await served(() => Promise.reject(new Error('a bug')));
    await using _server = server;
    assert.equal((await fetchHttp(server.port, '/')).status, 500);
    assert.equal(requests(meter, 'route="index",method="GET",code="500"'), 1);
  });

  it('gives the metrics of several handlers together', async () => {
    const meter = new RecordedMeter();
    const metrics = new HttpMetrics({ meter, usage: noCacheUsage, clock: monotonicClock });
    for (let round = 0; round < 2; round += 1) {
      await using server = await serveHandler(metrics.counted((exchange) => exchange.respond(204)));
      await fetchHttp(server.port, '/healthz');
    }
    assert.equal(requests(meter, 'route="healthz",method="GET",code="204"'), 2);
  });
});
