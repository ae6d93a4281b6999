// What calls add to requests: credentials, a bound, and the meaning of statuses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { Code } from '../base/failures.ts';
import type { HttpHeaders } from '../base/http-exchange.ts';
import { Semaphore } from '../base/semaphore.ts';
import { NodeHttpClient } from '../platform/node-http-client.ts';
import { callsTo, clientLimits } from '../testing/remote-blobs.ts';
import { serveHandler } from '../testing/serve-http.ts';
import { HttpCalls } from './http-calls.ts';

const get = { method: 'GET', target: '/x', headers: {} } as const;

describe('HttpCalls', () => {
  const statuses: readonly (readonly [status: number, headers: HttpHeaders, code: Code])[] = [
    [400, {}, 'invalid_argument'],
    [400, { 'kiln-code': 'failed_precondition' }, 'failed_precondition'],
    [400, { 'kiln-code': 'nonsense' }, 'invalid_argument'],
    [401, {}, 'unauthenticated'],
    [403, {}, 'permission_denied'],
    [413, {}, 'invalid_argument'],
    [416, {}, 'out_of_range'],
    [429, {}, 'unavailable'],
    [500, {}, 'internal'],
    [500, { 'kiln-code': 'data_loss' }, 'data_loss'],
    [502, {}, 'unavailable'],
    [503, {}, 'unavailable'],
    [507, {}, 'resource_exhausted'],
    [599, {}, 'unavailable'],
    [301, {}, 'invalid_argument'],
  ];
  it('makes each refusal a CacheError with the text of the server', async () => {
    let answer: readonly [number, HttpHeaders] = [200, {}];
    await using served = await serveHandler((exchange) => exchange.respond(...answer, Buffer.from('the reason\n')));
    await using client = callsTo(served.port);
    for (const [status, headers, code] of statuses) {
      answer = [status, headers];
      await assert.rejects(client.calls.send(get), { code, message: `the reason (status ${status} from 127.0.0.1:${served.port})` });
    }
  });

  it('takes the 404 of a server that is no Kiln for a failure, and that of Kiln for absence', async () => {
    let headers: HttpHeaders = {};
    await using served = await serveHandler((exchange) => exchange.respond(404, headers, Buffer.from('Not Found')));
    await using client = callsTo(served.port);
    await assert.rejects(client.calls.send(get), { code: 'failed_precondition', message: /is no Kiln server/ });
    headers = { 'kiln-code': 'not_found' };
    await using reply = await client.calls.send(get);
    assert.equal(reply.status, 404);
  });

  it('K14-03: says when to come again', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(503, { 'retry-after': '3' }));
    await using client = callsTo(served.port);
    await assert.rejects(client.calls.send(get), (thrown) => {
      assert.ok(thrown instanceof CacheError);
      assert.deepEqual(thrown.details, [{ kind: 'retry_after', delayMs: 3_000 }]);
      assert.match(thrown.message, /^no reason given/);
      return true;
    });
  });

  it('shows the credentials, and never in an error', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(exchange.headers['authorization'] === 'Bearer s3cret' ? 200 : 401, {}));
    await using known = callsTo(served.port, {}, 'Bearer s3cret');
    await (await known.calls.send(get))[Symbol.asyncDispose]();
    await using unknown = callsTo(served.port, {}, 'Bearer other-s3cret');
    await assert.rejects(unknown.calls.send(get), (thrown: Error) => !JSON.stringify([String(thrown), thrown]).match('s3cret'));
  });

  it('runs so many at a time, from the request to the end of its answer', async () => {
    let running = 0;
    let most = 0;
    await using served = await serveHandler(async (exchange) => {
      running += 1;
      most = Math.max(most, running);
      await exchange.respond(200, {}, Buffer.alloc(10));
      running -= 1;
    });
    await using client = callsTo(served.port, { connectionsMax: 2 });
    const unread = await client.calls.send(get);
    const replies = Promise.all(Array.from({ length: 10 }, async () => {
      await using reply = await client.calls.send(get);
      return reply.status;
    }));
    await unread[Symbol.asyncDispose]();
    assert.equal((await replies).length, 10);
    assert.ok(most <= 2, `${most} requests at a time`);
  });

  it('tells a caller for whom there is no place in the line to come again', async () => {
    await using served = await serveHandler((exchange) => exchange.respond(200, {}, Buffer.alloc(10)));
    await using http = new NodeHttpClient({ kind: 'tcp', host: '127.0.0.1', port: served.port }, clientLimits);
    const calls = new HttpCalls(http, { lane: new Semaphore('calls', { permitsMax: 1, waitersMax: 0 }) });
    const [unread, read] = [await calls.send(get), calls.send(get)];
    await assert.rejects(read, { code: 'unavailable', details: [{ kind: 'retry_after', delayMs: 250 }] });
    await unread[Symbol.asyncDispose]();
    for await (const _ of (await calls.send(get)).body);
    await (await calls.send({ ...get, method: 'HEAD' }))[Symbol.asyncDispose]();
  });
});
