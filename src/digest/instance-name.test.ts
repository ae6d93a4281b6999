// Which instance names there are.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CacheError } from '../base/cache-error.ts';
import { parseInstanceName } from './instance-name.ts';

describe('instance names', () => {
  it('IN-1, IN-2: may be empty, and may hold slashes and any text', () => {
    for (const name of ['', 'main', 'team/project', 'a/b/c/d', 'blobs2', 'my-uploads', 'Ünïcode', 'with space', 'BLOBS', 'x'.repeat(255)]) {
      assert.equal(parseInstanceName(name), name);
    }
  });

  it('IN-2: may not hold a segment that has a meaning in resource names', () => {
    for (const reserved of ['blobs', 'uploads', 'actions', 'actionResults', 'operations', 'capabilities', 'compressed-blobs']) {
      for (const name of [reserved, `a/${reserved}`, `${reserved}/a`, `a/${reserved}/b`]) {
        assert.throws(() => parseInstanceName(name), ({ code, message }: CacheError) => code === 'invalid_argument' && message.includes(reserved), name);
      }
    }
  });

  it('IN-2: may not be ambiguous, leave its place, or spoil a log line', () => {
    for (const name of ['/', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a/./b', 'a\nb', 'a\0b', '\x7f', 'x'.repeat(256)]) {
      assert.throws(() => parseInstanceName(name), { code: 'invalid_argument' }, JSON.stringify(name));
    }
  });
});
