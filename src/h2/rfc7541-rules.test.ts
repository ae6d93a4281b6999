// RFC 7541 rule by rule, where its examples (header-decoder.test.ts) and the Huffman code alone (huffman.test.ts) do not
// show it. Every decoding error is COMPRESSION_ERROR of the connection (RFC 9113 §4.3).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionError, errorCode } from './error-code.ts';
import { HeaderDecoder } from './header-decoder.ts';
import { HeaderTableNotice, encodeHeaders } from './header-encoder.ts';

/** Blocks in hex, one after the other through one decoder; the fields of the last one, or `error`. */
function read(...blocks: readonly string[]): string {
  const decoder = new HeaderDecoder(1_000_000);
  let fields: readonly string[] = [];
  try {
    for (const hex of blocks) {
      const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      fields = decoder.decode(bytes, 0, bytes.length).fields;
    }
  } catch (thrown) {
    assert.ok(thrown instanceof ConnectionError);
    assert.equal(thrown.code, errorCode.compressionError);
    return 'error';
  }
  return fields.join(' ');
}

const addAB = '40 0161 0162'; // a: b, an entry of 34 bytes
const addCD = '40 0163 0164';

const rules: readonly (readonly [rule: string, blocks: readonly string[], wanted: string])[] = [
  ['§2.3.1: index 61 is the last of the static table', ['bd'], 'www-authenticate '],
  ['§2.3.2, §2.3.3: index 62 is the newest entry', [`${addAB} ${addCD}`, 'be bf'], 'c d a b'],
  ['§2.3.2: entries may repeat', [`${addAB} ${addAB}`, 'be bf'], 'a b a b'],
  ['§2.3.3: an index above both tables is an error', [addAB, 'bf'], 'error'],
  ['§2.3.3: so is one in the name of a literal', [addAB, '7f00 0162'], 'error'],
  ['§3.2: what a block adds can be used within it', [`${addAB} be`], 'a b a b'],
  ['§4.1: an entry counts 32 bytes besides its name and value', [`3f03 ${addAB}`, 'be'], 'a b'],
  ['§4.1, §4.4: one byte less is too little for it', [`3f02 ${addAB}`, 'be'], 'error'],
  ['§4.2: a size above the limit is an error', ['3fe21f'], 'error'],
  ['§4.2: a size of exactly the limit is none', ['3fe11f 82'], ':method GET'],
  ['§4.2: a size after a field is an error', ['82 20'], 'error'],
  ['§4.2: several sizes at the beginning are taken in turn', [addAB, '20 3fe11f 82'], ':method GET'],
  ['§4.3: a smaller size evicts from the oldest on', [`${addAB} ${addCD}`, '3f03 be'], 'c d'],
  ['§4.3: and what was evicted is gone', [`${addAB} ${addCD}`, '3f03', 'bf'], 'error'],
  ['§4.3: size 0 empties the table', [addAB, '20', 'be'], 'error'],
  ['§4.4: a name of an entry that is evicted for the new one', [`3f03 ${addAB}`, '7e 0178', 'be'], 'a x'],
  ['§4.4: an entry that does not fit empties the table, and is a field all the same', [`3f03 ${addAB}`, '40 0263 63 0164'], 'cc d'],
  ['§4.4: so that no entry is left', [`3f03 ${addAB}`, '40 0263 63 0164', 'be'], 'error'],
  ['§5.1: an integer may be written longer than needed', ['3f808000 82'], ':method GET'],
  ['§5.1: so may the length of a string', [`00 0161 7f8000 ${'62'.repeat(127)}`], `a ${'b'.repeat(127)}`],
  ['§5.1: an integer that ends with its block', ['7f'], 'error'],
  ['§5.1: an integer that does not end', ['3fffffffffffffffff7f'], 'error'],
  ['§5.2: a string longer than its block', ['00 0561 62'], 'error'],
  ['§5.2: an empty string', ['00 0161 00'], 'a '],
  ['§5.2: padding of Huffman code that is not of ones', ['00 0161 8118'], 'error'],
  ['§5.2: padding of 8 ones', ['00 0161 821fff'], 'error'],
  ['§5.2: the end-of-string symbol', ['00 0161 84ffffffff'], 'error'],
  ['§5.2: Huffman code in name and value', ['00 811f 811f'], 'a a'],
  ['§6.1: index 0 is an error', ['80'], 'error'],
  ['§6.2.1: a literal with indexing is indexed', [addAB, 'be'], 'a b'],
  ['§6.2.1: with a name of the table', ['41 0161', 'be'], ':authority a'],
  ['§6.2.2: a literal without indexing is not', ['00 0161 0162', 'be'], 'error'],
  ['§6.2.2: with a name of the table', ['01 0161'], ':authority a'],
  ['§6.2.3: a literal never indexed is not', ['10 0161 0162', 'be'], 'error'],
  ['§6.2.3: with a name of the table', ['11 0161'], ':authority a'],
  ['§6.3: a size update alone is a block', ['20'], ''],
  ['§6.3: an empty block', [''], ''],
];

describe('RFC 7541, decoding', () => {
  for (const [rule, blocks, wanted] of rules) {
    it(`${rule}: ${wanted === '' ? 'no fields' : wanted}`, () => assert.equal(read(...blocks), wanted));
  }

  it('§4.2: a limit that is raised changes nothing until the peer uses it', () => {
    const decoder = new HeaderDecoder(1_000);
    decoder.setCapacityMax(8_192);
    assert.equal(decoder.mustResize, false);
    const update = Buffer.from([0x3f, 0xe1, 0x3f, 0x82]); // 8,192
    assert.deepEqual(decoder.decode(update, 0, update.length).fields, [':method', 'GET']);
  });

  it('§4.2: a limit that is lowered below what is in use must be followed by the next block', () => {
    const decoder = new HeaderDecoder(1_000);
    const small = Buffer.from('3f45 82'.replace(' ', ''), 'hex'); // 100
    decoder.decode(small, 0, small.length);
    decoder.setCapacityMax(100);
    assert.equal(decoder.mustResize, false, 'it is that small already');
    decoder.setCapacityMax(99);
    assert.equal(decoder.mustResize, true);
  });
});

describe('RFC 7541, encoding', () => {
  const first = (name: string, value: string): number => encodeHeaders([[name, value]])[0] ?? 0;

  it('§4.2: after the limit was lowered, the next block opens with a size that fits, and only that one', () => {
    const notice = new HeaderTableNotice();
    const block = encodeHeaders([[':status', '200']]);
    notice.onLimit(65_536);
    assert.equal(notice.open(block), block);
    notice.onLimit(100);
    notice.onLimit(4_096); // lowered and raised between two blocks: the lowest counts
    const opened = notice.open(block);
    assert.equal(opened[0], 0x20);
    assert.equal(notice.open(block), block);
  });

  it('§6.2.3, §7.1.3: secrets are never indexed, under whatever name they are known to go', () => {
    const secrets = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'x-buildbuddy-api-key', 'x-auth-token', 'x-client-secret', 'private-token', 'x-password'];
    for (const name of secrets) assert.equal(first(name, 'value') & 0xf0, 0x10, name);
    for (const name of ['x-keyboard', 'key-count', 'content-type', 'grpc-status', 'x-request-id', 'etag']) assert.equal(first(name, 'value') & 0xf0, 0x00, name);
  });

  it('§6.2.3: a secret that is empty has nothing to hide', () => assert.equal(first('authorization', ''), 0x80 | 23));
});
