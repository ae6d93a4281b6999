// What clients send, and what they send by mistake.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAuthorization } from './authorization-header.ts';

const basic = (pair: string, encoding: BufferEncoding = 'base64'): string => `Basic ${Buffer.from(pair).toString(encoding)}`;

describe('an Authorization header', () => {
  it('ERR-10: holds a bearer token', () => {
    for (const value of ['Bearer kiln_abc', 'bearer kiln_abc', 'BEARER  kiln_abc ']) {
      assert.deepEqual(parseAuthorization(value), { kind: 'token', token: 'kiln_abc' });
    }
  });

  // Both encode to text with + and / in one alphabet, - and _ in the other.
  for (const password of ['a~~~>>>???', 'ÿÿÿ???>', 'with:colons:', '']) {
    it(`CT-4, ERR-10: holds the password ${JSON.stringify(password)} in base64 or base64url, padded or not`, () => {
      const expected = { kind: 'password', user: 'ann', password };
      const padded = basic(`ann:${password}`);
      for (const value of [padded, padded.replace(/=+$/, ''), basic(`ann:${password}`, 'base64url'), padded.replaceAll('+', '-').replaceAll('/', '_')]) {
        assert.deepEqual(parseAuthorization(value), expected);
      }
    });
  }

  it('may name no user', () => assert.deepEqual(parseAuthorization(basic(':secret')), { kind: 'password', user: '', password: 'secret' }));

  for (const value of ['', 'Bearer', 'Bearer ', 'Bearer two words', 'Basic', 'Basic =', 'Basic !!!!', 'Basic YQ', 'Basic YWJj', 'Basic a', 'kiln_secret', 'Digest username="a"', 'SharedKey account:secret', 'Bearer kiln_secret, Bearer kiln_secret']) {
    it(`is not ${JSON.stringify(value)}, and the error does not repeat it`, () => {
      assert.throws(() => parseAuthorization(value), (error: Error & { code: string }) => {
        assert.equal(error.code, 'unauthenticated');
        assert.doesNotMatch(error.message, /secret|account/);
        return true;
      });
    });
  }
});
