// What is served, as a whole.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { noCacheUsage } from '../base/cache-usage.ts';
import { noMeter } from '../base/metrics.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import { httpLimits } from '../http/routes.ts';
import { wholeServer } from '../services/health.ts';
import { defaultServiceLimits } from '../services/limits.ts';
import { everythingAllowed, nobodyKnown } from '../testing/open-rights.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { createServed } from './services.ts';

it('HC-3: every served gRPC service has a health of its own, by full name', () => {
  const { services, health } = createServed({
    blobs: new MemoryBlobStore(),
    values: new MemoryValueStore(),
    authenticator: nobodyKnown,
    authorizer: everythingAllowed,
    pages: [],
    limits: { services: defaultServiceLimits, http: httpLimits },
    log: new RecordedLog(),
    version: '0.0.0',
    meter: noMeter,
    usage: noCacheUsage,
    scrape: undefined,
  });
  const names = services.map(({ descriptor }) => descriptor.typeName);
  assert.ok(names.length >= 7);
  assert.deepEqual(health.services, [wholeServer, ...names]);
  assert.ok(names.every((name) => health.isServing(name)));
  health.drain();
  assert.ok(names.every((name) => health.isServing(name) === false));
});
