// Action results over HTTP: the binary form, JSON, and what is neither.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, toBinary, toJsonString } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { classifyActionValue } from '../actions/action-value.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import type { ValueStore } from '../blob/value-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveHttp } from '../testing/serve-http.ts';
import type { ServedHttp } from '../testing/serve-http.ts';

const hash = Digest.of(Buffer.from('an action')).hash;
const path = `/main/ac/${hash}`;
const json = { accept: 'application/json' };

const put = (served: ServedHttp, target: string, body: Uint8Array | string | AsyncIterable<Uint8Array>, headers: Record<string, string> = {}) =>
  fetchHttp(served.port, target, { method: 'PUT', body, headers });

async function storeBlob(served: ServedHttp, text: string, digestFunction: DigestFunction = sha256) {
  const digest = Digest.of(Buffer.from(text), digestFunction);
  await served.blobs.put(digest, byteSourceOf(Buffer.from(text)));
  return { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) };
}

const encode = (init: MessageInitShape<typeof ActionResultSchema>) => Buffer.from(toBinary(ActionResultSchema, create(ActionResultSchema, init)));

/** A result that refers to something, so that it is told from a tool's own bytes. */
const resultOf = (exitCode: number) => encode({ exitCode, outputSymlinks: [{ path: 'link', target: 'file' }] });

/** What moon 2.4.6 sends, with its offsets and fraction digits and no zero values. */
const moonJson = (digest: { hash: string; sizeBytes: bigint }) =>
  `{"outputFiles":[{"path":"app/dist/empty.txt","digest":{"hash":"${sha256.emptyHash}"},"nodeProperties":{"mtime":"2026-11-21T09:50:23.391084438+00:00","unixMode":33188}},` +
  `{"path":"app/dist/out.txt","digest":{"hash":"${digest.hash}","sizeBytes":"${digest.sizeBytes}"},"isExecutable":true,"nodeProperties":{"mtime":"2026-11-21T09:50:23.391084438+00:00","unixMode":33261}}],` +
  `"stdoutDigest":{"hash":"${digest.hash}","sizeBytes":"${digest.sizeBytes}"},"executionMetadata":{"worker":"moon","outputUploadStartTimestamp":"2026-11-21T09:50:23.399521778+00:00"}}`;

/** ccache's values begin with this magic; they are no protobuf. */
const ccacheValue = Buffer.concat([Buffer.from([0xcc, 0xac, 0x01, 0x01, 0x00]), Buffer.alloc(2000, 0xab)]);

/** The same store, but its values come as streams in small pieces. */
function streaming(inner: ValueStore): ValueStore {
  return {
    capabilities: inner.capabilities,
    put: (...given) => inner.put(...given),
    putFirst: (...given) => inner.putFirst(...given),
    async get(key) {
      const source = await inner.get(key);
      const bytes = source?.inMemory;
      return (
        bytes && {
          sizeBytes: bytes.byteLength,
          async *[Symbol.asyncIterator]() {
            for (let offset = 0; offset < bytes.byteLength; offset += 100) yield bytes.subarray(offset, offset + 100);
          },
          async [Symbol.asyncDispose]() {},
        }
      );
    },
  };
}

describe('binary action results over HTTP', () => {
  it('BZ-1, BZ-5: come back as they were put, while their blobs are there', async () => {
    await using served = await serveHttp();
    const body = encode({ outputFiles: [{ path: 'a', digest: await storeBlob(served, 'a') }], exitCode: 0 });
    assert.equal((await put(served, path, body)).status, 200);
    const reply = await fetchHttp(served.port, path, { headers: { accept: '*/*' } });
    assert.equal(reply.status, 200);
    assert.ok(reply.body.equals(body));
    assert.equal(reply.headers['content-type'], 'application/octet-stream');
    const head = await fetchHttp(served.port, path, { method: 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, String(body.length), '']);
  });

  it('BZ-4, AC-2: an incomplete result is 404, until its blob is there', async () => {
    await using served = await serveHttp();
    const lost = Digest.of(Buffer.from('lost'));
    await put(served, path, encode({ outputFiles: [{ path: 'a', digest: { hash: lost.hash, sizeBytes: 4n } }] }));
    assert.equal((await fetchHttp(served.port, path)).status, 404);
    assert.equal((await fetchHttp(served.port, path, { method: 'HEAD' })).status, 404);
    await storeBlob(served, 'lost');
    assert.equal((await fetchHttp(served.port, path)).status, 200);
  });

  it('IN-3, AC-9: are separate per instance and per function', async () => {
    await using served = await serveHttp();
    await put(served, path, resultOf(1));
    assert.equal((await fetchHttp(served.port, path)).status, 200);
    for (const other of [`/ac/${hash}`, `/main/x/ac/${hash}`, `/main/ac/blake3/${hash}`]) {
      assert.equal((await fetchHttp(served.port, other)).status, 404, other);
    }
    await put(served, `/ac/blake3/${hash}`, encode({ stdoutDigest: await storeBlob(served, 'b3', blake3) }));
    assert.equal((await fetchHttp(served.port, `/ac/blake3/${hash}`)).status, 200);
  });

  it('AC-5: what is inlined becomes a blob', async () => {
    await using served = await serveHttp();
    await put(served, path, encode({ stdoutRaw: Buffer.from('printed'), outputFiles: [{ path: 'a', contents: Buffer.from('inlined') }] }));
    const result = fromBinary(ActionResultSchema, (await fetchHttp(served.port, path)).body);
    assert.equal(result.stdoutDigest?.hash, Digest.of(Buffer.from('printed')).hash);
    assert.equal((await fetchHttp(served.port, `/cas/${result.outputFiles[0]?.digest?.hash}`)).text, 'inlined');
    const wrong = encode({ stdoutRaw: Buffer.from('printed'), stdoutDigest: await storeBlob(served, 'other') });
    assert.equal((await put(served, path, wrong)).status, 400);
  });

  it('BZ-8, MO-2: are given as JSON to who asks for JSON', async () => {
    await using served = await serveHttp();
    const stdoutDigest = await storeBlob(served, 'out');
    await put(served, path, encode({ stdoutDigest, exitCode: 3 }));
    const reply = await fetchHttp(served.port, path, { headers: { accept: 'text/html, Application/JSON;q=0.9' } });
    assert.equal(reply.headers['content-type'], 'application/json');
    assert.equal(reply.text, toJsonString(ActionResultSchema, create(ActionResultSchema, { stdoutDigest, exitCode: 3 })));
  });

  it('an empty body is 400: nobody means the result that did nothing', async () => {
    await using served = await serveHttp();
    assert.equal((await put(served, path, '')).status, 400);
    assert.equal((await fetchHttp(served.port, path)).status, 404);
  });

  it('AC-10: the last put wins', async () => {
    await using served = await serveHttp();
    for (const exitCode of [1, 2]) await put(served, path, resultOf(exitCode));
    assert.equal(fromBinary(ActionResultSchema, (await fetchHttp(served.port, path)).body).exitCode, 2);
  });
});

describe('JSON action results (moon)', () => {
  for (const [how, make] of [['in memory', (inner: ValueStore) => inner], ['streamed', streaming]] as const) {
    it(`MO-1, MO-2, BZ-8: come back byte by byte to who asks for JSON (${how})`, async () => {
      await using served = await serveHttp({ values: make(new MemoryValueStore()) });
      const body = moonJson(await storeBlob(served, 'hello\n'));
      assert.equal((await put(served, path, body, { 'content-type': 'application/json' })).status, 200);
      const reply = await fetchHttp(served.port, path, { headers: json });
      assert.deepEqual([reply.status, reply.text, reply.headers['content-type']], [200, body, 'application/json']);
    });
  }

  it('MO-2: a reader that does not ask for JSON gets the binary form', async () => {
    await using served = await serveHttp();
    const digest = await storeBlob(served, 'hello\n');
    await put(served, path, moonJson(digest), { 'content-type': 'application/json' });
    const reply = await fetchHttp(served.port, path, { headers: { accept: '*/*' } });
    const result = fromBinary(ActionResultSchema, reply.body);
    assert.equal(result.executionMetadata?.worker, 'moon');
    assert.equal(result.outputFiles[1]?.nodeProperties?.unixMode, 33261);
    assert.equal(result.stdoutDigest?.hash, digest.hash);
  });

  it('AC-2: an incomplete one is 404', async () => {
    await using served = await serveHttp();
    const lost = Digest.of(Buffer.from('lost'));
    await put(served, path, moonJson({ hash: lost.hash, sizeBytes: 4n }), { 'content-type': 'application/json' });
    assert.equal((await fetchHttp(served.port, path, { headers: json })).status, 404);
    assert.equal((await fetchHttp(served.port, path)).status, 404);
  });

  it('and a binary one of the same key never take each other\'s place', async () => {
    await using served = await serveHttp();
    const body = moonJson(await storeBlob(served, 'hello\n'));
    const binary = resultOf(5);
    await put(served, path, binary);
    await put(served, path, body, { 'content-type': 'application/json' });
    assert.equal((await fetchHttp(served.port, path, { headers: json })).text, body);
    assert.ok((await fetchHttp(served.port, path)).body.equals(binary));
  });

  it('are kept with opaqueValues off: they are results', async () => {
    await using served = await serveHttp({ limits: { opaqueValues: false } });
    const body = moonJson(await storeBlob(served, 'hello\n'));
    assert.equal((await put(served, path, body, { 'content-type': 'application/json' })).status, 200);
    assert.equal((await fetchHttp(served.port, path, { headers: json })).text, body);
  });
});

describe('values that are no action results (ccache)', () => {
  for (const [how, make] of [['in memory', (inner: ValueStore) => inner], ['streamed', streaming]] as const) {
    it(`CC-2, CT-3: come back as they were put (${how})`, async () => {
      await using served = await serveHttp({ values: make(new MemoryValueStore()) });
      assert.equal((await put(served, path, ccacheValue)).status, 200);
      const reply = await fetchHttp(served.port, path);
      assert.deepEqual([reply.status, reply.body.equals(ccacheValue)], [200, true]);
      assert.equal((await fetchHttp(served.port, path, { method: 'HEAD' })).headers['content-length'], String(ccacheValue.length));
      assert.equal((await fetchHttp(served.port, `/other/ac/${hash}`)).status, 404);
    });
  }

  it('CC-5: are replaced by the next put, also without a length', async () => {
    await using served = await serveHttp();
    await put(served, path, ccacheValue);
    const other = Buffer.concat([ccacheValue, Buffer.from('x')]);
    assert.equal((await put(served, path, byteSourceOf(other))).status, 200);
    assert.ok((await fetchHttp(served.port, path)).body.equals(other));
  });

  it('CC-2: longer than any action result are streamed through', async () => {
    await using served = await serveHttp({ limits: { actionResultBytesMax: 1000 }, values: streaming(new MemoryValueStore()) });
    const large = Buffer.alloc(3_000_000, 0xcc);
    assert.equal((await put(served, path, large)).status, 200);
    assert.ok((await fetchHttp(served.port, path)).body.equals(large));
  });

  it('that look like something else are kept as they are', async () => {
    await using served = await serveHttp();
    const values = [
      '{"no":"action result"}',
      '{"broken',
      '{}',
      Buffer.from([0x12, 0xff]), // an output file that ends too early
      encode({ outputFiles: [{ path: 'a', digest: { hash: 'no hash', sizeBytes: 1n } }] }),
      encode({ outputFiles: [{ digest: { hash, sizeBytes: 1n } }] }),
      encode({ exitCode: 5 }), // two bytes that may mean anything
      Buffer.from([0xfa, 0x06, 0x03, 0x61, 0x62, 0x63]), // nothing but a field that no action result has
    ];
    for (const value of values) {
      assert.equal((await put(served, path, value)).status, 200);
      assert.ok((await fetchHttp(served.port, path)).body.equals(Buffer.from(value)), String(value));
    }
  });

  it('CT-3: get 400 where they are switched off', async () => {
    await using served = await serveHttp({ limits: { opaqueValues: false } });
    const reply = await put(served, path, ccacheValue);
    assert.equal(reply.status, 400);
    assert.match(reply.text, /no ActionResult/);
    assert.equal((await fetchHttp(served.port, path)).status, 404);
    const large = await put(served, path, Buffer.alloc(5_000_000));
    assert.equal(large.status, 413);
  });

  it('a value above the limit of the store is 413', async () => {
    await using served = await serveHttp({ values: new MemoryValueStore({ bytesMax: 100_000, valueBytesMax: 1000 }), limits: { actionResultBytesMax: 500 } });
    assert.equal((await put(served, path, ccacheValue)).status, 413);
    assert.equal((await put(served, path, byteSourceOf(ccacheValue))).status, 400, 'without a length it is found out later');
  });
});

describe('telling what a value is', () => {
  it('takes nothing for a result that would fill the memory when it is decoded', () => {
    const result = resultOf(0);
    const padded = (fields: number) => Buffer.concat([result, Buffer.alloc(2 * fields, Buffer.from([0x78, 1]))]); // field 15
    assert.equal(classifyActionValue(padded(400_000), sha256).kind, 'binary');
    assert.equal(classifyActionValue(padded(500_000), sha256).kind, 'foreign');
    const empty = (objects: number) => Buffer.from(`{"outputSymlinks":[{"path":"a","target":"b"}],"x":[${'{},'.repeat(objects)}{}]}`);
    assert.equal(classifyActionValue(empty(400_000), sha256).kind, 'json');
    assert.equal(classifyActionValue(empty(500_000), sha256).kind, 'foreign');
    const named = (parts: number) =>
      Buffer.from(`{"outputSymlinks":[{"path":"a","target":"b","nodeProperties":{"properties":[${Array.from({ length: parts }, () => '{"name":"a"}').join()}]}}]}`);
    assert.equal(classifyActionValue(named(240_000), sha256).kind, 'json');
    assert.equal(classifyActionValue(named(260_000), sha256).kind, 'foreign', 'two fields each');
  });

  it('takes no random bytes for a result, and chokes on none', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 5_000; round += 1) {
      assert.equal(classifyActionValue(random.bytes(random.integer(1, 100)), sha256).kind, 'foreign');
    }
  });

  it('never chokes on a damaged result', (t) => {
    const random = seededRandom(t);
    const digest = { hash, sizeBytes: 9n };
    const whole = encode({
      outputFiles: [{ path: 'a', digest, nodeProperties: { unixMode: 1, mtime: { seconds: 1n } } }],
      outputDirectories: [{ path: 'd', treeDigest: digest }],
      stdoutDigest: digest,
      executionMetadata: { worker: 'w' },
    });
    const asJson = Buffer.from(moonJson(digest));
    for (let round = 0; round < 5_000; round += 1) {
      const damaged = Buffer.from(random.pick([whole, asJson]));
      for (let hit = random.integer(1, 4); hit > 0; hit -= 1) damaged[random.integer(0, damaged.length - 1)] = random.integer(0, 255);
      classifyActionValue(damaged.subarray(0, random.integer(0, damaged.length)), sha256);
    }
    assert.equal(classifyActionValue(whole, sha256).kind, 'binary');
    assert.equal(classifyActionValue(asJson, sha256).kind, 'json');
  });
});
