// Requests as a browser makes them for a page, and as build tools make them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpExchange } from '../base/http-exchange.ts';
import { guardedFromBrowsers } from './browser-guard.ts';

/** The status of the answer: 204 from the handler behind the guard. */
async function statusOf(method: string, headers: Record<string, string>, loopbackNamesOnly = true): Promise<number> {
  const handler = guardedFromBrowsers((served) => served.respond(204), { loopbackNamesOnly });
  let answered = 0;
  const exchange: HttpExchange = {
    method,
    target: '/cas/x',
    headers,
    contentLength: 0,
    signal: new AbortController().signal,
    async *body() {},
    async respond(status) {
      answered = status;
    },
  };
  await handler(exchange);
  return answered;
}

describe('guardedFromBrowsers', () => {
  const served: readonly [string, string, Record<string, string>][] = [
    ['a tool that uses the address', 'PUT', { host: '127.0.0.1:9092' }],
    ['a tool that uses the IPv6 address', 'PUT', { host: '[::1]:9092' }],
    ['a tool that uses localhost', 'PUT', { host: 'localhost:9092' }],
    ['a name below localhost', 'PUT', { host: 'Kiln.LocalHost' }],
    ['another address of loopback', 'GET', { host: '127.8.9.10:80' }],
    ['HTTP/1.0 without a host', 'GET', {}],
    ['a page of the server itself', 'PUT', { host: '127.0.0.1:9092', origin: 'http://127.0.0.1:9092', 'sec-fetch-site': 'same-origin' }],
    ['a person who types the address', 'GET', { host: '127.0.0.1:9092', 'sec-fetch-site': 'none' }],
    ['a link on another site', 'GET', { host: '127.0.0.1:9092', 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
  ];
  for (const [name, method, headers] of served) it(`serves ${name}`, async () => assert.equal(await statusOf(method, headers), 204));

  const refused: readonly [string, string, Record<string, string>][] = [
    ['a name that was bound again to loopback', 'GET', { host: 'evil.example:9092' }],
    ['a name that only looks like loopback', 'GET', { host: '127.0.0.1.evil.example' }],
    ['a name that only ends like localhost', 'GET', { host: 'evillocalhost' }],
    ['a write from another site', 'PUT', { host: '127.0.0.1:9092', origin: 'https://evil.example' }],
    ['a write from a page without an origin', 'PUT', { host: '127.0.0.1:9092', origin: 'null' }],
    ['a write from another port of this machine', 'PUT', { host: '127.0.0.1:9092', origin: 'http://127.0.0.1:8080' }],
    ['a write that the browser says is cross-site', 'POST', { host: 'localhost:9092', 'sec-fetch-site': 'cross-site' }],
    ['a write that the browser says is of the same site only', 'PUT', { host: 'localhost:9092', 'sec-fetch-site': 'same-site' }],
  ];
  for (const [name, method, headers] of refused) it(`refuses ${name}`, async () => assert.equal(await statusOf(method, headers), 403));

  it('lets an open server have any name, and refuses cross-site writes all the same', async () => {
    assert.equal(await statusOf('PUT', { host: 'cache.example:9092' }, false), 204);
    assert.equal(await statusOf('PUT', { host: 'cache.example:9092', origin: 'https://evil.example' }, false), 403);
  });
});
