// Paths of the build cache and of those who try to leave it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { parseBuildCachePath } from './build-cache-path.ts';
import { parseTarget } from './request-target.ts';

const hash = 'a'.repeat(64);

describe('parseTarget', () => {
  const targets: readonly (readonly [string, readonly string[]])[] = [
    ['/', []],
    ['//', []],
    ['/a/b', ['a', 'b']],
    ['//a///b/', ['a', 'b']],
    ['/a%20b/%C3%A9?x=/y#z', ['a b', 'é']],
    ['/a?', ['a']],
    ['http://host:1/a', ['a']],
    ['HTTPS://host', []],
    ['http://host?a', []],
    ['/...', ['...']],
  ];
  for (const [target, segments] of targets) {
    it(`CT-1: ${target}`, () => assert.deepEqual(parseTarget(target), segments));
  }

  for (const target of ['*', '', 'a/b', 'ftp://host/a', '/.', '/a/..', '/%2e', '/a%2Fb', '/a%00', '/a%7f', '/%', '/%ff']) {
    it(`CT-8: refuses ${JSON.stringify(target)}`, () => {
      if (target === '') assert.deepEqual(parseTarget(target), []);
      else assert.throws(() => parseTarget(target), { code: 'invalid_argument' });
    });
  }
});

describe('parseBuildCachePath', () => {
  it('IN-3: takes what stands before the kind for the instance name', () => {
    const parsed = (target: string) => {
      const path = parseBuildCachePath(parseTarget(target));
      return path && [path.instance, path.kind, path.digestFunction.name];
    };
    assert.deepEqual(parsed(`/ac/${hash}`), ['', 'ac', 'sha256']);
    assert.deepEqual(parsed(`/a/b/cas/${hash}`), ['a/b', 'cas', 'sha256']);
    assert.deepEqual(parsed(`/cas/ac/${hash}`), ['cas', 'ac', 'sha256']);
    assert.deepEqual(parsed(`/x/cas/blake3/${hash}`), ['x', 'cas', 'blake3']);
    assert.deepEqual(parsed(`/x/blake3/cas/${'b'.repeat(40)}`), ['x/blake3', 'cas', 'sha1']);
    for (const other of ['/', '/ac', `/${hash}`, `/x/${hash}`, `/cas/sha256/${hash}`, `/cas/${hash}/more`]) assert.equal(parsed(other), undefined, other);
  });

  it('CT-8: fails on nothing but what it refuses by name', (t) => {
    const random = seededRandom(t);
    const pieces = ['/', 'ac', 'cas', 'blake3', hash, '..', '.', '%', '%2f', '%2e', 'blobs', 'é', '?', '#', '\\', '\0', 'A', 'http://'];
    for (let round = 0; round < 5_000; round += 1) {
      const target = Array.from({ length: random.integer(0, 8) }, () => random.pick(pieces)).join('');
      try {
        const path = parseBuildCachePath(parseTarget(target));
        if (path !== undefined) assert.ok(!path.instance.split('/').some((segment) => segment === '..' || segment === '.'), target);
      } catch (error) {
        assert.ok(error instanceof CacheError && error.code === 'invalid_argument', `${target}: ${String(error)}`);
      }
    }
  });
});
