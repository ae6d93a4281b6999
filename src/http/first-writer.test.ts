// Entries over HTTP when the caller may write and not overwrite: what stays, and what each tool is told.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { authorizerOf } from '../testing/serve-cache.ts';
import { serveHttp } from '../testing/serve-http.ts';
import type { ServedHttp } from '../testing/serve-http.ts';

const path = `/main/ac/${Digest.of(Buffer.from('an action')).hash}`;
const writing = { authorizer: authorizerOf(['read', 'write']) };
const why = 'not stored: another entry is here under the same key, and the first one is kept; no right to overwrite in "main"\n';

const message = (init: MessageInitShape<typeof ActionResultSchema>) => create(ActionResultSchema, init);
const linkTo = (target: string, worker = 'w') => message({ outputSymlinks: [{ path: 'link', target }], executionMetadata: { worker } });
const binary = (target: string, worker?: string) => Buffer.from(toBinary(ActionResultSchema, linkTo(target, worker)));
const json = (target: string, worker?: string) => Buffer.from(toJsonString(ActionResultSchema, linkTo(target, worker)));
const ccacheValue = (seed: number) => Buffer.concat([Buffer.from([0xcc, 0xac]), Buffer.alloc(300, seed)]);

const put = (served: ServedHttp, body: Uint8Array, target = path) => fetchHttp(served.port, target, { method: 'PUT', body });

describe('PUT under /ac/ without the right to overwrite', () => {
  const forms: readonly [string, Uint8Array, Uint8Array][] = [
    ['a binary result', binary('a'), binary('b')],
    ['a result as JSON', json('a'), json('b')],
    ["a tool's own bytes", ccacheValue(1), ccacheValue(2)],
    ['a result, by JSON for another', binary('a'), json('b')],
    ['JSON, by a binary result', json('a'), binary('b')],
    ['a result, by bytes of a tool', binary('a'), ccacheValue(1)],
    ['bytes of a tool, by a result', ccacheValue(1), binary('a')],
    ['JSON, by bytes of a tool', json('a'), ccacheValue(1)],
  ];
  for (const [name, first, second] of forms) {
    it(`CT-9: replaces nothing, and says so with 409: ${name}`, async () => {
      await using served = await serveHttp(writing);
      const ways = [{ accept: '*/*' }, { accept: 'application/json' }];
      const seen = () => Promise.all(ways.map(async (headers) => (await fetchHttp(served.port, path, { headers })).body));
      assert.equal((await put(served, first)).status, 200);
      const before = await seen();
      const refused = await put(served, second);
      assert.deepEqual([refused.status, refused.text, refused.headers['kiln-code']], [409, why, 'already_exists']);
      assert.deepEqual(await seen(), before, 'no reader of the path gets anything else');
      assert.equal((await put(served, first)).status, 200, 'the very same again goes well');
      assert.deepEqual(await seen(), before);
    });
  }

  it('CT-9: goes well where the entry that stays gives a build the same (MO-2: times differ each time)', async () => {
    await using served = await serveHttp(writing);
    assert.equal((await put(served, json('a', 'first'))).status, 200);
    assert.equal((await put(served, json('a', 'second'))).status, 200);
    const asJson = async () => (await fetchHttp(served.port, path, { headers: { accept: 'application/json' } })).text;
    assert.match(await asJson(), /"first"/);
    assert.equal((await put(served, binary('a', 'third'))).status, 200);
    assert.match(await asJson(), /"first"/);
  });

  it('CT-9: JSON beside a binary result that says the same changes nothing for those who read JSON', async () => {
    await using served = await serveHttp(writing);
    assert.equal((await put(served, binary('a', 'first'))).status, 200);
    const asJson = async () => (await fetchHttp(served.port, path, { headers: { accept: 'application/json' } })).text;
    const before = await asJson();
    assert.equal((await put(served, Buffer.from(String(json('a', 'second')).replace('{', '{"ofANewerTool":"poison",')))).status, 200);
    assert.equal(await asJson(), before);
  });

  it('CT-9: replaces what is not served: a result, binary or JSON, whose blobs are gone', async () => {
    await using served = await serveHttp(writing);
    const digest = Digest.of(Buffer.from('gone'));
    const gone = message({ outputFiles: [{ path: 'a', digest: { hash: digest.hash, sizeBytes: 4n } }] });
    for (const incomplete of [Buffer.from(toBinary(ActionResultSchema, gone)), Buffer.from(toJsonString(ActionResultSchema, gone))]) {
      for (const next of [binary('b'), json('b'), ccacheValue(1)]) {
        await using fresh = await serveHttp(writing);
        assert.equal((await put(fresh, incomplete)).status, 200);
        assert.equal((await put(fresh, next)).status, 200);
      }
    }
    await served.blobs.put(digest, byteSourceOf(Buffer.from('gone')));
    assert.equal((await put(served, Buffer.from(toJsonString(ActionResultSchema, gone)))).status, 200);
    assert.equal((await put(served, json('b'))).status, 409, 'now they are there');
  });

  it('CT-9: counts by kind what was kept, leaves other instances and blobs alone', async () => {
    const meter = new RecordedMeter();
    await using served = await serveHttp({ ...writing, meter });
    for (const target of [path, path.replace('main', 'other')]) assert.equal((await put(served, binary('a'), target)).status, 200);
    await put(served, binary('b'));
    await put(served, ccacheValue(1));
    assert.deepEqual(['action_result', 'opaque'].map((kind) => meter.value(`kiln_entries_kept_total{kind="${kind}"}`)), [1, 1]);
    assert.match(served.log.lines.join('\n'), /debug another entry was kept \{"caller":"anonymous","kind":"opaque","instance":"main"/);
    const blob = Buffer.from('content-addressed');
    for (let round = 0; round < 2; round += 1) assert.equal((await put(served, blob, `/main/cas/${Digest.of(blob).hash}`)).status, 200);
  });

  it('CT-9: whoever may overwrite does', async () => {
    await using served = await serveHttp({ authorizer: authorizerOf(['read', 'write', 'overwrite']) });
    for (const body of [binary('a'), binary('b')]) assert.equal((await put(served, body)).status, 200);
    assert.deepEqual((await fetchHttp(served.port, path)).body, binary('b'));
  });
});
