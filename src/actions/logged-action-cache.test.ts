// What the lines of the action cache say, and when there are none.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CacheError } from '../base/cache-error.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { LoggedActionCache } from './logged-action-cache.ts';
import { StoredActionCache, storedActionCacheLimits } from './stored-action-cache.ts';

const key = { instance: parseInstanceName('main'), actionDigest: Digest.of(Buffer.from('action'), sha256) };
const result = EncodedActionResult.of(create(ActionResultSchema, { exitCode: 7 }));

describe('logged action cache', () => {
  for (const debugEnabled of [true, false]) {
    it(`K11-07: passes everything on, and has ${debugEnabled ? 'a line per call at debug' : 'no line at info'}`, async () => {
      const log = new RecordedLog();
      log.debugEnabled = debugEnabled;
      const cache = new LoggedActionCache(new StoredActionCache(new MemoryValueStore(), storedActionCacheLimits, log), log);
      assert.equal(await cache.get(key), undefined);
      await cache.put(key, result);
      assert.equal((await cache.get(key))?.message.exitCode, 7);
      const fields = `"instance":"main","function":"sha256","hash":"${key.actionDigest.hash}"`;
      const lines = [`debug get action result {${fields},"found":false}`, `debug put action result {${fields}}`, `debug get action result {${fields},"found":true}`];
      assert.deepEqual(log.lines, debugEnabled ? lines : []);
      assert.equal(await cache.putFirst(key, EncodedActionResult.of(create(ActionResultSchema, { exitCode: 8 }))), 'kept');
      assert.equal(log.lines[3], debugEnabled ? `debug put action result {${fields},"outcome":"kept"}` : undefined);
    });
  }

  it('answers at once what is at hand, and says why a put failed', async () => {
    const log = new RecordedLog();
    const full = new CacheError('resource_exhausted', 'full');
    const cache = new LoggedActionCache({ get: () => result, put: async () => Promise.reject(full), putFirst: async () => Promise.reject(full) }, log);
    assert.equal(cache.get(key), result);
    await assert.rejects(cache.put(key, result), full);
    await assert.rejects(cache.putFirst(key, result), full);
    assert.match(log.lines[1] ?? '', /put action result .*"failed":"resource_exhausted"/);
  });
});
