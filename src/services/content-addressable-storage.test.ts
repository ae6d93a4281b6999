// FindMissingBlobs, BatchUpdateBlobs and BatchReadBlobs over a real socket, with a client that takes 4 MiB.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { walkLimits } from '../actions/walk-directories.ts';
import { anonymous } from '../base/authorizer.ts';
import { noCacheUsage } from '../base/cache-usage.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, digestFunctions, md5, sha1, sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import type { FindMissingAnswer, FindMissingQuery } from '../proto/find-missing-codec.ts';
import {
  BatchReadBlobsResponseSchema,
  Compressor_Value,
  ContentAddressableStorage,
  DigestFunction_Value,
  FindMissingBlobsResponseSchema,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { receivedDigests } from '../testing/received-digests.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { authorizerOf, serveCache } from '../testing/serve-cache.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { createContentAddressableStorageService } from './content-addressable-storage.ts';
import { defaultServiceLimits } from './limits.ts';

const { findMissingBlobs, batchUpdateBlobs, batchReadBlobs, splitBlob, spliceBlob } = ContentAddressableStorage.method;
const clientMessageBytesMax = 4 * 1024 * 1024;

const wire = (digest: Digest) => ({ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) });
const text = (content: string) => Buffer.from(content);
const codesOf = (answer: { responses: readonly { status?: { code: number } | undefined }[] }) => answer.responses.map((entry) => entry.status?.code);
/** Distinct digests of blobs that nobody has. */
const absentDigests = (count: number, hexLength = 64) =>
  Array.from({ length: count }, (_, index) => ({ hash: index.toString(16).padStart(hexLength, '0'), sizeBytes: 123_456n }));

/** What a client may send for the digest of the 5 bytes of "bytes", and what the answer says about it. */
const { hash } = Digest.of(text('bytes'));
const malformed: readonly (readonly [string, { hash: string; sizeBytes: bigint }, RegExp])[] = [
  ['too short', { hash: hash.slice(2), sizeBytes: 5n }, /62 characters/],
  ['too long', { hash: `${hash}00`, sizeBytes: 5n }, /66 characters/],
  ['upper case', { hash: hash.toUpperCase(), sizeBytes: 5n }, /64 lower-case hex digits/],
  ['letters', { hash: `${hash.slice(1)}z`, sizeBytes: 5n }, /64 lower-case hex digits/],
  ['negative size', { hash, sizeBytes: -5n }, /size -5 of digest/],
  ['size beyond 2^53', { hash, sizeBytes: 2n ** 60n }, /between 0 and 2\^53/],
  ['size 0 with another hash', { hash, sizeBytes: 0n }, /size 0 belongs to/],
  ['the empty hash with a size', { hash: sha256.emptyHash, sizeBytes: 5n }, /hash of no bytes/],
  ['no hash', { hash: '', sizeBytes: 5n }, /0 characters/],
];

/** Of an empty store, which answers at once. */
function missingAtOnce(query: FindMissingQuery): FindMissingAnswer['missing'] {
  const service = createContentAddressableStorageService({
    blobs: new MemoryBlobStore(),
    authorizer: authorizerOf(['read']),
    limits: defaultServiceLimits,
    walkLimits,
    nextTurn: async () => {},
    usage: noCacheUsage,
    log: new RecordedLog(),
  });
  const handler = service.handlers['findMissingBlobs'];
  assert.ok(typeof handler === 'function');
  const answer: unknown = handler(query, { caller: anonymous });
  assert.ok(!isPromise(answer));
  return (answer as FindMissingAnswer).missing;
}

describe('FindMissingBlobs', () => {
  it('CAS-5: gives the absent digests in order, each once', async (t) => {
    await using cache = await serveCache();
    const random = seededRandom(t);
    const blobs = Array.from({ length: 12 }, () => random.bytes(random.integer(1, 100)));
    const present = await Promise.all(blobs.slice(0, 6).map((bytes) => cache.keep(bytes)));
    const absent = blobs.slice(6).map((bytes) => Digest.of(bytes));
    const order = Array.from({ length: 40 }, () => random.pick([...present, ...absent]));
    const { missingBlobDigests } = await cache.client.unary(findMissingBlobs, { blobDigests: order.map(wire) });
    const expected = [...new Set(order.filter((digest) => absent.includes(digest)).map(String))];
    assert.deepEqual(missingBlobDigests.map((message) => `sha256/${message.hash}/${message.sizeBytes}`), expected);
  });

  it('CAS-8, DG-10: an empty request has an empty answer, and no empty blob is ever missing', async () => {
    await using cache = await serveCache();
    assert.deepEqual((await cache.client.unary(findMissingBlobs, {})).missingBlobDigests, []);
    for (const row of digestFunctions) {
      const asked = { digestFunction: row.wireValue as DigestFunction_Value, blobDigests: [wire(Digest.empty(row))] };
      assert.deepEqual((await cache.client.unary(findMissingBlobs, asked)).missingBlobDigests, []);
    }
  });

  it('CAS-7: answers for 50,000 digests within 4 MiB when all are missing, and refuses more in words', async () => {
    await using cache = await serveCache({ grpc: { messageBytesMax: 8 * 1024 * 1024 } });
    const { missingBlobDigests } = await cache.client.unary(findMissingBlobs, { blobDigests: absentDigests(50_000) });
    assert.equal(missingBlobDigests.length, 50_000);
    const refusal = { code: status.INVALID_ARGUMENT, details: /60000 blobs are missing.*at most 51609 at a time/ };
    await assert.rejects(cache.client.unary(findMissingBlobs, { blobDigests: absentDigests(60_000) }), refusal);
    const most = { $typeName: FindMissingBlobsResponseSchema.typeName, missingBlobDigests } as const;
    assert.ok(toBinary(FindMissingBlobsResponseSchema, most).byteLength < clientMessageBytesMax);
  });

  for (const [what, digest, details] of malformed) {
    it(`CAS-10, DG-1, DG-6: a malformed digest fails the call: ${what}`, async () => {
      await using cache = await serveCache();
      const kept = await cache.keep(text('bytes'));
      const asked = { digestFunction: DigestFunction_Value.SHA256, blobDigests: [wire(kept), digest] };
      await assert.rejects(cache.client.unary(findMissingBlobs, asked), { code: status.INVALID_ARGUMENT, details });
      assert.deepEqual((await cache.client.unary(findMissingBlobs, { blobDigests: [wire(kept)] })).missingBlobDigests, []);
    });
  }

  it('DG-1: a wrong size of a known blob is refused', async () => {
    await using cache = await serveCache();
    const kept = await cache.keep(text('bytes'));
    const asked = { blobDigests: [{ hash: kept.hash, sizeBytes: 6n }] };
    await assert.rejects(cache.client.unary(findMissingBlobs, asked), { code: status.INVALID_ARGUMENT, details: /has 5 bytes/ });
  });

  it('DG-2: an unset function is told by the length of the hash', async () => {
    await using cache = await serveCache();
    for (const row of digestFunctions.filter(({ pathSegment }) => pathSegment === undefined)) {
      const digest = await cache.keep(text(row.name), row);
      assert.deepEqual((await cache.client.unary(findMissingBlobs, { blobDigests: [wire(digest)] })).missingBlobDigests, []);
    }
    const odd = { blobDigests: [{ hash: 'ab', sizeBytes: 1n }] };
    await assert.rejects(cache.client.unary(findMissingBlobs, odd), { code: status.INVALID_ARGUMENT, details: /fits no digest function/ });
  });

  it('DG-3, DG-4: a named function is honoured, and the same hash under another is another blob', async () => {
    await using cache = await serveCache();
    const digest = await cache.keep(text('blake'), blake3);
    const ask = (digestFunction: DigestFunction_Value) => cache.client.unary(findMissingBlobs, { digestFunction, blobDigests: [wire(digest)] });
    assert.equal((await ask(DigestFunction_Value.BLAKE3)).missingBlobDigests.length, 0);
    assert.equal((await ask(DigestFunction_Value.SHA256)).missingBlobDigests.length, 1);
    assert.equal((await ask(DigestFunction_Value.UNKNOWN)).missingBlobDigests.length, 1);
  });

  it('DG-5: all digests of a request have one function', async () => {
    await using cache = await serveCache();
    const mixed = { blobDigests: [wire(Digest.of(text('a'), sha256)), wire(Digest.of(text('a'), sha1))] };
    await assert.rejects(cache.client.unary(findMissingBlobs, mixed), { code: status.INVALID_ARGUMENT, details: /not a SHA256 hash/ });
  });

  it('DG-7: a function that is not served is refused by name', async () => {
    await using cache = await serveCache();
    const asked = { digestFunction: DigestFunction_Value.SHA256TREE, blobDigests: absentDigests(1) };
    await assert.rejects(cache.client.unary(findMissingBlobs, asked), { code: status.INVALID_ARGUMENT, details: /SHA256TREE is not served/ });
  });

  it('IN-1, IN-2, IN-5: every instance works, impossible names are refused', async () => {
    await using cache = await serveCache();
    const digest = await cache.keep(text('shared'));
    for (const instanceName of ['', 'main', 'a/b/c']) {
      assert.deepEqual((await cache.client.unary(findMissingBlobs, { instanceName, blobDigests: [wire(digest)] })).missingBlobDigests, []);
    }
    for (const instanceName of ['uploads', 'a/blobs/b', 'a//b', '/a', 'x'.repeat(300)]) {
      await assert.rejects(cache.client.unary(findMissingBlobs, { instanceName }), { code: status.INVALID_ARGUMENT, details: /instance name/ });
    }
  });

  it('answers in the same turn when the store does', () => {
    const asked = DigestList.from([Digest.of(Buffer.from('a')), Digest.of(Buffer.from('b'))]);
    const digests = { hashes: [...asked].map(({ hash }) => hash), sizes: asked.sizes, lowerHex: true };
    assert.equal(missingAtOnce({ instanceName: '', digestFunction: 0, digests }).length, 2);
  });

  it('makes no texts of hashes that came as words, whether their function is named or not', () => {
    const { words, sizes } = receivedDigests([Digest.of(Buffer.from('a')), Digest.of(Buffer.from('b'))]);
    const digests = { words, sizes, lowerHex: true, get hashes(): readonly string[] { return assert.fail('nobody needs them'); } };
    for (const digestFunction of [0, sha256.wireValue, blake3.wireValue]) assert.equal(missingAtOnce({ instanceName: '', digestFunction, digests }).length, 2);
  });

  it('ERR-5, ERR-8: lacking rights and a sick store are no misses', async () => {
    await using locked = await serveCache({ rights: ['write'] });
    await assert.rejects(locked.client.unary(findMissingBlobs, {}), { code: status.PERMISSION_DENIED });
    const blobs = blobStoreWith(new MemoryBlobStore(), {
      findMissing() {
        throw new CacheError('unavailable', 'the disk does not answer');
      },
    });
    await using cache = await serveCache({ blobs });
    await assert.rejects(cache.client.unary(findMissingBlobs, { blobDigests: absentDigests(1) }), { code: status.UNAVAILABLE });
  });
});

describe('BatchUpdateBlobs', () => {
  it('CAS-1, CAS-2: stores what has its digest, readable at once through every path, in every function', async () => {
    await using cache = await serveCache();
    for (const row of digestFunctions) {
      const bytes = text(`of ${row.name}`);
      const digest = Digest.of(bytes, row);
      const digestFunction = row.wireValue as DigestFunction_Value;
      const answer = await cache.client.unary(batchUpdateBlobs, { digestFunction, requests: [{ digest: wire(digest), data: bytes }] });
      assert.deepEqual(codesOf(answer), [status.OK]);
      const read = await cache.client.unary(batchReadBlobs, { digestFunction, digests: [wire(digest)] });
      assert.deepEqual(Buffer.from(read.responses[0]?.data ?? []), bytes);
      assert.deepEqual((await cache.client.unary(findMissingBlobs, { digestFunction, blobDigests: [wire(digest)] })).missingBlobDigests, []);
    }
  });

  it('CAS-11, CAS-13, CAS-15, K4-01: answers each entry, duplicates too, and a bad one fails alone', async () => {
    await using cache = await serveCache();
    const bytes = text('bytes');
    const good = { digest: wire(Digest.of(bytes)), data: bytes };
    const requests = [
      good,
      { digest: wire(Digest.of(text('other'))), data: text('bites') },
      { digest: wire(Digest.of(text('longer bytes'))), data: bytes },
      { digest: wire(Digest.of(text('by'))), data: bytes },
      ...malformed.map(([, digest]) => ({ digest, data: bytes })),
      { data: bytes },
      good,
      { digest: wire(Digest.empty(sha256)), data: text('') },
      { digest: wire(Digest.empty(sha256)), data: bytes },
    ];
    const answer = await cache.client.unary(batchUpdateBlobs, { requests });
    const { OK, INVALID_ARGUMENT } = status;
    const expected = requests.map((entry) => (entry === good || ('digest' in entry && entry.data.byteLength === 0) ? OK : INVALID_ARGUMENT));
    assert.deepEqual(codesOf(answer), expected);
    assert.deepEqual(answer.responses.map(({ digest }) => digest?.hash), requests.map((entry) => ('digest' in entry ? entry.digest.hash : undefined)));
    for (const [index, [what, , details]] of malformed.entries()) assert.match(answer.responses[4 + index]?.status?.message ?? '', details, what);
    assert.match(answer.responses[1]?.status?.message ?? '', /digest/);
    const asked = requests.slice(1, 4).flatMap((entry) => ('digest' in entry ? [entry.digest] : []));
    const { missingBlobDigests } = await cache.client.unary(findMissingBlobs, { blobDigests: asked });
    assert.deepEqual(missingBlobDigests.map((digest) => digest.hash), asked.map((digest) => digest.hash));
  });

  it('CAS-11, CAS-17: echoes digests as they came, however many have what a hash may not have', async (t) => {
    await using cache = await serveCache();
    const random = seededRandom(t);
    const bytes = text('one that is there');
    await cache.client.unary(batchUpdateBlobs, { requests: [{ digest: wire(Digest.of(bytes)), data: bytes }] });
    for (let round = 0; round < 20; round += 1) {
      const odd = [{ hash: 'A'.repeat(64), sizeBytes: 3n }, { hash: '', sizeBytes: 0n }, { hash: 'g'.repeat(64), sizeBytes: 5n }, { hash: 'f'.repeat(63), sizeBytes: -4n }];
      const usual = [wire(Digest.of(bytes)), { hash: Buffer.from(random.bytes(32)).toString('hex'), sizeBytes: 7n }, wire(Digest.empty(sha256))];
      const digests = Array.from({ length: random.integer(1, 30) }, () => random.pick(round % 2 === 0 ? usual : [...usual, ...usual, ...odd]));
      const read = await cache.client.unary(batchReadBlobs, { digests });
      assert.deepEqual(read.responses.map(({ digest }) => [digest?.hash, digest?.sizeBytes]), digests.map(({ hash, sizeBytes }) => [hash, sizeBytes]));
      const { OK, NOT_FOUND, INVALID_ARGUMENT } = status;
      assert.deepEqual(codesOf(read), digests.map((digest) => (odd.some((one) => one === digest) ? INVALID_ARGUMENT : digest === usual[1] ? NOT_FOUND : OK)));
      const updated = await cache.client.unary(batchUpdateBlobs, { requests: digests.map((digest) => ({ digest, data: bytes })) });
      assert.deepEqual(updated.responses.map(({ digest }) => [digest?.hash, digest?.sizeBytes]), digests.map(({ hash, sizeBytes }) => [hash, sizeBytes]));
      assert.deepEqual(codesOf(updated), digests.map((digest) => (digest === usual[0] ? OK : INVALID_ARGUMENT)));
    }
  });

  it('DG-2: one malformed digest at the start does not decide about the function of the others', async () => {
    await using cache = await serveCache();
    const bytes = text('md5');
    const requests = [{ digest: { hash: 'xyz', sizeBytes: 3n }, data: bytes }, { digest: wire(Digest.of(bytes, md5)), data: bytes }];
    assert.deepEqual(codesOf(await cache.client.unary(batchUpdateBlobs, { requests })), [status.INVALID_ARGUMENT, status.OK]);
    const named = { digestFunction: DigestFunction_Value.VSO, requests };
    await assert.rejects(cache.client.unary(batchUpdateBlobs, named), { code: status.INVALID_ARGUMENT, details: /VSO is not served/ });
  });

  it('CAS-12: takes a batch of exactly the limit in blob bytes, whatever the message has', async (t) => {
    await using cache = await serveCache();
    const random = seededRandom(t);
    const count = 3;
    const bytes = defaultServiceLimits.batchBytesMax / count;
    const blobs = Array.from({ length: count }, (_, index) => Buffer.alloc(bytes, `${random.seed}-${index}`));
    const requests = blobs.map((data) => ({ digest: wire(Digest.of(data)), data }));
    assert.deepEqual(codesOf(await cache.client.unary(batchUpdateBlobs, { requests })), [0, 0, 0]);
    const more = [...requests, { digest: wire(Digest.of(text('!'))), data: text('!') }];
    const refusal = { code: status.INVALID_ARGUMENT, details: /3145729 bytes, and max_batch_total_size_bytes is 3145728/ };
    await assert.rejects(cache.client.unary(batchUpdateBlobs, { requests: more }), refusal);
    assert.equal((await cache.client.unary(findMissingBlobs, { blobDigests: [wire(Digest.of(text('!')))] })).missingBlobDigests.length, 1);
  });

  it('CAS-14: a compressor that is not advertised fails its entry', async () => {
    await using cache = await serveCache();
    const data = text('zstd?');
    const requests = [{ digest: wire(Digest.of(data)), data, compressor: Compressor_Value.ZSTD }, { digest: wire(Digest.of(data)), data }];
    const answer = await cache.client.unary(batchUpdateBlobs, { requests });
    assert.deepEqual(codesOf(answer), [status.INVALID_ARGUMENT, status.OK]);
    assert.match(answer.responses[0]?.status?.message ?? '', /supported_batch_update_compressors/);
  });

  it('CAS-13, ERR-3: a full store fails the entry with RESOURCE_EXHAUSTED; CAP-10: a large blob is INVALID_ARGUMENT', async () => {
    const blobs = new MemoryBlobStore({ bytesMax: 100, blobBytesMax: 200 });
    await using cache = await serveCache({ blobs });
    const requests = [150, 250].map((length) => ({ digest: wire(Digest.of(Buffer.alloc(length))), data: Buffer.alloc(length) }));
    assert.deepEqual(codesOf(await cache.client.unary(batchUpdateBlobs, { requests })), [status.RESOURCE_EXHAUSTED, status.INVALID_ARGUMENT]);
  });

  it('CAS-11: many entries that fail are all answered within 4 MiB, and more than can be answered are not stored', async () => {
    await using cache = await serveCache();
    const entry = { digest: { hash: 'é'.repeat(32), sizeBytes: 1n }, data: text('x') };
    const answer = await cache.client.unary(batchUpdateBlobs, { requests: Array.from({ length: 30_000 }, () => entry) });
    assert.equal(answer.responses.length, 30_000);
    assert.ok(answer.responses.every((response) => response.status?.code === status.INVALID_ARGUMENT));
    const kept = { digest: wire(Digest.of(text('x'))), data: text('x') };
    const tooMany = { requests: Array.from({ length: 45_000 }, () => kept) };
    await assert.rejects(cache.client.unary(batchUpdateBlobs, tooMany), { code: status.INVALID_ARGUMENT, details: /send fewer/ });
    assert.equal((await cache.client.unary(findMissingBlobs, { blobDigests: [kept.digest] })).missingBlobDigests.length, 1);
  });

  it('AC-6, ERR-5: needs the right to write', async () => {
    await using cache = await serveCache({ rights: ['read'] });
    await assert.rejects(cache.client.unary(batchUpdateBlobs, {}), { code: status.PERMISSION_DENIED });
  });

  it('HT-1, K6-01: a message over the receive limit is refused, and the connection goes on', async () => {
    await using cache = await serveCache();
    const data = Buffer.alloc(5 * 1024 * 1024);
    const refusal = { code: status.RESOURCE_EXHAUSTED, details: /4194304/ };
    await assert.rejects(cache.client.unary(batchUpdateBlobs, { requests: [{ digest: wire(Digest.of(data)), data }] }), refusal);
    assert.deepEqual((await cache.client.unary(findMissingBlobs, {})).missingBlobDigests, []);
  });
});

describe('BatchReadBlobs', () => {
  it('CAS-16, CAS-17: answers each entry, duplicates too; absent and malformed ones fail alone', async () => {
    await using cache = await serveCache();
    const kept = await cache.keep(text('bytes'));
    const absent = Digest.of(text('absent'));
    const digests = [wire(kept), wire(absent), ...malformed.map(([, digest]) => digest), wire(kept), wire(Digest.empty(sha256))];
    const answer = await cache.client.unary(batchReadBlobs, { digests });
    const { OK, NOT_FOUND, INVALID_ARGUMENT } = status;
    assert.deepEqual(codesOf(answer), [OK, NOT_FOUND, ...malformed.map(() => INVALID_ARGUMENT), OK, OK]);
    assert.deepEqual(answer.responses.map(({ digest }) => digest?.hash), digests.map((digest) => digest.hash));
    for (const response of answer.responses) {
      const expected = response.digest?.hash === kept.hash && response.status?.code === OK ? 'bytes' : '';
      assert.equal(Buffer.from(response.data).toString(), expected);
    }
  });

  it('CAS-18: a full batch of 4,000 blobs stays below 4 MiB, and a byte more is refused before anything is read', async () => {
    await using cache = await serveCache();
    const count = 4_000;
    const sizes = Array.from({ length: count }, (_, index) => 786 + (index < defaultServiceLimits.batchBytesMax - 786 * count ? 1 : 0));
    const blobs = sizes.map((size, index) => Buffer.alloc(size, `${index} `));
    const digests = (await Promise.all(blobs.map((bytes) => cache.keep(bytes)))).map(wire);
    const answer = await cache.client.unary(batchReadBlobs, { digests });
    assert.equal(answer.responses.reduce((sum, { data }) => sum + data.byteLength, 0), defaultServiceLimits.batchBytesMax);
    assert.ok(toBinary(BatchReadBlobsResponseSchema, answer).byteLength < clientMessageBytesMax);
    const more = [...digests, wire(Digest.of(text('!')))];
    const refusal = { code: status.INVALID_ARGUMENT, details: /max_batch_total_size_bytes is 3145728/ };
    await assert.rejects(cache.client.unary(batchReadBlobs, { digests: more }), refusal);
  });

  it('CAS-18: so many entries that their digests alone pass 4 MiB are refused', async () => {
    await using cache = await serveCache({ grpc: { messageBytesMax: 8 * 1024 * 1024 } });
    const kept = wire(await cache.keep(text('x')));
    const digests = Array.from({ length: 40_000 }, () => kept);
    const refusal = { code: status.INVALID_ARGUMENT, details: /send fewer/ };
    await assert.rejects(cache.client.unary(batchReadBlobs, { digests }), refusal);
    const long = [{ hash: 'é'.repeat(2_500_000), sizeBytes: 1n }];
    await assert.rejects(cache.client.unary(batchReadBlobs, { digests: long }), refusal);
    for (const digest of [kept, { hash: kept.hash.toUpperCase(), sizeBytes: 1n }, { hash: 'é', sizeBytes: -1n }, wire(Digest.of(text('absent')))]) {
      const bounded = await cache.client.unary(batchReadBlobs, { digests: Array.from({ length: 37_000 }, () => digest) });
      assert.ok(toBinary(BatchReadBlobsResponseSchema, bounded).byteLength < clientMessageBytesMax);
    }
  });

  it('CAS-18: a full batch of 9,000 blobs is answered whole', async () => {
    await using cache = await serveCache();
    const count = 9_000;
    const sizes = Array.from({ length: count }, (_, index) => 349 + (index < defaultServiceLimits.batchBytesMax - 349 * count ? 1 : 0));
    const digests = (await Promise.all(sizes.map((size, index) => cache.keep(Buffer.alloc(size, `${index} `))))).map(wire);
    const answer = await cache.client.unary(batchReadBlobs, { digests });
    assert.equal(answer.responses.reduce((sum, { data }) => sum + data.byteLength, 0), defaultServiceLimits.batchBytesMax);
    assert.ok(toBinary(BatchReadBlobsResponseSchema, answer).byteLength < clientMessageBytesMax);
  });

  it('CAS-19: sends bytes as they are, whatever the client would accept', async () => {
    await using cache = await serveCache();
    const kept = await cache.keep(text('plain'));
    const asked = { digests: [wire(kept)], acceptableCompressors: [Compressor_Value.ZSTD, Compressor_Value.DEFLATE] };
    const { responses } = await cache.client.unary(batchReadBlobs, asked);
    assert.equal(responses[0]?.compressor, Compressor_Value.IDENTITY);
    assert.equal(Buffer.from(responses[0]?.data ?? []).toString(), 'plain');
  });

  it('ERR-8: one blob that cannot be told fails alone, and not as absent', async () => {
    const inner = new MemoryBlobStore();
    const blobs = blobStoreWith(inner, {
      getMany: (digests) => inner.getMany(digests).map((result) => result ?? new CacheError('unavailable', 'x'.repeat(5_000))),
    });
    await using cache = await serveCache({ blobs });
    const digests = [await cache.keep(text('well')), Digest.of(text('sick'))].map(wire);
    const answer = await cache.client.unary(batchReadBlobs, { digests });
    assert.deepEqual(codesOf(answer), [status.OK, status.UNAVAILABLE]);
    assert.equal(answer.responses[1]?.status?.message.length, 300);
    assert.deepEqual(cache.log.errors, [], 'what the store says of itself is not our bug');
  });

  it('ERR-8: an entry that fails by a fault of this server is logged, since the call succeeds', async () => {
    const fault = new CacheError('internal', 'unexpected failure', { cause: new Error('why') });
    await using cache = await serveCache({ blobs: blobStoreWith(new MemoryBlobStore(), { getMany: () => [fault] }) });
    const answer = await cache.client.unary(batchReadBlobs, { digests: [wire(Digest.of(text('sick')))] });
    assert.deepEqual(codesOf(answer), [status.INTERNAL]);
    assert.deepEqual(cache.log.errors.map(({ cause }) => cause), [fault]);
  });

  it('ERR-5: needs the right to read', async () => {
    await using cache = await serveCache({ rights: ['write'] });
    await assert.rejects(cache.client.unary(batchReadBlobs, {}), { code: status.PERMISSION_DENIED });
  });
});

describe('SplitBlob and SpliceBlob', () => {
  it('ERR-6, CAP-11: are not offered and say so at once', async () => {
    await using cache = await serveCache();
    await assert.rejects(cache.client.unary(splitBlob, {}), { code: status.UNIMPLEMENTED });
    await assert.rejects(cache.client.unary(spliceBlob, {}), { code: status.UNIMPLEMENTED });
  });
});
