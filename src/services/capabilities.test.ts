// GetCapabilities over a real socket: what is advertised works, and nothing else is advertised.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { anonymous } from '../base/authorizer.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import {
  ActionCache,
  Capabilities,
  ContentAddressableStorage,
  DigestFunction_Value,
  SymlinkAbsolutePathStrategy_Value,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ServerCapabilities } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { authorizerOf, serveCache } from '../testing/serve-cache.ts';
import { createCapabilitiesService } from './capabilities.ts';
import { defaultServiceLimits } from './limits.ts';

const { getCapabilities } = Capabilities.method;

describe('Capabilities', () => {
  it('CAP-1, CAP-2: speaks from 2.0 up to the newest version, with nothing deprecated', async () => {
    await using cache = await serveCache();
    const { lowApiVersion, highApiVersion, deprecatedApiVersion } = await cache.client.unary(getCapabilities, {});
    assert.deepEqual([lowApiVersion?.major, lowApiVersion?.minor], [2, 0]);
    assert.deepEqual([deprecatedApiVersion?.major, deprecatedApiVersion?.minor], [2, 0]);
    assert.deepEqual([highApiVersion?.major, highApiVersion?.minor], [2, 12]);
  });

  it('CAP-3, CAP-5, CAP-12: is a cache and executes nothing', async () => {
    await using cache = await serveCache();
    const answer = await cache.client.unary(getCapabilities, { instanceName: 'any/instance' });
    assert.ok(answer.cacheCapabilities !== undefined);
    assert.equal(answer.executionCapabilities, undefined);
  });

  it('CAP-4: every advertised digest function is served, and no other', async () => {
    await using cache = await serveCache();
    const { cacheCapabilities } = await cache.client.unary(getCapabilities, {});
    const advertised = cacheCapabilities?.digestFunctions ?? [];
    assert.deepEqual(advertised, digestFunctions.map(({ wireValue }) => wireValue));
    const bytes = Buffer.from('some bytes');
    for (const digestFunction of digestFunctions) {
      const { hash } = Digest.of(bytes, digestFunction);
      const wire: DigestFunction_Value | undefined = advertised[digestFunctions.indexOf(digestFunction)];
      assert.ok(wire !== undefined);
      const asked = { digestFunction: wire, blobDigests: [{ hash, sizeBytes: 10n }] };
      const { missingBlobDigests } = await cache.client.unary(ContentAddressableStorage.method.findMissingBlobs, asked);
      assert.equal(missingBlobDigests.length, 1);
    }
    const { UNKNOWN: _unset, ...known } = DigestFunction_Value;
    for (const [name, value] of Object.entries(known)) {
      if (advertised.includes(value)) continue;
      const asked = { digestFunction: value, blobDigests: [{ hash: 'a'.repeat(64), sizeBytes: 1n }] };
      const refusal = { code: status.INVALID_ARGUMENT, details: new RegExp(`digest function ${name} is not served`) };
      await assert.rejects(cache.client.unary(ContentAddressableStorage.method.findMissingBlobs, asked), refusal);
    }
  });

  it('CAP-6: the batch limit is real, and at most what fits into 4 MiB', async () => {
    await using cache = await serveCache();
    const { cacheCapabilities } = await cache.client.unary(getCapabilities, {});
    const limit = cacheCapabilities?.maxBatchTotalSizeBytes ?? 0n;
    assert.equal(limit, BigInt(defaultServiceLimits.batchBytesMax));
    assert.ok(limit >= 3_000_000n && limit <= 4_000_000n);
  });

  it('CAP-7: says what becomes of absolute symlinks, and promises no priorities', async () => {
    await using cache = await serveCache();
    const { cacheCapabilities } = await cache.client.unary(getCapabilities, {});
    assert.equal(cacheCapabilities?.symlinkAbsolutePathStrategy, SymlinkAbsolutePathStrategy_Value.ALLOWED);
    assert.equal(cacheCapabilities.cachePriorityCapabilities, undefined);
  });

  it('CAP-8: update_enabled follows the rights of the caller, as the update itself does', async () => {
    for (const rights of [['read'], ['read', 'write']] as const) {
      await using cache = await serveCache({ rights });
      const { cacheCapabilities } = await cache.client.unary(getCapabilities, {});
      const enabled = cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled;
      const update = cache.client.unary(ActionCache.method.updateActionResult, {
        actionDigest: { hash: 'b'.repeat(64), sizeBytes: 1n },
        actionResult: { exitCode: 1 },
      });
      assert.equal(enabled, await update.then(() => true, ({ code }) => code !== status.PERMISSION_DENIED));
      assert.equal(enabled, rights.length === 2);
    }
  });

  it('CAP-9, CAP-11: announces neither compressors nor split, splice and chunking', async () => {
    await using cache = await serveCache();
    const { cacheCapabilities } = await cache.client.unary(getCapabilities, {});
    assert.deepEqual(cacheCapabilities?.supportedCompressors, []);
    assert.deepEqual(cacheCapabilities.supportedBatchUpdateCompressors, []);
    assert.deepEqual([cacheCapabilities.splitBlobSupport, cacheCapabilities.spliceBlobSupport], [false, false]);
    assert.deepEqual([cacheCapabilities.fastCdc2020Params, cacheCapabilities.repMaxCdcParams], [undefined, undefined]);
  });

  it('CAP-10: tells the largest blob the store takes, and 0 when there is no limit', async () => {
    for (const [blobBytesMax, advertised] of [[1000, 1000n], [Number.MAX_SAFE_INTEGER, 0n], [Infinity, 0n]] as const) {
      await using cache = await serveCache({ blobs: new MemoryBlobStore({ bytesMax: 10_000, blobBytesMax }) });
      const { cacheCapabilities } = await cache.client.unary(getCapabilities, {});
      assert.equal(cacheCapabilities?.maxCasBlobSizeBytes, advertised);
    }
  });

  it('CAP-13: answers at once from what the store declares', () => {
    const blobs = { capabilities: { leaseMs: 1, survives: 'nothing', blobBytesMax: 5 } } as const;
    const service = createCapabilitiesService({ blobs, authorizer: authorizerOf(['read']), limits: defaultServiceLimits });
    const handler = service.handlers['getCapabilities'];
    assert.ok(typeof handler === 'function');
    const answer: unknown = handler({ instanceName: '' }, { caller: anonymous });
    assert.ok(!isPromise(answer));
    assert.equal((answer as ServerCapabilities).cacheCapabilities?.maxCasBlobSizeBytes, 5n);
  });

  it('ERR-5, IN-2: refuses callers without rights and impossible instance names', async () => {
    await using cache = await serveCache({ rights: [] });
    await assert.rejects(cache.client.unary(getCapabilities, {}), { code: status.PERMISSION_DENIED });
    const refusal = { code: status.INVALID_ARGUMENT, details: /segment "blobs"/ };
    await assert.rejects(cache.client.unary(getCapabilities, { instanceName: 'a/blobs/b' }), refusal);
  });
});
