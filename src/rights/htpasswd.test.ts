// Files of users, and what may be wrong with them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseHtpasswd } from './htpasswd.ts';

const sha1 = '{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=';

describe('an htpasswd file', () => {
  it('has a line per user, and lines that mean nothing', () => {
    const text = `# users\n\nann:${sha1}\r\n  bob:$apr1$qHDFfhPC$nITSVHgYbDAK1Y0acGRnY0\nünal.o'x@example.org:${sha1}\n`;
    assert.deepEqual([...parseHtpasswd(text, 'f').keys()], ['ann', 'bob', "ünal.o'x@example.org"]);
  });

  it('may be empty', () => assert.equal(parseHtpasswd('', 'f').size, 0));

  const refused: readonly [string, string, RegExp][] = [
    ['a password instead of a hash', 'ann:hunter2', /^\/etc\/h:2: the password of "ann" is no hash.*perhaps the password itself.*\n.*htpasswd -B \/etc\/h ann$/],
    ['a hash of crypt', 'ann:rqXexS6ZhobKA', /no hash that is checked here.*old crypt/],
    ['a hash of a system login', 'ann:$6$salt$hunter2', /login of a system \(crypt\)/],
    ['a bcrypt hash that takes minutes', `ann:$2y$20$${'a'.repeat(53)}`, /a cost that nobody can wait for/],
    ['half of a hash', 'ann:{SHA}hunter2', /damaged hash/],
    ['a user without a hash', 'ann', /not USER:HASH.*\n.*htpasswd -B/],
    ['a hash without a user', `:${sha1}`, /not USER:HASH/],
    ['a user twice', `bob:${sha1}\nbob:${sha1}`, /^\/etc\/h:3: user "bob" is there twice/],
    ['a name that would spoil logs', `a\u0007b:${sha1}`, /control characters/],
  ];
  for (const [name, lines, expected] of refused) {
    it(`is refused with ${name}, by file and line and without the secret`, () => {
      assert.throws(() => parseHtpasswd(`# users\n${lines}\n`, '/etc/h'), (error: Error & { code: string }) => {
        assert.equal(error.code, 'invalid_argument');
        assert.match(error.message, new RegExp(expected.source, 's'));
        assert.match(error.message, /^\/etc\/h:\d+: /);
        assert.doesNotMatch(error.message, /hunter2|rqXexS6ZhobKA|VBPuJHI7/);
        return true;
      });
    });
  }
});
