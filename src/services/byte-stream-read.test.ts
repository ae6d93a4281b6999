// ByteStream.Read over a real socket.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, digestFunctions, sha256 } from '../digest/digest-function.ts';
import { ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { CacheClient, serveCache } from '../testing/serve-cache.ts';
import type { ServedCache } from '../testing/serve-cache.ts';
import { defaultServiceLimits } from './limits.ts';

const { read } = ByteStream.method;
const { findMissingBlobs } = ContentAddressableStorage.method;

/** The name of a read, with the function's segment where it has one. */
function nameOf({ function: { pathSegment }, hash, sizeBytes }: Digest): string {
  return `blobs/${pathSegment === undefined ? '' : `${pathSegment}/`}${hash}/${sizeBytes}`;
}

async function readAll(cache: ServedCache, request: { resourceName: string; readOffset?: bigint; readLimit?: bigint }): Promise<Buffer> {
  return Buffer.concat((await cache.client.collect(read, request)).map(({ data }) => data));
}

/** A store whose blobs come as the stream that the test makes. */
function streaming(open: () => Omit<ByteSource, 'inMemory'>): BlobStore {
  return blobStoreWith(new MemoryBlobStore(), { get: open });
}

describe('ByteStream.Read', () => {
  it('CAS-2, DG-3: gives what was stored, in every function and instance', async (t) => {
    await using cache = await serveCache();
    const bytes = seededRandom(t).bytes(1_000);
    for (const row of digestFunctions) {
      const digest = await cache.keep(bytes, row);
      for (const instance of ['', 'main/', 'a/b/c/']) {
        assert.deepEqual(await readAll(cache, { resourceName: `${instance}${nameOf(digest)}` }), Buffer.from(bytes));
      }
    }
  });

  it('BS-1, DG-4: an absent blob is NOT_FOUND, also one that is there under another function', async () => {
    await using cache = await serveCache();
    const digest = await cache.keep(Buffer.from('blake'), blake3);
    await assert.rejects(readAll(cache, { resourceName: `blobs/${digest.hash}/5` }), { code: status.NOT_FOUND, details: /is not in the cache/ });
    await assert.rejects(readAll(cache, { resourceName: `blobs/${'0'.repeat(64)}/5`, readOffset: 5n }), { code: status.NOT_FOUND });
  });

  it('BS-2: an offset up to the size is fine, a negative or greater one OUT_OF_RANGE', async () => {
    await using cache = await serveCache();
    const resourceName = nameOf(await cache.keep(Buffer.from('0123456789')));
    for (const [readOffset, rest] of [[0n, '0123456789'], [1n, '123456789'], [9n, '9'], [10n, '']] as const) {
      assert.equal((await readAll(cache, { resourceName, readOffset })).toString(), rest);
    }
    for (const readOffset of [-1n, 11n, 2n ** 62n, -(2n ** 63n)]) {
      await assert.rejects(readAll(cache, { resourceName, readOffset }), { code: status.OUT_OF_RANGE, details: /read_offset/ });
    }
  });

  it('BS-3: a limit cuts, 0 is none, a large one is no error and a negative one OUT_OF_RANGE', async () => {
    await using cache = await serveCache();
    const resourceName = nameOf(await cache.keep(Buffer.from('0123456789')));
    for (const [readOffset, readLimit, part] of [[0n, 3n, '012'], [8n, 1n, '8'], [8n, 5n, '89'], [3n, 0n, '3456789'], [0n, 2n ** 62n, '0123456789'], [10n, 7n, '']] as const) {
      assert.equal((await readAll(cache, { resourceName, readOffset, readLimit })).toString(), part);
    }
    await assert.rejects(readAll(cache, { resourceName, readLimit: -1n }), { code: status.OUT_OF_RANGE, details: /read_limit/ });
  });

  it('BS-4: small blobs are one message, larger ones pieces of 64 KiB to 1 MiB', async (t) => {
    await using cache = await serveCache();
    const random = seededRandom(t);
    const piece = defaultServiceLimits.readChunkBytesMax;
    assert.ok(piece >= 64 * 1024 && piece <= 1024 * 1024);
    for (const [size, expected] of [[1, [1]], [piece, [piece]], [piece + 1, [piece, 1]], [3 * piece, [piece, piece, piece]]] as const) {
      const bytes = random.bytes(size);
      const messages = await cache.client.collect(read, { resourceName: nameOf(await cache.keep(bytes)) });
      assert.deepEqual(messages.map(({ data }) => data.byteLength), expected);
      assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(bytes));
    }
  });

  it('BS-4: cuts the chunks of a store that are too large for a message, and passes on the others', async () => {
    const chunks = [Buffer.alloc(100_000, 1), Buffer.alloc(5_000_000, 2), Buffer.alloc(1, 3)];
    const whole = Buffer.concat(chunks);
    const source = {
      sizeBytes: whole.byteLength,
      async *[Symbol.asyncIterator]() {
        yield* chunks;
      },
      async [Symbol.asyncDispose]() {},
    };
    await using cache = await serveCache({ blobs: streaming(() => source) });
    const messages = await cache.client.collect(read, { resourceName: nameOf(Digest.of(whole)) });
    assert.ok(messages.every(({ data }) => data.byteLength <= defaultServiceLimits.readChunkBytesMax));
    assert.equal(messages.at(0)?.data.byteLength, 100_000);
    assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(whole));
  });

  it('DG-10: the empty blob is readable without upload, for every function', async () => {
    await using cache = await serveCache();
    for (const row of digestFunctions) {
      assert.equal((await readAll(cache, { resourceName: nameOf(Digest.empty(row)) })).byteLength, 0);
    }
  });

  it('RN-2, RN-6: a name that cannot be parsed is INVALID_ARGUMENT and says what a name looks like', async () => {
    await using cache = await serveCache();
    const { hash } = await cache.keep(Buffer.from('bytes'));
    for (const resourceName of ['', 'x', `blobs/${hash}`, `/blobs/${hash}/5`, `blobs/${hash}/-5`, `blobs/${hash}/five`, `blobs/${hash}/5/more`, `uploads/u/blobs/${hash}/5`]) {
      await assert.rejects(readAll(cache, { resourceName }), { code: status.INVALID_ARGUMENT, details: /\[instance\/\]blobs\/\[function\/\]hash\/size/ });
    }
  });

  it('DG-1, DG-6: a malformed digest in the name, or a wrong size, is INVALID_ARGUMENT', async () => {
    await using cache = await serveCache();
    const { hash } = await cache.keep(Buffer.from('bytes'));
    const wrong: readonly (readonly [string, RegExp])[] = [
      [`blobs/${hash.slice(1)}/5`, /63 characters/],
      [`blobs/${hash.toUpperCase()}/5`, /lower-case hex/],
      [`blobs/${'g'.repeat(64)}/5`, /lower-case hex/],
      [`blobs/${hash}/6`, /has 5 bytes/],
      [`blobs/${hash}/0`, /size 0 belongs to/],
      [`blobs/${sha256.emptyHash}/5`, /hash of no bytes/],
    ];
    for (const [resourceName, details] of wrong) {
      await assert.rejects(readAll(cache, { resourceName }), { code: status.INVALID_ARGUMENT, details });
    }
  });

  it('RN-5: compressors are not advertised and refused by name', async () => {
    await using cache = await serveCache();
    const { hash } = await cache.keep(Buffer.from('bytes'));
    for (const compressor of ['zstd', 'deflate', 'brotli']) {
      const resourceName = `compressed-blobs/${compressor}/${hash}/5`;
      await assert.rejects(readAll(cache, { resourceName }), { code: status.INVALID_ARGUMENT, details: new RegExp(`compressor ${compressor} is not among`) });
    }
  });

  it('ERR-5: needs the right to read', async () => {
    await using cache = await serveCache({ rights: ['write'] });
    const resourceName = nameOf(Digest.of(Buffer.from('x')));
    await assert.rejects(readAll(cache, { resourceName }), { code: status.PERMISSION_DENIED });
  });

  it('BS-5: a source that ends too early is no short OK, and a damaged one DATA_LOSS', async () => {
    const digest = Digest.of(Buffer.alloc(100));
    let failure: CacheError | undefined;
    const source = {
      sizeBytes: 100,
      async *[Symbol.asyncIterator]() {
        yield Buffer.alloc(99);
        if (failure !== undefined) throw failure;
      },
      async [Symbol.asyncDispose]() {},
    };
    await using cache = await serveCache({ blobs: streaming(() => source) });
    await assert.rejects(readAll(cache, { resourceName: nameOf(digest) }), { code: status.INTERNAL });
    failure = new CacheError('data_loss', 'the blob is damaged');
    await assert.rejects(readAll(cache, { resourceName: nameOf(digest) }), { code: status.DATA_LOSS, details: 'the blob is damaged' });
  });

  it('ERR-8: a store that cannot tell is UNAVAILABLE, before the first byte and after it, and never NOT_FOUND', async () => {
    const digest = Digest.of(Buffer.alloc(100));
    const sick = new CacheError('unavailable', 'the disk does not answer');
    const source = {
      sizeBytes: 100,
      async *[Symbol.asyncIterator]() {
        yield Buffer.alloc(50);
        throw sick;
      },
      async [Symbol.asyncDispose]() {},
    };
    for (const open of [() => source, () => { throw sick; }]) {
      await using cache = await serveCache({ blobs: streaming(open) });
      await assert.rejects(readAll(cache, { resourceName: nameOf(digest) }), { code: status.UNAVAILABLE, details: 'the disk does not answer' });
    }
  });

  it('BS-6: a reader that pauses stops the store, and nothing of the blob is lost', async () => {
    const chunk = Buffer.alloc(256 * 1024, 7);
    const count = 128;
    let pulled = 0;
    const source = {
      sizeBytes: count * chunk.byteLength,
      async *[Symbol.asyncIterator]() {
        for (; pulled < count; pulled += 1) yield chunk;
      },
      async [Symbol.asyncDispose]() {},
    };
    await using cache = await serveCache({ blobs: streaming(() => source) });
    const call = cache.client.grpc.serverStream(read, { resourceName: `blobs/${'1'.repeat(64)}/${source.sizeBytes}` });
    await once(call, 'readable');
    using other = new CacheClient(cache.server.address);
    for (let calls = 0; calls < 50; calls += 1) await other.unary(findMissingBlobs, {});
    assert.ok(pulled < count / 2, `${pulled} of ${count} chunks were taken from the store`);
    let receivedBytes = 0;
    for await (const { data } of call) receivedBytes += data.byteLength;
    assert.equal(receivedBytes, source.sizeBytes);
  });

  it('HT-8: a cancelled read gives its source back', async () => {
    const disposed = Promise.withResolvers<void>();
    const source = {
      sizeBytes: 2 ** 40,
      async *[Symbol.asyncIterator]() {
        for (;;) yield Buffer.alloc(64 * 1024);
      },
      async [Symbol.asyncDispose]() {
        disposed.resolve();
      },
    };
    await using cache = await serveCache({ blobs: streaming(() => source) });
    const call = cache.client.grpc.serverStream(read, { resourceName: `blobs/${'1'.repeat(64)}/${source.sizeBytes}` });
    call.on('error', () => undefined);
    call.once('data', () => call.cancel());
    await disposed.promise;
    await cache.server.router.idle();
  });
});
