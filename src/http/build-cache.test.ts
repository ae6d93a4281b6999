// The HTTP build cache over real sockets: blobs, what is wrong with requests, rights and failures.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { Code } from '../base/failures.ts';
import type { Authorizer } from '../base/authorizer.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, digestFunctions, md5, sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { fetchHttp, sendRaw } from '../testing/http-client.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { serveHttp } from '../testing/serve-http.ts';
import type { ServedHttp } from '../testing/serve-http.ts';

const bytes = Buffer.from('some output\n');
const digest = Digest.of(bytes);
const path = `/cas/${digest.hash}`;

const put = (served: ServedHttp, target: string, body: Uint8Array | string | AsyncIterable<Uint8Array>, headers: Record<string, string> = {}) =>
  fetchHttp(served.port, target, { method: 'PUT', body, headers });

async function assertAbsent(blobs: BlobStore, asked: Digest): Promise<void> {
  assert.equal((await blobs.findMissing(DigestList.of(asked))).length, 1);
}

describe('blobs over HTTP', () => {
  it('BZ-1, BZ-2: a PUT gets 200, and GET and HEAD find what was put', async () => {
    await using served = await serveHttp();
    const stored = await put(served, path, bytes);
    assert.deepEqual([stored.status, stored.headers['content-length'], stored.text], [200, '0', '']);
    const got = await fetchHttp(served.port, path);
    assert.deepEqual([got.status, got.text, got.headers['content-length']], [200, 'some output\n', '12']);
    assert.equal(got.headers['content-type'], 'application/octet-stream');
    assert.equal(got.headers['access-control-allow-origin'], undefined);
    const head = await fetchHttp(served.port, path, { method: 'HEAD' });
    assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '12']);
  });

  it('BZ-1: an absent blob is 404 for GET and HEAD', async () => {
    await using served = await serveHttp();
    assert.equal((await fetchHttp(served.port, path)).status, 404);
    assert.match((await fetchHttp(served.port, path)).text, /^no blob sha256\//);
    const head = await fetchHttp(served.port, path, { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [404, '']);
  });

  it('IN-3, BZ-8: an instance prefix of any depth, with doubled slashes (CT-1), finds the same blobs', async () => {
    await using served = await serveHttp();
    await put(served, `/team/main${path}`, bytes);
    for (const target of [path, `/${path}`, `/other${path}`, `//team///main/${path}`, `/t%C3%A9am${path}?a=b`, `http://anywhere:1${path}`]) {
      assert.equal((await fetchHttp(served.port, target)).status, 200, target);
    }
  });

  it('BZ-6, DG-10: the empty blob is always there and may be put', async () => {
    await using served = await serveHttp();
    for (const row of digestFunctions) {
      const target = row.pathSegment === undefined ? `/cas/${row.emptyHash}` : `/cas/${row.pathSegment}/${row.emptyHash}`;
      assert.equal((await fetchHttp(served.port, target)).status, 200, row.name);
      assert.equal((await fetchHttp(served.port, target, { method: 'HEAD' })).headers['content-length'], '0');
      assert.equal((await put(served, target, '')).status, 200);
    }
  });

  it('CT-6, MO-4: a PUT without a length: no body, chunked, and chunked again when present', async () => {
    await using served = await serveHttp();
    assert.match(await sendRaw(served.port, `PUT /m//cas/${sha256.emptyHash} HTTP/1.1\r\nhost: a\r\n\r\n`), /^HTTP\/1\.1 200 /);
    for (let time = 0; time < 2; time += 1) assert.equal((await put(served, path, byteSourceOf(bytes))).status, 200);
    assert.equal((await fetchHttp(served.port, path)).text, 'some output\n');
    const other = `/cas/${'a'.repeat(64)}`;
    assert.equal((await put(served, other, byteSourceOf(bytes))).status, 400);
    assert.match(await sendRaw(served.port, `PUT ${other} HTTP/1.1\r\nhost: a\r\n\r\n`), /^HTTP\/1\.1 400 [^]*size 0 belongs to/);
  });

  it('CT-6: a body without a length is held in memory only within bounds', async () => {
    await using served = await serveHttp({ limits: { unsizedBodyBytesMax: 100, heldBodyBytesMax: 1000 } });
    const large = Buffer.alloc(200_000, 1);
    const reply = await put(served, `/cas/${Digest.of(large).hash}`, byteSourceOf(large));
    assert.equal(reply.status, 503, 'its first chunk alone is more than all bodies may take');
    assert.equal(reply.headers['retry-after'], '1');
    const middle = Buffer.alloc(500, 1);
    const refused = await put(served, `/cas/${Digest.of(middle).hash}`, byteSourceOf(middle));
    assert.equal(refused.status, 411);
    assert.match(refused.text, /more than 100 bytes needs a Content-Length/);
    assert.equal((await put(served, `/cas/${Digest.of(middle).hash}`, middle)).status, 200);
    assert.equal((await put(served, path, byteSourceOf(bytes))).status, 200, 'the memory was given back');
  });

  it('streams a large blob both ways, in pieces of any size', async (t) => {
    const random = seededRandom(t);
    await using served = await serveHttp();
    const large = Buffer.from(random.bytes(5_000_000));
    const target = `/cas/${Digest.of(large).hash}`;
    async function* pieces() {
      for (let offset = 0; offset < large.length; offset += 77_777) yield large.subarray(offset, offset + 77_777);
    }
    assert.equal((await put(served, target, pieces(), { 'content-length': String(large.length) })).status, 200);
    assert.ok((await fetchHttp(served.port, target)).body.equals(large));
    assert.equal((await put(served, target, pieces(), { 'content-length': String(large.length) })).status, 200, 'and again, when it is present');
  });

  it('CT-5: a blob put with Expect: 100-continue', async () => {
    await using served = await serveHttp();
    const text = await sendRaw(served.port, `PUT ${path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 12\r\n\r\nsome output\n`);
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  });

  it('DG-2, DG-3: tells the function by the length of the hash; BLAKE3 is named', async () => {
    await using served = await serveHttp();
    for (const row of digestFunctions) {
      const { hash } = Digest.of(bytes, row);
      assert.equal((await put(served, row === blake3 ? `/i/cas/blake3/${hash}` : `/i/cas/${hash}`, bytes)).status, 200, row.name);
    }
    assert.equal((await fetchHttp(served.port, `/cas/${Digest.of(bytes, md5).hash}`)).text, 'some output\n');
    assert.equal((await fetchHttp(served.port, `/cas/${Digest.of(bytes, blake3).hash}`)).status, 404, 'it is another SHA-256');
    assert.equal((await put(served, `/cas/${Digest.of(bytes, blake3).hash}`, bytes)).status, 400);
  });
});

describe('bad input of the HTTP build cache', () => {
  it('BZ-9: a body with another hash, or another length than its hash has, is 400 and leaves nothing', async () => {
    await using served = await serveHttp();
    for (const body of ['some output!', 'some', 'some output\nand more', '']) {
      const reply = await put(served, path, body);
      assert.equal(reply.status, 400, JSON.stringify(body));
      await assertAbsent(served.blobs, digest);
    }
    assert.equal((await put(served, path, bytes)).status, 200);
  });

  it('BZ-9: a body shorter than its Content-Length is 400 and leaves nothing; a longer one is cut', async () => {
    await using served = await serveHttp();
    const short = await sendRaw(served.port, `PUT ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\nsome`);
    assert.match(short, /^HTTP\/1\.1 400 /);
    await assertAbsent(served.blobs, digest);
    const long = await sendRaw(served.port, `PUT ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\nsome output\nand more`);
    assert.match(long, /^HTTP\/1\.1 200 OK[^]*HTTP\/1\.1 400 /);
    assert.equal((await fetchHttp(served.port, path)).text, 'some output\n');
  });

  it('CT-6: a client that goes away in mid-body leaves nothing', async () => {
    const ended = Promise.withResolvers<unknown>();
    const inner = new EmptyAwareBlobStore(new MemoryBlobStore());
    const blobs = blobStoreWith(inner, {
      put(...given) {
        const done = inner.put(...given);
        done.then(ended.resolve, ended.resolve);
        return done;
      },
    });
    await using served = await serveHttp({ blobs });
    const socket = connect({ port: served.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.write(`PUT ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\nsome`);
    await once(socket, 'connect');
    setImmediate(() => socket.resetAndDestroy());
    assert.equal(((await ended.promise) as CacheError).code, 'cancelled');
    await assertAbsent(inner, digest);
    assert.deepEqual(served.log.lines, []);
  });

  const refused: readonly (readonly [string, string, number, RegExp])[] = [
    ['CT-8: a path with ..', `/a/../..${path}`, 400, /"\.\." is not allowed/],
    ['CT-8: .. in percent-encoding', `/a/%2e%2E${path}`, 400, /is not allowed/],
    ['CT-8: a hidden slash', `/a%2Fb${path}`, 400, /is not allowed/],
    ['CT-8: a control character', `/a%00b${path}`, 400, /is not allowed/],
    ['CT-8: broken percent-encoding', `/a%zz${path}`, 400, /is not percent-encoded/],
    ['CT-8: an over-long URL', `/${'a'.repeat(5000)}${path}`, 414, /longer than 4096 characters/],
    ['CT-8: an over-long instance name', `/${'a'.repeat(300)}${path}`, 400, /instance name of 300 characters/],
    ['IN-2: a reserved word in the instance name', `/blobs${path}`, 400, /"blobs"/],
    ['DG-1: upper case', `/cas/${digest.hash.toUpperCase()}`, 400, /lower-case hex/],
    ['DG-1: a hash of another length', '/cas/abc', 400, /"abc" is no hash: expected lower-case hex digits, one of 64 \(sha256\)/],
    ['DG-1: no hex', `/ac/${'g'.repeat(64)}`, 400, /lower-case hex/],
    ['an unknown path', '/nowhere/at/all', 404, /served here: .*cas\/\{hash\}/],
    ['a path without a hash', '/cas', 404, /served here/],
  ];
  for (const [what, target, status, text] of refused) {
    it(`${what} gets ${status} and a text that says so`, async () => {
      await using served = await serveHttp();
      for (const method of ['GET', 'PUT']) {
        const reply = await fetchHttp(served.port, target, { method, ...(method === 'PUT' && { body: bytes }) });
        assert.equal(reply.status, status);
        assert.match(reply.text, text);
        assert.match(String(reply.headers['content-type']), /^text\/plain/);
      }
    });
  }

  it('CT-8: a URL above the limit for headers gets a text too', async () => {
    await using served = await serveHttp();
    assert.match(await sendRaw(served.port, `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nhost: a\r\n\r\n`), /^HTTP\/1\.1 431 [^]*URL/);
  });

  it('BZ-8: other methods get 405 and Allow; the pages are for reading', async () => {
    await using served = await serveHttp();
    for (const method of ['POST', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
      const reply = await fetchHttp(served.port, path, { method });
      assert.deepEqual([reply.status, reply.headers.allow], [405, 'GET, HEAD, PUT'], method);
    }
    const reply = await put(served, '/status', 'x');
    assert.deepEqual([reply.status, reply.headers.allow], [405, 'GET, HEAD']);
  });

  it('encoded bodies get 415: they would not have the digest', async () => {
    await using served = await serveHttp();
    assert.equal((await put(served, path, bytes, { 'content-encoding': 'zstd' })).status, 415);
    assert.equal((await put(served, `/ac/${digest.hash}`, bytes, { 'content-encoding': 'gzip' })).status, 415);
    assert.equal((await put(served, path, bytes, { 'content-encoding': 'identity' })).status, 200);
  });

  it('CAP-10: a blob above the limit is 413 before its body', async () => {
    await using served = await serveHttp({ blobs: new EmptyAwareBlobStore(new MemoryBlobStore({ bytesMax: 1000, blobBytesMax: 11 })) });
    const text = await sendRaw(served.port, `PUT ${path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 12\r\n\r\n`, { keepOpen: true });
    assert.match(text, /^HTTP\/1\.1 413 [^]*12 bytes are too many: at most 11/);
  });
});

describe('rights and failures over HTTP', () => {
  const readOnly: Authorizer = {
    allows: (_caller, right) => right === 'read',
    allowsSomewhere: (_caller, right) => right === 'read',
    whyNot: () => 'no right',
    requireSomewhere() {},
    require(_caller, right, instance) {
      if (right !== 'read') throw new CacheError('permission_denied', `no uploads to ${instance}`);
    },
  };

  it('BZ-3, CT-9: without the right to write a PUT is 403, before the body; reading goes on', async () => {
    await using served = await serveHttp({ authorizer: readOnly });
    for (const kind of ['cas', 'ac']) {
      const reply = await put(served, `/main/${kind}/${digest.hash}`, bytes);
      assert.deepEqual([reply.status, reply.text], [403, 'no uploads to main\n']);
      assert.equal((await fetchHttp(served.port, `/main/${kind}/${digest.hash}`)).status, 404);
    }
    const text = await sendRaw(served.port, `PUT ${path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 12\r\n\r\n`, { keepOpen: true });
    assert.match(text, /^HTTP\/1\.1 403 /);
  });

  const failing = (failure: Error): BlobStore =>
    blobStoreWith(new EmptyAwareBlobStore(new MemoryBlobStore()), {
      resolve() {
        throw failure;
      },
      put: () => Promise.reject(failure),
    });

  const failures: readonly (readonly [Code, number])[] = [
    ['resource_exhausted', 507],
    ['unavailable', 503],
    ['data_loss', 500],
    ['deadline_exceeded', 504],
  ];
  for (const [code, status] of failures) {
    it(`BZ-3, BZ-9, CT-7, ERR-3, ERR-4, ERR-8: ${code} of the store is ${status}, with its text`, async () => {
      const error = new CacheError(code, 'says what to do', { details: [{ kind: 'retry_after', delayMs: 2500 }] });
      await using served = await serveHttp({ blobs: failing(error) });
      for (const reply of [await fetchHttp(served.port, path), await put(served, path, bytes)]) {
        assert.deepEqual([reply.status, reply.text, reply.headers['retry-after']], [status, 'says what to do\n', '3']);
      }
    });
  }

  it('BZ-3: a bug is 500 without its text, and in the log', async () => {
    await using served = await serveHttp({ blobs: failing(new Error('secret')) });
    const reply = await fetchHttp(served.port, path);
    assert.equal(reply.status, 500);
    assert.ok(!reply.text.includes('secret'));
    assert.match(served.log.lines.join(), /^error an HTTP request failed/);
  });

  it('a blob found damaged in mid-answer breaks the connection, so that nobody takes it for whole', async () => {
    const inner = new EmptyAwareBlobStore(new MemoryBlobStore());
    await inner.put(digest, byteSourceOf(bytes));
    const blobs = blobStoreWith(inner, {
      get: () => ({
        sizeBytes: bytes.length,
        async *[Symbol.asyncIterator]() {
          yield bytes.subarray(0, 4);
          throw new CacheError('data_loss', 'damaged');
        },
        async [Symbol.asyncDispose]() {},
      }),
    });
    await using served = await serveHttp({ blobs });
    await assert.rejects(fetchHttp(served.port, path), { code: 'ECONNRESET' });
    assert.match(served.log.lines.join(), /damaged/);
  });
});

describe('pages', () => {
  it('CT-10: /status is JSON for everybody who looks, /healthz a word, / says what this is', async () => {
    await using served = await serveHttp();
    const status = await fetchHttp(served.port, '/status');
    assert.equal(status.headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(status.text), { status: 'ok', name: 'kiln', version: '1.2.3' });
    assert.equal((await fetchHttp(served.port, '//healthz')).text, 'ok\n');
    assert.match((await fetchHttp(served.port, '/')).text, /Kiln 1\.2\.3.*build cache/);
    assert.equal((await fetchHttp(served.port, '/status', { method: 'HEAD' })).text, '');
  });

  it('K10-01: /healthz and /readyz are 503 while the server drains, /livez is not', async () => {
    await using serving = await serveHttp();
    for (const path of ['/healthz', '/readyz', '/livez']) assert.equal((await fetchHttp(serving.port, path)).status, 200, path);
    await using served = await serveHttp({ isDraining: () => true });
    assert.equal((await fetchHttp(served.port, '/healthz')).status, 503);
    assert.equal((await fetchHttp(served.port, '/readyz')).status, 503);
    assert.equal((await fetchHttp(served.port, '/livez')).status, 200);
    assert.equal(JSON.parse((await fetchHttp(served.port, '/status')).text).status, 'draining');
  });
});

it('the stores are read by what was put over HTTP', async () => {
  await using served = await serveHttp();
  await put(served, path, bytes);
  const source = await served.blobs.get(digest);
  assert.ok(source);
  assert.deepEqual(Buffer.from(await collect(source, 100)), bytes);
});
