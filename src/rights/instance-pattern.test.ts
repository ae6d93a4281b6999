// What a pattern covers, and which texts are none.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { covers, parseInstancePattern } from './instance-pattern.ts';

const cases: readonly [pattern: string, covered: readonly string[], others: readonly string[]][] = [
  ['*', ['', 'main', 'team', 'team/a', 'team/a/b'], []],
  ['team/*', ['team/a', 'team/a/b', 'team/ac'], ['', 'team', 'team/', 'teams/a', 'steam/a', 'other/team/a']],
  ['team/a/*', ['team/a/b'], ['team/a', 'team/b/c']],
  ['main', ['main'], ['', 'Main', 'main/x', 'mai', 'mainx', 'x/main']],
  ['team/a', ['team/a'], ['team', 'team/a/b']],
  ['', [''], ['main', '/', ' ']],
  ['a=b', ['a=b'], ['a']],
];

describe('an instance pattern', () => {
  for (const [text, covered, others] of cases) {
    it(`${JSON.stringify(text)} covers what it says`, () => {
      const pattern = parseInstancePattern(text);
      for (const instance of covered) assert.ok(covers(pattern, instance), instance);
      for (const instance of others) assert.ok(!covers(pattern, instance), instance);
    });
  }

  for (const text of ['**', '*a', 'a*', 'te*m', 'te*m/*', '/*', '*/*', '/a', 'a/', 'a//b', 'a//*', '/']) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseInstancePattern(text), { code: 'invalid_argument', message: /"team\/\*"/ });
    });
  }
});
