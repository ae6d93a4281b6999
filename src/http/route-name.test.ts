// Routes as metrics call them: the same that serving finds, and for anything else one name.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseBuildCachePath } from './build-cache-path.ts';
import { parseTarget } from './request-target.ts';
import { routeOf } from './route-name.ts';

const hash = 'ab'.repeat(32);

describe('route names', () => {
  for (const [target, route, instance] of [
    ['/', 'index', ''],
    ['', 'index', ''],
    ['//', 'index', ''],
    ['/status', 'status', ''],
    ['/status?verbose', 'status', ''],
    ['/healthz/', 'healthz', ''],
    ['/metrics', 'metrics', ''],
    ['/admin/cpu-profile?duration=5s', 'admin', ''],
    [`/cas/${hash}`, 'cas', ''],
    [`/ac/${hash}`, 'ac', ''],
    [`//team/a//cas/${hash}`, 'cas', 'team/a'],
    [`/team%20b/cas/${hash}`, 'cas', 'team b'],
    [`/team%/cas/${hash}`, 'cas', 'team%'],
    [`/cas/blake3/${hash}`, 'cas', ''],
    [`/x/cas/ac/${hash}`, 'ac', 'x/cas'],
    [`http://cache.example/main/ac/${hash}`, 'ac', 'main'],
    ['/status/more', 'other', ''],
    ['/cas/nothash', 'other', ''],
    [`/cas/${hash.toUpperCase()}`, 'other', ''],
    ['/constructor', 'other', ''],
    ['*', 'other', ''],
    ['/build.bazel.remote.execution.v2.Capabilities/GetCapabilities', 'other', ''],
    [`/${'x'.repeat(10_000)}`, 'other', ''],
    [`${'/'.repeat(60_000)}cas/${hash}`, 'other', ''],
  ] as const) {
    it(`calls ${target.slice(0, 60)} ${route}${instance && ` of ${instance}`}`, () => assert.deepEqual(routeOf(target), { route, instance }));
  }

  it('knows every path of the build cache that is served', () => {
    for (const target of [`/cas/${hash}`, `/a/b/ac/${hash}`, `/cas/${'ab'.repeat(16)}`, `/cas/${'ab'.repeat(64)}`, `/i/cas/blake3/${hash}`]) {
      const served = parseBuildCachePath(parseTarget(target));
      assert.ok(served !== undefined);
      assert.deepEqual(routeOf(target), { route: served.kind, instance: served.instance });
    }
  });
});
