// Hashes that other programs made. Those of "myPassword" are the examples of Apache's documentation of password formats.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { apacheMd5 } from './apache-md5.ts';
import { costOfPasswordHash, passwordHashKind, passwordMatches } from './password-hash.ts';

const examples = [
  ['bcrypt', '$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC'],
  ['apr1', '$apr1$qHDFfhPC$nITSVHgYbDAK1Y0acGRnY0'],
  ['sha1', '{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE='],
] as const;

describe('a password hash', () => {
  for (const [kind, hash] of examples) {
    it(`of kind ${kind} matches its password and no other`, () => {
      assert.equal(passwordHashKind(hash), kind);
      assert.ok(passwordMatches('myPassword', hash));
      for (const wrong of ['', 'mypassword', 'myPassword ', 'x']) assert.ok(!passwordMatches(wrong, hash), wrong);
    });
  }

  it('of bcrypt is known by each of its three names', () => {
    const [, , rest] = /^\$2(y)(.*)$/.exec(examples[0][1]) ?? [];
    for (const letter of ['a', 'b', 'y']) assert.ok(passwordMatches('myPassword', `$2${letter}${rest}`), letter);
  });

  it('costs more the more rounds it takes', () => {
    const hashes = ['{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=', examples[1][1], examples[0][1], examples[0][1].replace('$05$', '$12$')];
    assert.deepEqual(hashes.toSorted((a, b) => costOfPasswordHash(a) - costOfPasswordHash(b)), hashes);
  });

  for (const text of ['', 'myPassword', 'rqXexS6ZhobKA', '$1$abc$def', '$6$salt$hash', examples[0][1].replace('$05$', '$17$'), examples[0][1].replace('$05$', '$03$'), examples[0][1].slice(0, -1), `${examples[0][1]}x`, '{SHA}abc', '$2x$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC']) {
    it(`is not ${JSON.stringify(text)}, and that matches nothing`, () => {
      assert.equal(passwordHashKind(text), undefined);
      assert.ok(!passwordMatches(text, text));
    });
  }
});

describe('apr1', () => {
  const openssl = spawnSync('openssl', ['version'], { encoding: 'utf8' });
  const lacking = openssl.status !== 0 && 'openssl is not installed';

  it('is what openssl computes, for passwords of every length', { skip: lacking }, () => {
    const passwords = Array.from({ length: 40 }, (_, length) => 'pässwört with 40 characters of any kind!'.slice(0, length + 1));
    for (const [index, password] of passwords.entries()) {
      const salt = './09AZaz'.slice(0, (index % 8) + 1);
      const { stdout } = spawnSync('openssl', ['passwd', '-apr1', '-salt', salt, '-stdin'], { encoding: 'utf8', input: password });
      assert.equal(apacheMd5(password, salt), stdout.trim(), password);
    }
  });
});
