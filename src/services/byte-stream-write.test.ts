// ByteStream.Write and QueryWriteStatus over a real socket.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Metadata, status } from '@grpc/grpc-js';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, digestFunctions, sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import type { WriteRequestSchema } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { CacheClient, serveCache } from '../testing/serve-cache.ts';
import type { ServedCache } from '../testing/serve-cache.ts';

const { read, write, queryWriteStatus } = ByteStream.method;
const { findMissingBlobs } = ContentAddressableStorage.method;
type Message = MessageInitShape<typeof WriteRequestSchema>;

const text = (content: string) => Buffer.from(content);

/** The name of an upload, with the function's segment where it has one. */
function nameOf({ function: { pathSegment }, hash, sizeBytes }: Digest, uuid = 'b1e7-uuid'): string {
  return `uploads/${uuid}/blobs/${pathSegment === undefined ? '' : `${pathSegment}/`}${hash}/${sizeBytes}`;
}

/** What a well-behaved client sends: the name first, then pieces of `pieceBytes`, `finish_write` with the last. */
function messagesOf(bytes: Uint8Array, resourceName = nameOf(Digest.of(bytes)), pieceBytes = 1_000): Message[] {
  const messages: Message[] = [];
  for (let offset = 0; offset < bytes.byteLength || messages.length === 0; offset += pieceBytes) {
    const data = bytes.subarray(offset, offset + pieceBytes);
    const finishWrite = offset + pieceBytes >= bytes.byteLength;
    messages.push({ resourceName: offset === 0 ? resourceName : '', writeOffset: BigInt(offset), data, finishWrite });
  }
  return messages;
}

async function isPresent(cache: ServedCache, digest: Digest): Promise<boolean> {
  return (await cache.blobs.findMissing(DigestList.of(digest))).length === 0;
}

/** Refused with INVALID_ARGUMENT, and neither this blob nor a kept one is touched. */
async function refused(messages: readonly Message[], details: RegExp, digest?: Digest): Promise<void> {
  await using cache = await serveCache();
  const kept = await cache.keep(text('kept'));
  await assert.rejects(cache.client.upload(write, messages), { code: status.INVALID_ARGUMENT, details });
  if (digest !== undefined) assert.equal(await isPresent(cache, digest), false);
  assert.equal(await isPresent(cache, kept), true);
}

/** A store that tells when a put has started and how it ended, and lets it end only when told to. */
function gated() {
  const inner = new MemoryBlobStore();
  const started = Promise.withResolvers<void>();
  const settled = Promise.withResolvers<'stored' | 'failed'>();
  const gate = Promise.withResolvers<void>();
  const blobs = blobStoreWith(inner, {
    async put(digest, bytes, options) {
      started.resolve();
      try {
        await inner.put(digest, bytes, options);
        await gate.promise;
        settled.resolve('stored');
      } catch (error) {
        settled.resolve('failed');
        throw error;
      }
    },
  });
  return { blobs, started, settled, gate };
}

describe('ByteStream.Write', () => {
  it('CAS-1, CAS-2, RN-1: stores a blob in every function and instance, readable at once', async (t) => {
    await using cache = await serveCache();
    const random = seededRandom(t);
    for (const row of digestFunctions) {
      for (const instance of ['', 'main/', 'a/b/']) {
        const bytes = random.bytes(random.integer(1, 20_000));
        const digest = Digest.of(bytes, row);
        const { committedSize } = await cache.client.upload(write, messagesOf(bytes, `${instance}${nameOf(digest)}`));
        assert.equal(committedSize, BigInt(bytes.byteLength));
        const segment = row.pathSegment === undefined ? '' : `${row.pathSegment}/`;
        const messages = await cache.client.collect(read, { resourceName: `${instance}blobs/${segment}${digest.hash}/${digest.sizeBytes}` });
        assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(bytes));
      }
    }
  });

  it('RN-4: ignores what follows the size', async () => {
    await using cache = await serveCache();
    const bytes = text('with metadata');
    await cache.client.upload(write, messagesOf(bytes, `${nameOf(Digest.of(bytes))}/src/main.o`));
    assert.ok(await isPresent(cache, Digest.of(bytes)));
  });

  it('RN-7, CAS-3, BS-15: one uuid for two blobs and two writers of one blob at a time, all succeed', async (t) => {
    await using cache = await serveCache();
    const random = seededRandom(t);
    const [one, two] = [random.bytes(5_000), random.bytes(6_000)];
    const uploads = [one, two, one].map((bytes) => ({ bytes, ...cache.client.openUpload(write) }));
    const lanes = uploads.map(({ bytes }) => messagesOf(bytes, nameOf(Digest.of(bytes), 'same')));
    for (let step = 0; step < 6; step += 1) {
      for (const [index, upload] of uploads.entries()) {
        const message = lanes[index]?.[step];
        if (message !== undefined) upload.call.write(message);
      }
    }
    for (const upload of uploads) upload.call.end();
    assert.deepEqual((await Promise.all(uploads.map(({ answer }) => answer))).map(({ committedSize }) => committedSize), [5_000n, 6_000n, 5_000n]);
    assert.ok((await isPresent(cache, Digest.of(one))) && (await isPresent(cache, Digest.of(two))));
  });

  it('MD-2, MD-4: takes the resource name and any request metadata as headers, and needs neither', async () => {
    await using cache = await serveCache();
    const bytes = text('with headers');
    const digest = Digest.of(bytes);
    for (const [name, value] of [
      ['build.bazel.remote.execution.v2.resource-name', nameOf(digest)],
      ['build.bazel.remote.execution.v2.resource-name', 'something/else'],
      ['build.bazel.remote.execution.v2.requestmetadata-bin', Buffer.from([0xff, 0xff])],
    ] as const) {
      const metadata = new Metadata();
      metadata.set(name, value);
      const { call, outcome } = cache.client.grpc.clientStream(write, { metadata });
      for (const message of messagesOf(bytes)) call.write(message);
      call.end();
      assert.equal((await outcome).message.committedSize, BigInt(digest.sizeBytes));
      const answer = await Array.fromAsync(cache.client.grpc.serverStream(read, { resourceName: `blobs/${digest.hash}/${digest.sizeBytes}` }, { metadata }));
      assert.deepEqual(Buffer.concat(answer.map(({ data }) => data)), bytes);
      assert.equal((await cache.client.grpc.unary(queryWriteStatus, { resourceName: nameOf(digest) }, { metadata })).message.complete, true);
    }
  });

  it('BS-7: later messages may repeat the name', async () => {
    await using cache = await serveCache();
    const bytes = Buffer.alloc(2_500, 1);
    const resourceName = nameOf(Digest.of(bytes));
    await cache.client.upload(write, messagesOf(bytes).map((message) => ({ ...message, resourceName })));
    assert.ok(await isPresent(cache, Digest.of(bytes)));
  });

  it('BS-7: a name that changes midway is refused', async () => {
    const bytes = Buffer.alloc(2_500, 1);
    const [first = {}, second = {}, third = {}] = messagesOf(bytes);
    const other = nameOf(Digest.of(bytes), 'another');
    await refused([first, { ...second, resourceName: other }, third], /resource_name changed midway to "uploads\/another/, Digest.of(bytes));
  });

  it('BS-8: a write_offset that is not what came before is refused', async () => {
    const bytes = Buffer.alloc(2_500, 1);
    const [first = {}, second = {}, third = {}] = messagesOf(bytes);
    for (const writeOffset of [0n, 999n, 1_001n, -1n, 2n ** 62n]) {
      await refused([first, { ...second, writeOffset }, third], new RegExp(`write_offset is ${writeOffset}, and 1000 bytes came before`), Digest.of(bytes));
    }
  });

  it('BS-9: messages without data are legal anywhere', async () => {
    await using cache = await serveCache();
    const bytes = Buffer.alloc(2_010, 9);
    const messages: Message[] = messagesOf(bytes, undefined, 201).flatMap((message, index) => {
      const empty = { writeOffset: message.writeOffset ?? 0n };
      const before: Message[] = index === 0 ? [{ resourceName: nameOf(Digest.of(bytes)) }] : [];
      return [...before, ...Array.from({ length: 49 }, () => empty), message];
    });
    assert.ok(messages.length > 499);
    assert.equal((await cache.client.upload(write, messages)).committedSize, 2_010n);
  });

  it('BS-10: finish_write may come alone, in an empty message', async () => {
    await using cache = await serveCache();
    const bytes = text('finished later');
    const [only = {}] = messagesOf(bytes);
    const messages = [{ ...only, finishWrite: false }, { writeOffset: BigInt(bytes.byteLength), finishWrite: true }];
    assert.equal((await cache.client.upload(write, messages)).committedSize, BigInt(bytes.byteLength));
  });

  it('BS-10: a message after finish_write is an error', async () => {
    const { blobs, ...store } = gated();
    await using cache = await serveCache({ blobs });
    const bytes = text('done');
    const { call, answer } = cache.client.openUpload(write);
    for (const message of messagesOf(bytes)) call.write(message);
    await new Promise((sent) => call.write({ writeOffset: 4n, data: text('!') }, sent));
    await cache.client.unary(findMissingBlobs, {}); // sent behind the message, so that has been received
    store.gate.resolve();
    call.end();
    await assert.rejects(answer, { code: status.INVALID_ARGUMENT, details: /a message came after finish_write/ });
  });

  it('BS-10: is answered after finish_write without waiting for the client to end its side', async () => {
    await using cache = await serveCache();
    const { call, answer } = cache.client.openUpload(write);
    for (const message of messagesOf(text('open end'))) call.write(message);
    assert.equal((await answer).committedSize, 8n);
    call.end();
  });

  it('BS-11: a stream that ends without finish_write stores nothing, even when all bytes came', async () => {
    const bytes = Buffer.alloc(2_500, 1);
    const [first = {}, second = {}, third = {}] = messagesOf(bytes);
    await refused([first, second], /ended after 2000 bytes without finish_write/, Digest.of(bytes));
    await refused([first, second, { ...third, finishWrite: false }], /ended after 2500 bytes without finish_write/, Digest.of(bytes));
    await refused([], /before its first message/);
  });

  it('BS-12: more data than the size fails at once, while the client goes on', async () => {
    await using cache = await serveCache();
    const digest = Digest.of(Buffer.alloc(1_500, 1));
    const { call, answer } = cache.client.openUpload(write);
    for (const message of messagesOf(Buffer.alloc(2_000, 1), nameOf(digest))) call.write({ ...message, finishWrite: false });
    await assert.rejects(answer, { code: status.INVALID_ARGUMENT, details: /2000 bytes were sent for .*, which has 1500/ });
    call.end();
    assert.equal(await isPresent(cache, digest), false);
  });

  it('CAS-1, ERR-7: fewer bytes than declared, and bytes with another hash, are refused', async () => {
    const digest = Digest.of(Buffer.alloc(2_500, 1));
    await refused(messagesOf(Buffer.alloc(2_400, 1), nameOf(digest)), /finish_write came after 2400 of the 2500 bytes/, digest);
    await refused(messagesOf(Buffer.alloc(2_500, 2), nameOf(digest)), /digest/, digest);
    await refused([{ resourceName: nameOf(digest), finishWrite: true }], /finish_write came after 0 of the 2500 bytes/, digest);
  });

  it('DG-6, DG-10: the empty blob may be uploaded, with bytes it is refused', async () => {
    await using cache = await serveCache();
    for (const row of digestFunctions) {
      const resourceName = nameOf(Digest.empty(row));
      assert.equal((await cache.client.upload(write, [{ resourceName, finishWrite: true }])).committedSize, 0n);
    }
    await refused([{ resourceName: nameOf(Digest.empty(sha256)), data: text('x'), finishWrite: true }], /1 bytes were sent/);
    await refused([{ resourceName: `uploads/u/blobs/${sha256.emptyHash}/1`, data: text('x'), finishWrite: true }], /hash of no bytes/);
    await refused([{ resourceName: `uploads/u/blobs/${'1'.repeat(64)}/0`, finishWrite: true }], /size 0 belongs to/);
  });

  it('RN-6, DG-1: a name that cannot be parsed is refused and says what is wrong', async () => {
    const bytes = text('bytes');
    const { hash } = Digest.of(bytes);
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['', /no segment "uploads"/],
      [`blobs/${hash}/5`, /no segment "uploads"/],
      [`uploads/u/${hash}/5`, /expected "blobs"/],
      [`uploads/u/blobs/${hash}/-5`, /the size "-5"/],
      [`uploads/u/blobs/${hash}/0x5`, /the size "0x5"/],
      [`uploads/u/blobs/${hash.slice(1)}/5`, /63 characters/],
      [`uploads/u/blobs/${hash.toUpperCase()}/5`, /lower-case hex/],
      [`uploads/u/blobs/${'z'.repeat(64)}/5`, /lower-case hex/],
      [`uploads/u/blobs/sha256/${hash}/5`, /leave the segment "sha256" out/],
      [`operations/uploads/u/blobs/${hash}/5`, /segment "operations"/],
    ];
    for (const [resourceName, details] of wrong) await refused([{ resourceName, data: bytes, finishWrite: true }], details);
  });

  it('RN-5: a compressed upload is refused by the name of its compressor', async () => {
    const { hash } = Digest.of(text('bytes'));
    const resourceName = `uploads/u/compressed-blobs/zstd/${hash}/5`;
    await refused([{ resourceName, data: text('bytes'), finishWrite: true }], /compressor zstd is not among supported_compressors/);
  });

  it('BS-21: an upload that starts beyond 0 is refused and told to start again', async () => {
    const bytes = Buffer.alloc(2_500, 1);
    const [, second = {}, third = {}] = messagesOf(bytes);
    const resumed = { ...second, resourceName: nameOf(Digest.of(bytes)) };
    await refused([resumed, third], /the first write_offset is 1000; .*start again at 0/, Digest.of(bytes));
    await refused([{ ...resumed, writeOffset: -1n }], /the first write_offset is -1/, Digest.of(bytes));
  });

  it('BS-13, BS-14, K1-16: a present blob is answered at once, and the connection goes on', async () => {
    await using cache = await serveCache();
    const bytes = Buffer.alloc(4_000_000, 5);
    const digest = await cache.keep(bytes);
    const { call, answer } = cache.client.openUpload(write);
    const [first = {}, ...rest] = messagesOf(bytes, nameOf(digest), 65_536);
    call.write(first);
    assert.equal((await answer).committedSize, 4_000_000n);
    for (const message of rest) call.write(message);
    call.end();
    assert.deepEqual((await cache.client.unary(findMissingBlobs, {})).missingBlobDigests, []);
  });

  it('BS-13, BS-15: an upload ends with success when another one completes the blob before it', async () => {
    await using cache = await serveCache();
    const bytes = Buffer.alloc(24 * 1024 * 1024, 6);
    const messages = messagesOf(bytes, undefined, 1024 * 1024);
    const { call, answer } = cache.client.openUpload(write);
    for (const message of messages.slice(0, 2)) call.write(message);
    using other = new CacheClient(cache.server.address);
    assert.equal((await other.upload(write, messages)).committedSize, BigInt(bytes.byteLength));
    for (const message of messages.slice(2, 6)) call.write(message);
    assert.equal((await answer).committedSize, BigInt(bytes.byteLength));
    call.end();
  });

  it('BS-13, BS-10: what comes after a store has stopped reading is no message after finish_write', async () => {
    const inner = new MemoryBlobStore();
    const stopped = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const blobs = blobStoreWith(inner, {
      async put(_digest, bytes) {
        let chunks = 0;
        for await (const _ of bytes) if ((chunks += 1) === 2) break;
        stopped.resolve();
        await gate.promise;
      },
    });
    await using cache = await serveCache({ blobs });
    const bytes = Buffer.alloc(200_000, 8);
    const { call, answer } = cache.client.openUpload(write);
    const [first = {}, second = {}, ...rest] = messagesOf(bytes, undefined, 50_000);
    call.write(first);
    call.write(second);
    await stopped.promise;
    for (const message of rest) call.write(message);
    await cache.client.unary(findMissingBlobs, {}); // sent behind them, so they have been received
    gate.resolve();
    assert.equal((await answer).committedSize, 200_000n);
    call.end();
  });

  it('DG-1: a wrong size of a present blob is refused', async () => {
    await using cache = await serveCache();
    const { hash } = await cache.keep(text('bytes'));
    const messages = [{ resourceName: `uploads/u/blobs/${hash}/6`, data: text('bytes!'), finishWrite: true }];
    await assert.rejects(cache.client.upload(write, messages), { code: status.INVALID_ARGUMENT, details: /has 5 bytes/ });
  });

  it('BS-16, HT-8: a cancelled upload ends its put and leaves nothing', async () => {
    const { blobs, ...store } = gated();
    store.gate.resolve();
    await using cache = await serveCache({ blobs });
    const bytes = Buffer.alloc(2_500, 1);
    const { call } = cache.client.openUpload(write);
    for (const message of messagesOf(bytes).slice(0, 2)) call.write(message);
    await store.started.promise;
    call.cancel();
    assert.equal(await store.settled.promise, 'failed');
    await cache.server.router.idle();
    assert.equal(await isPresent(cache, Digest.of(bytes)), false);
  });

  it('BS-17: is not acknowledged before the store has it', async () => {
    const { blobs, ...store } = gated();
    await using cache = await serveCache({ blobs });
    const events: string[] = [];
    const answer = cache.client.upload(write, messagesOf(text('durable'))).then(() => events.push('acknowledged'));
    await store.started.promise;
    for (let calls = 0; calls < 10; calls += 1) await cache.client.unary(findMissingBlobs, {});
    events.push('stored');
    store.gate.resolve();
    await answer;
    assert.deepEqual(events, ['stored', 'acknowledged']);
  });

  it('CAP-10, ERR-3: a blob above the limit is INVALID_ARGUMENT, one that finds no room RESOURCE_EXHAUSTED', async () => {
    await using cache = await serveCache({ blobs: new MemoryBlobStore({ bytesMax: 1_000, blobBytesMax: 2_000 }) });
    await assert.rejects(cache.client.upload(write, messagesOf(Buffer.alloc(1_500, 1))), { code: status.RESOURCE_EXHAUSTED });
    await assert.rejects(cache.client.upload(write, messagesOf(Buffer.alloc(2_500, 1))), { code: status.INVALID_ARGUMENT, details: /larger than the 2000 bytes/ });
  });

  it('ERR-5: needs the right to write, and says so before any data', async () => {
    await using cache = await serveCache({ rights: ['read'] });
    const { call, answer } = cache.client.openUpload(write);
    call.write({ resourceName: nameOf(Digest.of(text('bytes'))) });
    await assert.rejects(answer, { code: status.PERMISSION_DENIED });
    call.end();
  });

  it('HT-4: a store that does not take the bytes stops the client', async () => {
    const taken = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const inner = new MemoryBlobStore();
    const blobs = blobStoreWith(inner, {
      put(digest, bytes, options) {
        async function* slowly() {
          for await (const chunk of bytes) {
            taken.resolve();
            await gate.promise;
            yield chunk;
          }
        }
        return inner.put(digest, slowly(), options);
      },
    });
    await using cache = await serveCache({ blobs });
    const bytes = Buffer.alloc(32 * 1024 * 1024, 3);
    const { call, answer } = cache.client.openUpload(write);
    let sent = 0;
    const messages = messagesOf(bytes, undefined, 256 * 1024);
    for (const message of messages) call.write(message, () => (sent += 1));
    call.end();
    await taken.promise;
    using other = new CacheClient(cache.server.address);
    for (let calls = 0; calls < 50; calls += 1) await other.unary(findMissingBlobs, {});
    assert.ok(sent < messages.length / 2, `${sent} of ${messages.length} messages left the client`);
    gate.resolve();
    assert.equal((await answer).committedSize, BigInt(bytes.byteLength));
  });
});

describe('ByteStream.QueryWriteStatus', () => {
  it('BS-18, BS-20, K5-11: an upload that is not complete has committed nothing', async () => {
    const { blobs, ...store } = gated();
    await using cache = await serveCache({ blobs });
    const bytes = Buffer.alloc(2_500, 1);
    const resourceName = nameOf(Digest.of(bytes));
    const unknown = await cache.client.unary(queryWriteStatus, { resourceName });
    assert.deepEqual([unknown.committedSize, unknown.complete], [0n, false]);
    const { call } = cache.client.openUpload(write);
    for (const message of messagesOf(bytes).slice(0, 2)) call.write(message);
    await store.started.promise;
    const half = await cache.client.unary(queryWriteStatus, { resourceName });
    assert.deepEqual([half.committedSize, half.complete], [0n, false]);
    call.cancel();
  });

  it('BS-19: a present blob is complete with its size, whatever the uuid', async () => {
    await using cache = await serveCache();
    for (const row of [sha256, blake3]) {
      const digest = await cache.keep(text('present'), row);
      const answer = await cache.client.unary(queryWriteStatus, { resourceName: nameOf(digest, 'never used') });
      assert.deepEqual([answer.committedSize, answer.complete], [7n, true]);
    }
  });

  it('RN-5, RN-6, ERR-5: refuses what Write refuses', async () => {
    await using cache = await serveCache();
    const { hash } = Digest.of(text('bytes'));
    for (const resourceName of ['', `blobs/${hash}/5`, `uploads/u/compressed-blobs/zstd/${hash}/5`]) {
      await assert.rejects(cache.client.unary(queryWriteStatus, { resourceName }), { code: status.INVALID_ARGUMENT });
    }
    await using locked = await serveCache({ rights: ['read'] });
    await assert.rejects(locked.client.unary(queryWriteStatus, { resourceName: nameOf(Digest.of(text('x'))) }), { code: status.PERMISSION_DENIED });
  });
});
