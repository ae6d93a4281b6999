// A real server on loopback, as web pages reach for it and as build tools do. What a browser sends is sent here over
// bare sockets, since no HTTP library lets a program say what a browser says of itself.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { fetchHttp, sendRaw } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';

const secret = Buffer.from('the source code of somebody');
const secretPath = `/cas/${Digest.of(secret).hash}`;
const forged = Buffer.from('what a page would like to be built into programs');
const forgedPath = `/cas/${Digest.of(forged).hash}`;

async function serve(t: TestContext, ...args: readonly string[]): Promise<number> {
  const { port } = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(await temporaryDirectory(t), 'data'), ...args]);
  const { status } = await fetchHttp(port, secretPath, { method: 'PUT', body: secret });
  assert.equal(status, 200);
  return port;
}

interface Sent {
  readonly method?: string;
  readonly target?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

async function overHttp1(port: number, { method = 'GET', target = secretPath, headers, body = new Uint8Array(0) }: Sent): Promise<{ status: number; text: string }> {
  const all: Record<string, string> = { connection: 'close', ...headers, ...(body.byteLength > 0 && { 'content-length': String(body.byteLength) }) };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = await sendRaw(port, Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${head.join('')}\r\n`), body]));
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), text };
}

async function overHttp2(port: number, { method = 'GET', target = secretPath, headers, body }: Sent): Promise<{ status: number; text: string }> {
  const session = connect(`http://127.0.0.1:${port}`);
  const { host, ...others } = headers;
  const stream = session.request({ ':method': method, ':path': target, ':authority': host ?? '', ...others }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
  const text = (await stream.toArray()).join('');
  session.close();
  return { status: Number(answer[':status']), text: JSON.stringify(answer) + text };
}

const ways = [['HTTP/1.1', overHttp1], ['HTTP/2', overHttp2]] as const;

/** As Chromium sends them. */
const chromium = { 'user-agent': 'Mozilla/5.0 (X11; Linux x64) Chrome/130.0.0.0', accept: '*/*', 'accept-encoding': 'gzip, deflate, br, zstd', 'accept-language': 'en' };
const crossSite = (mode: string, dest: string) => ({ ...chromium, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': mode, 'sec-fetch-dest': dest, referer: 'https://evil.example/' });

for (const [version, send] of ways) {
  describe(`a web page that reaches for a server on loopback over ${version}`, () => {
    it('DNS rebinding: reads and writes nothing under a name of its own, and gets no CORS header', async (t) => {
      const port = await serve(t);
      for (const host of [`evil.example:${port}`, 'evil.example', `127.0.0.1.evil.example:${port}`, `localhost.evil.example:${port}`, '0.0.0.0']) {
        // To the browser this is the page's own site.
        const own = { host, ...chromium, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
        for (const request of [{ headers: own }, { headers: { ...own, origin: `http://${host}` }, method: 'PUT', target: forgedPath, body: forged }, { headers: own, target: '/metrics' }, { headers: own, target: '/status' }]) {
          const { status, text } = await send(port, request);
          assert.equal(status, 403, `${host}: ${text}`);
          assert.ok(!text.includes(secret.toString()));
          assert.doesNotMatch(text, /access-control-/i);
        }
      }
      assert.equal((await fetchHttp(port, forgedPath)).status, 404, 'nothing was written');
    });

    it('cross-site: reads and writes nothing under the name of the server', async (t) => {
      const port = await serve(t);
      const host = `127.0.0.1:${port}`;
      const requests: readonly [string, Sent][] = [
        ['fetch', { headers: { host, ...crossSite('cors', 'empty'), origin: 'https://evil.example' } }],
        ['fetch without CORS', { headers: { host, ...crossSite('no-cors', 'empty') } }],
        ['an image', { headers: { host, ...crossSite('no-cors', 'image') } }],
        ['a script', { headers: { host, ...crossSite('no-cors', 'script') } }],
        ['a frame', { headers: { host, ...crossSite('navigate', 'iframe') }, target: '/status' }],
        ['a link to a blob', { headers: { host, ...crossSite('navigate', 'document') } }],
        ['the question before a PUT', { method: 'OPTIONS', target: forgedPath, headers: { host, ...crossSite('cors', 'empty'), origin: 'https://evil.example', 'access-control-request-method': 'PUT', 'access-control-request-private-network': 'true' } }],
        ['a PUT', { method: 'PUT', target: forgedPath, body: forged, headers: { host, ...crossSite('cors', 'empty'), origin: 'https://evil.example' } }],
        ['a PUT of a browser that only knows Origin', { method: 'PUT', target: forgedPath, body: forged, headers: { host, ...chromium, origin: 'https://evil.example' } }],
        ['a PUT from a file or a sandboxed frame', { method: 'PUT', target: forgedPath, body: forged, headers: { host, ...chromium, origin: 'null' } }],
        ['a PUT from another server on this machine', { method: 'PUT', target: forgedPath, body: forged, headers: { host, ...chromium, origin: 'http://127.0.0.1:3000', 'sec-fetch-site': 'same-site' } }],
        ['a form', { method: 'POST', target: '/admin/cpu-profile', body: forged, headers: { host, ...crossSite('navigate', 'document'), origin: 'https://evil.example', 'content-type': 'application/x-www-form-urlencoded' } }],
      ];
      for (const [name, request] of requests) {
        const { status, text } = await send(port, request);
        assert.equal(status, 403, `${name}: ${text}`);
        assert.ok(!text.includes(secret.toString()), name);
        assert.doesNotMatch(text, /access-control-/i, name);
      }
      assert.equal((await fetchHttp(port, forgedPath)).status, 404, 'nothing was written');
    });

    it('a person may look at the server, by its address or by a link', async (t) => {
      const port = await serve(t);
      const host = `localhost:${port}`;
      for (const site of ['none', 'cross-site', 'same-origin']) {
        for (const target of ['/', '/status', '/healthz', '/metrics']) {
          const headers = { host, ...crossSite('navigate', 'document'), 'sec-fetch-site': site, 'sec-fetch-user': '?1' };
          assert.equal((await send(port, { target, headers })).status, 200, `${site} ${target}`);
        }
      }
    });

    it('a name that the server was given is its own', async (t) => {
      const port = await serve(t, '--allowed-hosts', 'cache.example', '--allowed-hosts', 'kiln.local');
      for (const host of ['cache.example', `Cache.Example:${port}`, 'kiln.local:80']) assert.equal((await send(port, { headers: { host } })).status, 200, host);
      assert.equal((await send(port, { headers: { host: 'evil.example' } })).status, 403);
    });
  });
}

describe('a request for a proxy', () => {
  it('RFC 9112 §3.2.2: is known by the host of its target, and by the header as well', async (t) => {
    const port = await serve(t);
    const ask = (target: string, host: string) => overHttp1(port, { target, headers: { host } });
    assert.equal((await ask(`http://127.0.0.1:${port}${secretPath}`, `127.0.0.1:${port}`)).status, 200);
    assert.equal((await ask(`http://evil.example${secretPath}`, `127.0.0.1:${port}`)).status, 403);
    assert.equal((await ask(`HTTP://EVIL.example:${port}${secretPath}`, 'localhost')).status, 403);
    assert.equal((await ask(`http://127.0.0.1@evil.example${secretPath}`, 'localhost')).status, 403);
    assert.equal((await ask(`http://localhost${secretPath}`, 'evil.example')).status, 403);
  });

  it('a page cannot pretend to speak gRPC over HTTP/1.1', async (t) => {
    const port = await serve(t);
    const { status } = await overHttp1(port, { method: 'POST', target: '/build.bazel.remote.execution.v2.Capabilities/GetCapabilities', body: Buffer.alloc(5), headers: { host: `127.0.0.1:${port}`, 'content-type': 'application/grpc' } });
    assert.equal(status, 415);
  });
});

/** What tools send beside Host and Content-Length, as seen on the wire or in their source. */
const tools: readonly [string, Readonly<Record<string, string>>][] = [
  ['Bazel 2.1', { accept: '*/*', connection: 'keep-alive', 'user-agent': 'bazel/2.1.0' }],
  ['Bazel 4.2, as Debian builds it', { accept: '*/*', connection: 'keep-alive', 'user-agent': 'bazel/', 'accept-encoding': 'gzip', authorization: `Basic ${Buffer.from('a:b?>').toString('base64url')}` }],
  ['moon', { accept: '*/*', 'accept-encoding': 'zstd,gzip' }],
  ['ccache 4.7', { accept: '*/*', 'user-agent': 'ccache/4.7.5', connection: 'Keep-Alive', 'content-type': 'application/octet-stream' }],
  ['ccache with a token', { accept: '*/*', 'user-agent': 'ccache/4.12', authorization: 'Bearer tok' }],
  ['sccache', { accept: '*/*', 'user-agent': 'opendal/0.50.0' }],
  ['Gradle', { accept: 'application/vnd.gradle.build-cache-artifact.v1, */*', 'x-gradle-version': '4.4.1', 'user-agent': 'Gradle/4.4.1 (Linux;6.1.0;amd64) (Debian;17.0.12)', 'accept-encoding': 'gzip,deflate', connection: 'Keep-Alive' }],
  ['a client on the JDK’s HttpClient', { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA', 'user-agent': 'Java-http-client/21' }],
  ['Turborepo', { 'user-agent': 'turbo 2.11.11 v22.0.0 linux x64 (unknown)', authorization: 'Bearer t', 'content-type': 'application/octet-stream', 'x-artifact-duration': '12', 'x-artifact-client-ci': 'GITHUB_ACTIONS', accept: '*/*' }],
  ['Nx', { accept: 'application/octet-stream', 'content-type': 'application/octet-stream', authorization: 'Bearer t' }],
  ['Rush, on fetch of Node', { accept: '*/*', 'accept-language': '*', 'sec-fetch-mode': 'cors', 'user-agent': 'node', 'accept-encoding': 'br, gzip, deflate' }],
  ['@actions/cache', { 'user-agent': 'actions/cache-6.3.0', 'accept-encoding': 'gzip', 'content-type': 'application/json', 'x-ms-blob-type': 'BlockBlob', 'x-ms-version': '2025-01-05' }],
  ['Maven', { 'user-agent': 'Apache-Maven/3.9.16 (Java 17; Linux 6.1.0)', 'cache-control': 'no-cache', pragma: 'no-cache', 'accept-encoding': 'gzip' }],
  ['curl', { 'user-agent': 'curl/7.88.1', accept: '*/*' }],
  ['wget', { 'user-agent': 'Wget/1.21.3', accept: '*/*', 'accept-encoding': 'identity', connection: 'Keep-Alive' }],
  ['Python', { 'user-agent': 'python-requests/2.32', 'accept-encoding': 'gzip, deflate', accept: '*/*', connection: 'keep-alive' }],
  ['Prometheus', { 'user-agent': 'Prometheus/2.53.0', accept: 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1', 'accept-encoding': 'gzip', 'x-prometheus-scrape-timeout-seconds': '10' }],
  ['a proxy before the server', { 'x-forwarded-for': '10.0.0.1', 'x-forwarded-host': 'cache.corp.example', 'x-forwarded-proto': 'https', forwarded: 'for=10.0.0.1;host=cache.corp.example', via: '1.1 proxy' }],
];

describe('every build tool gets in', () => {
  it('CT-4, MO-7, RU-2, TU-10: by the headers that it sends, to read and to write', async (t) => {
    const port = await serve(t);
    for (const [tool, headers] of tools) {
      for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
        const written = await overHttp1(port, { method: 'PUT', body: secret, headers: { host, ...headers } });
        assert.equal(written.status, 200, `${tool}: ${written.text}`);
        const read = await overHttp1(port, { headers: { host, ...headers } });
        assert.equal(read.status, 200, `${tool}: ${read.text}`);
      }
    }
  });
});
