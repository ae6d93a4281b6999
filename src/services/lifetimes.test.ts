// How long blobs live as clients see it, over a store that is too small for all of them, and what clients are told while the
// server cannot take more.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { fromBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { Semaphore } from '../base/semaphore.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { ActionCache, ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { RetryInfoSchema } from '../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../proto/gen/google/rpc/status_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { serveCache } from '../testing/serve-cache.ts';
import type { ServedCache } from '../testing/serve-cache.ts';
import { temporaryEngineStore } from '../testing/temporary-engine-store.ts';

const { findMissingBlobs, batchUpdateBlobs, batchReadBlobs } = ContentAddressableStorage.method;
const { getActionResult, updateActionResult } = ActionCache.method;
const { read, write } = ByteStream.method;

/** Records and files, three times as much as there is room for. */
const blobs = Array.from({ length: 60 }, (_, index) => Buffer.alloc(index % 2 === 0 ? 30_000 : 90_000, `blob ${index} `));
const wire = (digest: Digest) => ({ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) });
const digestOf = (index: number) => wire(Digest.of(blobs[index] ?? assert.fail()));

async function upload(cache: ServedCache, index: number): Promise<void> {
  const data = blobs[index] ?? assert.fail();
  const { responses } = await cache.client.unary(batchUpdateBlobs, { requests: [{ digest: digestOf(index), data }] });
  assert.deepEqual(responses.map((response) => response.status?.code), [status.OK]);
}

/** By number, of all; the question makes those that are there stay. */
async function missing(cache: ServedCache): Promise<readonly number[]> {
  const { missingBlobDigests } = await cache.client.unary(findMissingBlobs, { blobDigests: blobs.map((_, index) => digestOf(index)) });
  const absent = new Set(missingBlobDigests.map(({ hash }) => hash));
  return [...blobs.keys()].filter((index) => absent.has(digestOf(index).hash));
}

/** The first two were asked for, and those that came with them were not. */
function assertStayed(absent: readonly number[]): void {
  assert.ok(![0, 1].some((index) => absent.includes(index)), absent.join());
  assert.ok([2, 3, 4, 5].some((index) => absent.includes(index)), absent.join());
}

async function openSmall() {
  const stack = new AsyncDisposableStack();
  const { store } = stack.use(await temporaryEngineStore({ maxBytes: 2 ** 20, leaseMs: 60_000 }));
  const cache = stack.use(await serveCache({ blobs: store.blobs }));
  return { cache, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('lifetimes of blobs', () => {
  it('CAS-4: what was uploaded last is there when room is needed, and is readable through every path', async () => {
    await using opened = await openSmall();
    const { cache } = opened;
    for (const index of blobs.keys()) {
      await upload(cache, index);
      const digest = digestOf(index);
      const batch = await cache.client.unary(batchReadBlobs, { digests: [digest] });
      assert.deepEqual(Buffer.from(batch.responses[0]?.data ?? []), blobs[index]);
      const streamed = await cache.client.collect(read, { resourceName: `blobs/${digest.hash}/${digest.sizeBytes}` });
      assert.deepEqual(Buffer.concat(streamed.map(({ data }) => data)), blobs[index]);
    }
    const absent = await missing(cache);
    assert.ok(absent.length >= 30 && !absent.includes(59), absent.join());
  });

  it('CAS-4, CAS-6: what FindMissingBlobs reports present outlives what was uploaded later and not asked for', async () => {
    await using opened = await openSmall();
    const { cache } = opened;
    for (let index = 0; index < 6; index += 1) await upload(cache, index);
    assert.equal((await cache.client.unary(findMissingBlobs, { blobDigests: [digestOf(0), digestOf(1)] })).missingBlobDigests.length, 0);
    for (let index = 6; index < 60; index += 1) await upload(cache, index);
    assertStayed(await missing(cache));
  });

  it('AC-3: the outputs of a result that is served outlive what was uploaded later and not used', async () => {
    await using opened = await openSmall();
    const { cache } = opened;
    const actionDigest = wire(Digest.of(Buffer.from('action')));
    for (let index = 0; index < 6; index += 1) await upload(cache, index);
    await cache.client.unary(updateActionResult, { actionDigest, actionResult: { outputFiles: [{ path: 'a', digest: digestOf(0) }], stdoutDigest: digestOf(1) } });
    await cache.client.unary(getActionResult, { actionDigest });
    for (let index = 6; index < 60; index += 1) await upload(cache, index);
    assertStayed(await missing(cache));
    assert.equal((await cache.client.unary(getActionResult, { actionDigest })).stdoutDigest?.hash, digestOf(1).hash);
  });

  it('CAS-9: a blob is missing and unreadable until its upload is complete', async () => {
    await using opened = await openSmall();
    const { cache } = opened;
    const digest = digestOf(0);
    const data = blobs[0] ?? assert.fail();
    const { call, answer } = cache.client.openUpload(write);
    call.write({ resourceName: `uploads/u/blobs/${digest.hash}/${digest.sizeBytes}`, data: data.subarray(0, 4_000) });
    const present = async () => (await cache.client.unary(findMissingBlobs, { blobDigests: [digest] })).missingBlobDigests.length === 0;
    assert.equal(await present(), false);
    call.write({ writeOffset: 4_000n, data: data.subarray(4_000) }); // every byte is there, and nobody has said so
    assert.equal(await present(), false);
    const { responses } = await cache.client.unary(batchReadBlobs, { digests: [digest] });
    assert.deepEqual(responses.map((response) => response.status?.code), [status.NOT_FOUND]);
    call.write({ writeOffset: BigInt(data.byteLength), finishWrite: true });
    call.end();
    assert.equal((await answer).committedSize, digest.sizeBytes);
    assert.equal(await present(), true);
  });
});

describe('overload', () => {
  it('ERR-2, ERR-4: is UNAVAILABLE with RetryInfo in a call and in the entry of a batch, never RESOURCE_EXHAUSTED', async () => {
    const permits = new Semaphore('tests', { permitsMax: 1, waitersMax: 0 });
    using _held = await permits.acquire();
    const inner = new MemoryBlobStore();
    const busy = async (): Promise<never> => {
      await permits.acquire();
      assert.fail('there was a permit');
    };
    const asked = { digests: [digestOf(0)] };
    await using cache = await serveCache({
      blobs: blobStoreWith(inner, {
        findMissing: busy,
        putMany: (some) => Promise.all(some.map(() => busy().catch((thrown) => thrown))),
        getMany: async (some) => Promise.all(Array.from(some, () => busy().catch((thrown) => thrown))),
      }),
    });
    const refused: unknown = await cache.client.unary(findMissingBlobs, { blobDigests: asked.digests }).catch((thrown: unknown) => thrown);
    const { code, metadata } = refused as ServiceError;
    assert.equal(code, status.UNAVAILABLE);
    const rich = fromBinary(StatusSchema, metadata.get('grpc-status-details-bin')[0] as Buffer);
    const updated = await cache.client.unary(batchUpdateBlobs, { requests: [{ digest: digestOf(0), data: blobs[0] ?? assert.fail() }] });
    const answers = [rich, updated.responses[0]?.status, (await cache.client.unary(batchReadBlobs, asked)).responses[0]?.status];
    for (const answer of answers) {
      assert.equal(answer?.code, status.UNAVAILABLE);
      assert.equal(answer.details.map((detail) => anyUnpack(detail, RetryInfoSchema)?.retryDelay?.nanos)[0], 250_000_000);
    }
  });
});
