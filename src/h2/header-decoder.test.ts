// HPACK decoding: the examples of RFC 7541 appendix C, and what must be refused.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ConnectionError, errorCode } from './error-code.ts';
import { HeaderDecoder } from './header-decoder.ts';
import { encodeHeaders } from './header-encoder.ts';

function decode(decoder: HeaderDecoder, hex: string): readonly string[] {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return decoder.decode(bytes, 0, bytes.length).fields;
}

function refuses(hex: string, prepare: (decoder: HeaderDecoder) => void = () => {}): void {
  const decoder = new HeaderDecoder(65_536);
  prepare(decoder);
  assert.throws(() => decode(decoder, hex), (thrown) => thrown instanceof ConnectionError && thrown.code === errorCode.compressionError, hex);
}

const request1 = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'];
const request2 = [...request1, 'cache-control', 'no-cache'];
const request3 = [':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com', 'custom-key', 'custom-value'];
const date1 = 'Mon, 21 Oct 2013 20:13:21 GMT';
const date2 = 'Mon, 21 Oct 2013 20:13:22 GMT';
const location = 'https://www.example.com';
const answer1 = [':status', '302', 'cache-control', 'private', 'date', date1, 'location', location];
const answer2 = [':status', '307', 'cache-control', 'private', 'date', date1, 'location', location];
const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const answer3 = [':status', '200', 'cache-control', 'private', 'date', date2, 'location', location, 'content-encoding', 'gzip', 'set-cookie', cookie];

describe('HPACK decoder: RFC 7541 appendix C', () => {
  it('C.2: each representation', () => {
    assert.deepEqual(decode(new HeaderDecoder(1_000), '400a637573746f6d2d6b65790d637573746f6d2d686561646572'), ['custom-key', 'custom-header']);
    assert.deepEqual(decode(new HeaderDecoder(1_000), '040c2f73616d706c652f70617468'), [':path', '/sample/path']);
    assert.deepEqual(decode(new HeaderDecoder(1_000), '100870617373776f726406736563726574'), ['password', 'secret']);
    assert.deepEqual(decode(new HeaderDecoder(1_000), '82'), [':method', 'GET']);
  });

  it('C.3: requests without Huffman code', () => {
    const decoder = new HeaderDecoder(1_000);
    assert.deepEqual(decode(decoder, '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'), request1);
    assert.deepEqual(decode(decoder, '8286 84be 5808 6e6f 2d63 6163 6865'), request2);
    assert.deepEqual(decode(decoder, '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'), request3);
  });

  it('C.4: requests with Huffman code', () => {
    const decoder = new HeaderDecoder(1_000);
    assert.deepEqual(decode(decoder, '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), request1);
    assert.deepEqual(decode(decoder, '8286 84be 5886 a8eb 1064 9cbf'), request2);
    assert.deepEqual(decode(decoder, '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'), request3);
  });

  it('C.5: responses without Huffman code and a table of 256 bytes, so that entries are evicted', () => {
    const decoder = new HeaderDecoder(1_000);
    const first = '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d';
    const third =
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31';
    assert.deepEqual(decode(decoder, `3fe101 ${first}`), answer1);
    assert.deepEqual(decode(decoder, '4803 3330 37c1 c0bf'), answer2);
    assert.deepEqual(decode(decoder, third), answer3);
  });

  it('C.6: the same with Huffman code', () => {
    const decoder = new HeaderDecoder(1_000);
    const first = '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3';
    const third =
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07';
    assert.deepEqual(decode(decoder, `3fe101 ${first}`), answer1);
    assert.deepEqual(decode(decoder, '4883 640e ffc1 c0bf'), answer2);
    assert.deepEqual(decode(decoder, third), answer3);
  });
});

describe('HPACK decoder: bounds', () => {
  it('refuses index 0, indexes outside the tables, and fields that end too early', () => {
    for (const hex of ['80', 'be', 'ff8001', '40', '4001', '400161', '40016102', '0f', '7f', '00018161']) refuses(hex);
  });

  it('refuses integers beyond 2^28 and without an end', () => {
    refuses('ffffffffff7f');
    refuses('ff80808080808080808000');
    refuses('7fffffffffffffffffff00');
    refuses('ff8080');
  });

  it('refuses a string that says it is longer than its block', () => refuses('00 7f ffff7f'));

  it('takes table size updates at the beginning only, and none above the limit', () => {
    assert.deepEqual(decode(new HeaderDecoder(1_000), '20 3fe11f 82'), [':method', 'GET']);
    refuses('82 20');
    refuses('3fe21f');
    refuses('3fe11f 82', (decoder) => decoder.setCapacityMax(256));
  });

  it('asks for a table size update after the limit was lowered (RFC 7541 §4.2)', () => {
    refuses('82', (decoder) => decoder.setCapacityMax(256));
    const decoder = new HeaderDecoder(1_000);
    decode(decoder, '400161 0162');
    decoder.setCapacityMax(0);
    assert.equal(decoder.mustResize, true);
    assert.deepEqual(decode(decoder, '20 82'), [':method', 'GET']);
    assert.equal(decoder.mustResize, false);
    assert.throws(() => decode(decoder, 'be'), ConnectionError); // the entry is gone
  });

  it('empties the table for an entry that is larger than it', () => {
    const decoder = new HeaderDecoder(1_000);
    decode(decoder, '3f01 400161 0162'); // 32 bytes of table, 34 of entry
    assert.throws(() => decode(decoder, 'be'), ConnectionError);
  });

  it('gives the beginning of a list that is too long, and keeps the table right for the next block', () => {
    const decoder = new HeaderDecoder(100);
    const block = Buffer.from('400161016240016301644001650166', 'hex');
    const decoded = decoder.decode(block, 0, block.length);
    assert.equal(decoded.tooLong, true);
    assert.deepEqual(decoded.fields, ['a', 'b', 'c', 'd']);
    assert.deepEqual(decode(decoder, 'bec0'), ['e', 'f', 'a', 'b']);
  });

  it('skips what follows in every form, and still finds what is wrong in it', () => {
    const long = '400161 0164'.replace(' ', ''); // a: d, 34 bytes of list
    const decoder = new HeaderDecoder(40);
    // Literals without the table, never indexed, with a name of the table, packed by Huffman, and one into the table.
    const rest = ['00 0162 0163', '10 0162 0163', '04 0163', '0f2f 0163', '00 811f 811f', '40 0165 0166', '82'].join('').replaceAll(' ', '');
    const decoded = decoder.decode(Buffer.from(long + long + rest, 'hex'), 0, (long.length * 2 + rest.length) / 2);
    assert.equal(decoded.tooLong, true);
    assert.deepEqual(decoded.fields, ['a', 'd']);
    assert.deepEqual(decode(new HeaderDecoder(100), '400165 0166 be'), ['e', 'f', 'e', 'f']);
    const afterwards = new HeaderDecoder(70);
    afterwards.decode(Buffer.from(`${long}${long}${long}400165 0166`.replaceAll(' ', ''), 'hex'), 0, 20);
    assert.deepEqual(decode(afterwards, 'be'), ['e', 'f'], 'what is skipped is in the table all the same');
    for (const wrong of ['80', 'ff00', '3f01', '00', '000162', '00016205 63'.replace(' ', ''), '0f']) {
      assert.throws(() => decode(new HeaderDecoder(40), `${long}${long}${wrong}`), ConnectionError, wrong);
    }
  });

  it('does not grow with a block that unfolds: what is given out stays within the limit', () => {
    const decoder = new HeaderDecoder(65_536);
    const value = 'x'.repeat(4_000);
    const first = Buffer.concat([Buffer.from('400161', 'hex'), Buffer.from([0x7f, 0xa1, 0x1e]), Buffer.from(value)]);
    decoder.decode(first, 0, first.length);
    const bomb = Buffer.alloc(16_000, 0xbe);
    const decoded = decoder.decode(bomb, 0, bomb.length);
    assert.equal(decoded.tooLong, true);
    assert.ok(decoded.fields.length <= 2 * 17);
  });

  it('keeps neither a block nor room for the longest string of one', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const decoders = Array.from({ length: 50 }, () => new HeaderDecoder(1_000));
    const encoded = encodeHeaders([['x', 'a'.repeat(90_000)]]);
    collect();
    const before = process.memoryUsage().arrayBuffers;
    for (const decoder of decoders) assert.equal(decoder.decode(Uint8Array.from(encoded), 0, encoded.length).tooLong, true);
    collect();
    const bytes = (process.memoryUsage().arrayBuffers - before) / decoders.length;
    assert.ok(bytes < 10_000, `${bytes} bytes for each of ${decoders.length}`);
  });
});
