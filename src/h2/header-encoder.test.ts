// HPACK encoding: what comes out is read back, stands for itself, and answers a lowered table limit.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { HeaderDecoder } from './header-decoder.ts';
import { HeaderTableNotice, encodeHeaders, prepareHeaders, prepareRequest, prepareRequestHeaders } from './header-encoder.ts';
import type { OutgoingHeaders } from './stream.ts';

function readBack(block: Uint8Array): readonly string[] {
  return new HeaderDecoder(1_000_000).decode(block, 0, block.length).fields;
}

describe('header encoder', () => {
  it('uses the static table, Huffman code where shorter, and plain octets where not', () => {
    const hex = (headers: OutgoingHeaders) => Buffer.from(encodeHeaders(headers)).toString('hex');
    assert.equal(hex([[':status', '200']]), '88');
    assert.equal(hex([[':status', '302']]), '08826402');
    assert.equal(hex([['custom-key', 'custom-value']]), '008825a849e95ba97d7f8925a849e95bb8e8b4bf');
    assert.equal(hex([['etag', '"~~~"']]), `0f1305${Buffer.from('"~~~"').toString('hex')}`);
  });

  it('is read back as it was, whatever the lengths', (t) => {
    const random = seededRandom(t);
    const letters = 'abcdefghijklmnopqrstuvwxyz0123456789-_.'.split('');
    for (let round = 0; round < 200; round++) {
      const headers = Array.from({ length: random.integer(1, 8) }, (): [string, string] => {
        const name = Array.from({ length: random.integer(1, 200) }, () => random.pick(letters)).join('');
        const value = Array.from({ length: random.pick([0, 1, 126, 127, 128, 300, 20_000]) }, () => String.fromCharCode(random.integer(0x21, 0x7e))).join('');
        return [name, value];
      });
      assert.deepEqual(readBack(encodeHeaders(headers)), headers.flat());
    }
  });

  it('encodes what requests share once, and the same octets as all of it together, secrets never indexed', () => {
    const fields: OutgoingHeaders = [[':method', 'POST'], [':path', '/a.B/c'], ['authorization', 'Bearer secret'], ['te', 'trailers']];
    const shared = prepareRequest(fields);
    const before = Buffer.from(shared.block).toString('hex');
    for (const own of [[], [['grpc-timeout', '59987m']], [['grpc-timeout', '1S'], ['x-api-key', 'secret'], ['m', 'ö']]] satisfies OutgoingHeaders[]) {
      const { block } = prepareRequestHeaders({ shared, own });
      assert.deepEqual(Buffer.from(block), Buffer.from(encodeHeaders([...fields, ...own])));
      assert.deepEqual(readBack(block), [...fields, ...own].flat());
    }
    assert.equal(Buffer.from(shared.block).toString('hex'), before);
    // RFC 7541 §6.2.3: a literal that is never indexed begins with 0001, here with the index of its name (23 = 15 + 8).
    assert.ok(before.includes('1f08'));
    assert.throws(() => prepareRequestHeaders({ shared, own: [['x', 'a\nb']] }), AssertionError);
  });

  it('changes no table, so that a prepared block may be sent on any connection at any time', () => {
    const prepared = prepareHeaders([[':status', '200'], ['content-type', 'application/grpc'], ['x', 'y']]);
    const decoder = new HeaderDecoder(1_000);
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(decoder.decode(prepared.block, 0, prepared.block.length).fields, [':status', '200', 'content-type', 'application/grpc', 'x', 'y']);
      assert.equal(decoder.generation, 0);
    }
  });

  it('marks secrets as never to be indexed (RFC 7541 §6.2.3)', () => {
    for (const name of ['authorization', 'set-cookie']) assert.equal((encodeHeaders([[name, 'secret']])[0] ?? 0) & 0xf0, 0x10);
    assert.equal((encodeHeaders([['x-other', 'open']])[0] ?? 0) & 0xf0, 0x00);
  });

  it('does not let a malformed header out', () => {
    for (const [name, value] of [['Upper', 'a'], ['a b', 'c'], ['', 'a'], ['a', 'b\r\nc: d'], ['a', ' b'], ['a', 'b '], ['a', '\u20ac'], ['a:b', 'c']] as const) {
      assert.throws(() => encodeHeaders([[name, value]]), AssertionError, `${name}=${value}`);
    }
    assert.deepEqual(readBack(encodeHeaders([['empty', '']])), ['empty', '']);
  });
});

describe('header table notice (RFC 7541 §4.2)', () => {
  const block = encodeHeaders([[':status', '200']]);

  it('opens the next block with an update when the peer allows less than it believes to be in use, once', () => {
    const notice = new HeaderTableNotice();
    assert.equal(notice.open(block), block);
    notice.onLimit(4_095);
    assert.equal(Buffer.from(notice.open(block)).toString('hex'), '2088');
    assert.equal(notice.open(block), block);
    notice.onLimit(0); // it was told 0 already
    assert.equal(notice.open(block), block);
  });

  it('says nothing when the limit is raised', () => {
    const notice = new HeaderTableNotice();
    notice.onLimit(65_536);
    notice.onLimit(4_096);
    assert.equal(notice.open(block), block);
  });
});
