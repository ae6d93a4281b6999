// The small forms of gRPC's headers: timeouts, percent-encoding, -bin metadata, statuses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertMetadata, decodeBinaryMetadata, encodeBinaryMetadata } from './metadata.ts';
import { percentDecode, percentEncode } from './percent-encoding.ts';
import { codeOfGrpcStatus, grpcStatusOf } from './status.ts';
import { parseTimeout } from './timeout.ts';

describe('grpc-timeout', () => {
  it('HT-7: reads every unit', () => {
    assert.deepEqual(['2H', '3M', '4S', '5m', '6u', '7n', '00000001S'].map(parseTimeout), [7_200_000, 180_000, 4000, 5, 0.006, 0.000007, 1000]);
  });
  it('takes more than timers can wait for no deadline', () => {
    assert.equal(parseTimeout('99999999H'), Infinity);
  });
  it('refuses what is not up to eight digits and a unit', () => {
    for (const wrong of ['', 'S', '5', '5s', '-5S', '1.5S', ' 5S', '123456789S', '5 S', '0x5S', '5constructor']) {
      assert.equal(parseTimeout(wrong), undefined, wrong);
    }
  });
});

describe('grpc-message', () => {
  it('ERR-9: is UTF-8 with everything but printable ASCII escaped, and comes back', () => {
    const text = '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n 100%';
    const encoded = percentEncode(text);
    assert.match(encoded, /^[ -~]*$/);
    assert.ok(encoded.startsWith('%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA'));
    assert.equal(percentDecode(encoded), text);
    assert.equal(percentEncode('digest abc/12 is missing'), 'digest abc/12 is missing');
  });
  it('escapes blanks at the ends, which HTTP/2 forbids there', () => {
    assert.equal(percentEncode(' a b '), '%20a b%20');
    assert.equal(percentEncode(' '), '%20');
  });
  it('never fails to decode', () => {
    assert.equal(percentDecode('100% %4 %zz %E2%98'), '100% %4 %zz \ufffd');
  });
});

describe('-bin metadata', () => {
  it('MD-3: is read padded and unpadded', () => {
    for (const text of ['q80', 'q80=']) assert.deepEqual(decodeBinaryMetadata(text), Uint8Array.of(0xab, 0xcd));
    assert.deepEqual(decodeBinaryMetadata('qw=='), Uint8Array.of(0xab));
    assert.deepEqual(decodeBinaryMetadata(''), new Uint8Array(0));
    assert.deepEqual(decodeBinaryMetadata('-_8'), decodeBinaryMetadata('+/8='));
    assert.deepEqual(decodeBinaryMetadata('q80, qw'), Uint8Array.of(0xab, 0xcd));
  });
  it('MD-2: that is no base64 is absent', () => {
    for (const wrong of ['q', 'q8*', 'q=80', '====', 'a b']) assert.equal(decodeBinaryMetadata(wrong), undefined, wrong);
  });
  it('is written unpadded', () => {
    assert.equal(encodeBinaryMetadata(Uint8Array.of(0xab, 0xcd)), 'q80');
  });
  it('has no reserved names and no values that HTTP/2 refuses', () => {
    for (const name of ['grpc-status', ':path', 'Upper', 'content-type', 'te', 'a b', '']) {
      assert.throws(() => assertMetadata(name, 'x'), { name: 'AssertionError' }, name);
    }
    for (const value of [' x', 'x ', 'a\nb', '\u00fc']) assert.throws(() => assertMetadata('x-a', value), { name: 'AssertionError' });
    assertMetadata('x-terminal.name_1', 'a value, of words');
    assertMetadata('content-types', '');
  });
});

describe('status table', () => {
  it('has the same row in both directions, and all of gRPC', () => {
    for (const [code, status] of Object.entries(grpcStatusOf)) assert.equal(codeOfGrpcStatus[status], code);
    assert.deepEqual(Object.keys(codeOfGrpcStatus).map(Number), Array.from({ length: 17 }, (_, status) => status));
  });
});
