// Requests as browsers make them for pages, and as build tools make them, each with the answer it gets.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpExchange } from '../base/http-exchange.ts';
import { guardedFromBrowsers } from './browser-guard.ts';
import type { BrowserPolicy } from './browser-guard.ts';

const onLoopback: BrowserPolicy = { knownNamesOnly: true, allowedHosts: ['cache.example', 'Build.Example.'], anyAddress: false, linkablePaths: ['/', '/status'] };
const onNetwork: BrowserPolicy = { ...onLoopback, anyAddress: true };
const byAnyName: BrowserPolicy = { ...onLoopback, knownNamesOnly: false, allowedHosts: [] };

/** The status of the answer: 204 from the handler behind the guard. */
async function statusOf(method: string, headers: Record<string, string>, { target = '/cas/x', policy = onLoopback } = {}): Promise<number> {
  const handler = guardedFromBrowsers((served) => served.respond(204), policy);
  let answered = 0;
  const exchange: HttpExchange = {
    method,
    target,
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

const here = '127.0.0.1:9092';
const followedLink = { host: here, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1' };

describe('a request to a server on loopback', () => {
  const served: readonly [string, string, Record<string, string>, string?][] = [
    ['from a tool that uses the address', 'PUT', { host: here }],
    ['from a tool that uses the IPv6 address', 'PUT', { host: '[::1]:9092' }],
    ['from a tool that uses localhost', 'PUT', { host: 'localhost:9092' }],
    ['by a name below localhost', 'PUT', { host: 'Kiln.LocalHost' }],
    ['by localhost with the dot of the root', 'GET', { host: 'localhost.:9092' }],
    ['by another address of loopback', 'GET', { host: '127.8.9.10:80' }],
    ['by a name that was allowed', 'PUT', { host: 'cache.example:9092' }],
    ['by a name that was allowed, in other letters', 'PUT', { host: 'BUILD.example' }],
    ['of HTTP/1.0 without a host', 'GET', {}],
    ['for a proxy, by a known name', 'GET', { host: here }, `http://${here}/cas/x`],
    ['from a page of the server itself', 'PUT', { host: here, origin: `http://${here}`, 'sec-fetch-site': 'same-origin' }],
    ['from a person who types the address', 'GET', { host: here, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }],
    ['from a link on another site to a page', 'GET', followedLink, '/status'],
    ['from a link on another site to a page, with a query', 'GET', followedLink, '/status?from=wiki'],
    ['from fetch of Node, which says how it fetches and not from where', 'PUT', { host: here, 'sec-fetch-mode': 'cors', 'user-agent': 'node' }],
  ];
  for (const [name, method, headers, target] of served) {
    it(`is served ${name}`, async () => assert.equal(await statusOf(method, headers, { ...(target && { target }) }), 204));
  }

  const refused: readonly [string, string, Record<string, string>, string?][] = [
    ['by a name that was bound again to loopback', 'GET', { host: 'evil.example:9092' }],
    ['by a name that was bound again, from a page that thinks it is at home', 'GET', { host: 'evil.example:9092', 'sec-fetch-site': 'same-origin' }],
    ['by a name that only looks like loopback', 'GET', { host: '127.0.0.1.evil.example' }],
    ['by a name that only ends like localhost', 'GET', { host: 'evillocalhost' }],
    ['by a name below an allowed one', 'GET', { host: 'evil.cache.example' }],
    ['by the address of no interface', 'GET', { host: '0.0.0.0:9092' }],
    ['by an address of the network', 'GET', { host: '10.1.2.3:9092' }],
    ['for a proxy, by a foreign name, whatever the header says', 'GET', { host: here }, 'http://evil.example/cas/x'],
    ['for a proxy, by a foreign name in the header', 'GET', { host: 'evil.example' }, `http://${here}/cas/x`],
    ['as a write from another site', 'PUT', { host: here, origin: 'https://evil.example' }],
    ['as a write from a page without an origin', 'PUT', { host: here, origin: 'null' }],
    ['as a write from another port of this machine', 'PUT', { host: here, origin: 'http://127.0.0.1:8080' }],
    ['as a write that the browser says is cross-site', 'POST', { host: here, 'sec-fetch-site': 'cross-site' }],
    ['as a write that the browser says is of the same site only', 'PUT', { host: here, 'sec-fetch-site': 'same-site' }],
    ['as a read from another site', 'GET', { host: here, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }],
    ['as an image of another site', 'GET', { host: here, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }],
    ['as a script of another site', 'GET', { host: here, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }],
    ['as a question before a write (CORS preflight)', 'OPTIONS', { host: here, origin: 'https://evil.example', 'access-control-request-method': 'PUT' }],
    ['from a frame in a page of another site', 'GET', { ...followedLink, 'sec-fetch-dest': 'iframe' }, '/status'],
    ['from a form of another site', 'POST', { ...followedLink, origin: 'https://evil.example' }, '/status'],
    ['from a link on another site to a blob', 'GET', followedLink, '/cas/x'],
  ];
  for (const [name, method, headers, target] of refused) {
    it(`is refused ${name}`, async () => assert.equal(await statusOf(method, headers, { ...(target && { target }) }), 403));
  }
});

describe('a request to a server on the network', () => {
  it('may name any host as long as nobody has listed the names', async () => {
    assert.equal(await statusOf('PUT', { host: 'kiln.corp.example:9092' }, { policy: byAnyName }), 204);
  });

  it('must name a listed host or an address once somebody has', async () => {
    for (const host of ['cache.example', '10.1.2.3:9092', '[fe80::1]:9092', 'localhost:9092']) assert.equal(await statusOf('PUT', { host }, { policy: onNetwork }), 204);
    for (const host of ['kiln.corp.example', '10.1.2.3.evil.example', '[evil]']) assert.equal(await statusOf('PUT', { host }, { policy: onNetwork }), 403);
  });

  it('is refused from pages of other sites all the same', async () => {
    for (const policy of [byAnyName, onNetwork]) {
      assert.equal(await statusOf('PUT', { host: 'cache.example:9092', origin: 'https://evil.example' }, { policy }), 403);
      assert.equal(await statusOf('GET', { host: 'cache.example:9092', 'sec-fetch-site': 'cross-site' }, { policy }), 403);
    }
  });
});
