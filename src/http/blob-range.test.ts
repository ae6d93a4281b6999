// Parts of blobs over HTTP: what comes for each form of the Range header, to curl -C - and to Kiln's own client.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { openRemoteBlobs, readAll } from '../testing/remote-blobs.ts';
import { serveHttp } from '../testing/serve-http.ts';

const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 251));
const digest = Digest.of(bytes);

describe('the Range header of a blob', () => {
  const parts: readonly (readonly [range: string, from: number, to: number])[] = [
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=990-', 990, 1_000],
    ['bytes=990-5000', 990, 1_000],
    ['bytes=-10', 990, 1_000],
    ['bytes=-5000', 0, 1_000],
    [`bytes=990-${'9'.repeat(40)}`, 990, 1_000],
    [`bytes=-${'9'.repeat(400)}`, 0, 1_000],
    [`bytes=${'0'.repeat(40)}5-6`, 5, 7],
    ['bytes=999-999', 999, 1_000],
  ];
  it('RFC 9110 §14.2: gives the part and says which it is', async () => {
    await using served = await serveHttp();
    await served.blobs.put(digest, byteSourceOf(bytes));
    for (const [range, from, to] of parts) {
      const reply = await fetchHttp(served.port, `/cas/${digest.hash}`, { headers: { range } });
      assert.deepEqual([reply.status, reply.headers['content-range'], reply.headers['content-length']], [206, `bytes ${from}-${to - 1}/1000`, String(to - from)], range);
      assert.ok(reply.body.equals(bytes.subarray(from, to)), range);
    }
  });

  it('gives the whole for what it does not understand', async () => {
    await using served = await serveHttp();
    await served.blobs.put(digest, byteSourceOf(bytes));
    for (const headers of [{ range: 'bytes=5-2' }, { range: 'bytes=0-1,5-6' }, { range: 'lines=1-2' }, { range: 'bytes=a-b' }, { range: 'bytes=-' }, { range: 'bytes=1-2', 'if-range': '"x"' }]) {
      const reply = await fetchHttp(served.port, `/cas/${digest.hash}`, { headers });
      assert.deepEqual([reply.status, reply.body.byteLength], [200, 1_000], JSON.stringify(headers));
    }
  });

  it('RFC 9110 §15.5.17: answers 416 where there is nothing, and 404 where there is no blob', async () => {
    await using served = await serveHttp();
    await served.blobs.put(digest, byteSourceOf(bytes));
    for (const range of ['bytes=1000-', 'bytes=1000-2000', 'bytes=-0', `bytes=${'9'.repeat(17)}-`, `bytes=${'9'.repeat(400)}-${'9'.repeat(401)}`]) {
      const reply = await fetchHttp(served.port, `/cas/${digest.hash}`, { headers: { range } });
      assert.deepEqual([reply.status, reply.headers['content-range']], [416, 'bytes */1000'], range);
    }
    assert.equal((await fetchHttp(served.port, `/cas/${Digest.empty(digest.function).hash}`, { headers: { range: 'bytes=0-' } })).status, 416);
    assert.equal((await fetchHttp(served.port, `/cas/${'ab'.repeat(32)}`, { headers: { range: 'bytes=0-1' } })).status, 404);
  });

  it('is what our client asks by', async () => {
    await using remote = await openRemoteBlobs();
    await remote.store.put(digest, byteSourceOf(bytes));
    const reply = await remote.calls.send({ method: 'GET', target: `/cas/${digest.hash}`, headers: { range: 'bytes=3-4' } });
    assert.deepEqual([reply.status, reply.contentLength], [206, 2]);
    await reply[Symbol.asyncDispose]();
    const source = await remote.store.get(digest, { range: { offset: 100, length: 50 } });
    assert.ok(source && (await readAll(source)).equals(bytes.subarray(100, 150)));
  });

  it('tells our client the codes that share a status', async () => {
    for (const code of ['data_loss', 'internal', 'failed_precondition', 'invalid_argument'] as const) {
      const failing = blobStoreWith(new MemoryBlobStore(), {
        resolve() {
          throw new CacheError(code, 'as planned');
        },
      });
      await using remote = await openRemoteBlobs({ blobs: failing });
      await assert.rejects(async () => remote.store.get(digest), { code });
    }
  });
});
