// GetActionResult and UpdateActionResult over a real socket.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { CacheError } from '../base/cache-error.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha1, sha256 } from '../digest/digest-function.ts';
import {
  ActionCache,
  ActionResultSchema,
  ContentAddressableStorage,
  DigestFunction_Value,
  TreeSchema,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { GetActionResultRequest } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { serveCache } from '../testing/serve-cache.ts';
import type { ServedCache } from '../testing/serve-cache.ts';

const { getActionResult, updateActionResult } = ActionCache.method;

const text = (content: string) => Buffer.from(content);
const wire = (digest: Digest) => ({ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) });
const actionDigest = wire(Digest.of(text('an action')));
type Result = MessageInitShape<typeof ActionResultSchema>;
/** What a call is keyed by; default: one action in the empty instance, by SHA-256. */
type Key = Partial<Pick<GetActionResultRequest, 'instanceName' | 'digestFunction'> & { actionDigest: typeof actionDigest }>;
type Hints = Partial<Pick<GetActionResultRequest, 'inlineStdout' | 'inlineStderr' | 'inlineOutputFiles'>>;

const update = (cache: ServedCache, actionResult: Result, key: Key = {}) =>
  cache.client.unary(updateActionResult, { actionDigest, actionResult, ...key });
const get = (cache: ServedCache, query: Key & Hints = {}) => cache.client.unary(getActionResult, { actionDigest, ...query });
const asText = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

describe('ActionCache', () => {
  it('AC-1, ERR-9: a miss is NOT_FOUND and names the action', async () => {
    await using cache = await serveCache();
    await assert.rejects(get(cache), { code: status.NOT_FOUND, details: new RegExp(actionDigest.hash) });
  });

  it('AC-9, AC-12: gives back what was stored, results of failed actions too', async () => {
    await using cache = await serveCache();
    const digest = wire(await cache.keep(text('output')));
    const directory = await cache.keep(toBinary(TreeSchema, create(TreeSchema, { root: {} })));
    const result: Result = {
      exitCode: 3,
      outputFiles: [{ path: 'out/a.o', digest, isExecutable: true, nodeProperties: { unixMode: 0o755 } }],
      outputSymlinks: [{ path: 'link', target: '/absolute' }],
      outputDirectories: [{ path: 'dir', treeDigest: wire(directory) }],
      stdoutDigest: digest,
      executionMetadata: { worker: 'w', queuedTimestamp: { seconds: 5n, nanos: 6 } },
    };
    const expected = toBinary(ActionResultSchema, create(ActionResultSchema, result));
    for (const answer of [await update(cache, result), await get(cache)]) assert.deepEqual(toBinary(ActionResultSchema, answer), expected);
  });

  it('AC-10: the last one stored wins', async () => {
    await using cache = await serveCache();
    for (const exitCode of [1, 2]) await update(cache, { exitCode });
    assert.equal((await get(cache)).exitCode, 2);
  });

  it('AC-9, IN-4: entries are separate per instance, function and size', async () => {
    await using cache = await serveCache();
    await update(cache, { exitCode: 7 }, { instanceName: 'main' });
    assert.equal((await get(cache, { instanceName: 'main' })).exitCode, 7);
    const others: Key[] = [
      {},
      { instanceName: 'main/sub' },
      { instanceName: 'main', digestFunction: DigestFunction_Value.BLAKE3 },
      { instanceName: 'main', actionDigest: { ...actionDigest, sizeBytes: actionDigest.sizeBytes + 1n } },
    ];
    for (const other of others) await assert.rejects(get(cache, other), { code: status.NOT_FOUND });
  });

  it('AC-7, MO-3: the key need not be the digest of an Action, nor of anything that is stored', async () => {
    await using cache = await serveCache();
    const key = { actionDigest: { hash: '7'.repeat(64), sizeBytes: 1n } };
    await update(cache, { exitCode: 1 }, key);
    assert.equal((await get(cache, key)).exitCode, 1);
    const json = { actionDigest: wire(await cache.keep(text('{"moon": true}'))) };
    await update(cache, { exitCode: 2 }, json);
    assert.equal((await get(cache, json)).exitCode, 2);
  });

  it('AC-8: a result that says nothing is still no empty message when it is read', async () => {
    await using cache = await serveCache();
    await update(cache, {});
    assert.ok(toBinary(ActionResultSchema, await get(cache)).byteLength > 0);
  });

  it('AC-2: a result with an absent output is not served, and served again when the output comes', async () => {
    await using cache = await serveCache();
    const bytes = text('late');
    await update(cache, { outputFiles: [{ path: 'late', digest: wire(Digest.of(bytes)) }] });
    await assert.rejects(get(cache), { code: status.NOT_FOUND });
    await cache.keep(bytes);
    assert.equal((await get(cache)).outputFiles.length, 1);
  });

  it('AC-5: what was inlined is in the store as well, and comes back by digest', async () => {
    await using cache = await serveCache();
    const result = { stdoutRaw: text('out'), stderrRaw: text('err'), outputFiles: [{ path: 'f', contents: text('content') }] };
    await update(cache, result);
    const stored = await get(cache);
    assert.deepEqual([stored.stdoutRaw.length, stored.stderrRaw.length, stored.outputFiles[0]?.contents.length], [0, 0, 0]);
    const digests = [stored.stdoutDigest, stored.stderrDigest, stored.outputFiles[0]?.digest].filter((digest) => digest !== undefined);
    const { responses } = await cache.client.unary(ContentAddressableStorage.method.batchReadBlobs, { digests });
    assert.deepEqual(responses.map(({ data }) => asText(data)), ['out', 'err', 'content']);
  });

  it('AC-5, ERR-7: inlined bytes that do not have the digest beside them are refused, and nothing is stored', async () => {
    await using cache = await serveCache();
    const result = { stdoutRaw: text('out'), stdoutDigest: wire(Digest.of(text('tuo'))) };
    await assert.rejects(update(cache, result), { code: status.INVALID_ARGUMENT, details: /inlined stdout/ });
    await assert.rejects(get(cache), { code: status.NOT_FOUND });
  });

  it('DG-5: outputs have the function of the action', async () => {
    await using cache = await serveCache();
    for (const [row, digestFunction] of [[blake3, DigestFunction_Value.BLAKE3], [sha1, DigestFunction_Value.SHA1]] as const) {
      const key = { digestFunction, actionDigest: wire(Digest.of(text('action'), row)) };
      await update(cache, { stdoutRaw: text('out') }, key);
      const { stdoutDigest, stdoutRaw } = await get(cache, { ...key, inlineStdout: true });
      assert.deepEqual([stdoutDigest?.hash, asText(stdoutRaw)], [Digest.of(text('out'), row).hash, 'out']);
    }
    const foreign = { outputFiles: [{ path: 'f', digest: wire(Digest.of(text('x'), sha1)) }] };
    await assert.rejects(update(cache, foreign), { code: status.INVALID_ARGUMENT, details: /output file "f": hash .* is not a SHA256 hash/ });
  });

  it('DG-1, DG-6: a result with a digest that no blob can have is refused, and says which', async () => {
    await using cache = await serveCache();
    const bad = { hash: 'A'.repeat(64), sizeBytes: 1n };
    const wrong: readonly (readonly [Result, RegExp])[] = [
      [{ outputFiles: [{ path: 'f', digest: bad }] }, /output file "f"/],
      [{ outputFiles: [{ path: 'f' }] }, /output file "f" has neither digest nor contents/],
      [{ outputDirectories: [{ path: 'd', treeDigest: bad }] }, /tree of "d"/],
      [{ outputDirectories: [{ path: 'd', rootDirectoryDigest: { hash: sha256.emptyHash, sizeBytes: -1n } }] }, /root directory of "d"/],
      [{ outputDirectories: [{ path: 'd' }] }, /neither tree nor root directory/],
      [{ stdoutDigest: bad }, /stdout_digest/],
      [{ stderrDigest: { hash: '1'.repeat(64), sizeBytes: 0n } }, /stderr_digest/],
    ];
    for (const [result, details] of wrong) await assert.rejects(update(cache, result), { code: status.INVALID_ARGUMENT, details });
    await assert.rejects(get(cache), { code: status.NOT_FOUND });
  });

  it('DG-1, DG-7, IN-2: refuses keys that cannot be, in both calls', async () => {
    await using cache = await serveCache();
    const keys: readonly (readonly [Key, RegExp])[] = [
      [{ actionDigest: { hash: actionDigest.hash.toUpperCase(), sizeBytes: 9n } }, /lower-case hex/],
      [{ actionDigest: { hash: actionDigest.hash, sizeBytes: -9n } }, /size -9/],
      [{ actionDigest: { hash: 'ab', sizeBytes: 9n } }, /fits no digest function/],
      [{ digestFunction: DigestFunction_Value.MURMUR3 }, /MURMUR3 is not served/],
      [{ instanceName: 'a/uploads' }, /segment "uploads"/],
    ];
    for (const [key, details] of keys) {
      await assert.rejects(get(cache, key), { code: status.INVALID_ARGUMENT, details });
      await assert.rejects(update(cache, { exitCode: 1 }, key), { code: status.INVALID_ARGUMENT, details });
    }
    await assert.rejects(cache.client.unary(getActionResult, {}), { code: status.INVALID_ARGUMENT, details: /action_digest is not set/ });
    await assert.rejects(cache.client.unary(updateActionResult, { actionDigest }), { code: status.INVALID_ARGUMENT, details: /action_result is not set/ });
  });

  it('AC-6, ERR-5: an update without the right to write is PERMISSION_DENIED, a get without the right to read too', async () => {
    await using readers = await serveCache({ rights: ['read'] });
    await assert.rejects(update(readers, { exitCode: 1 }), { code: status.PERMISSION_DENIED });
    await assert.rejects(get(readers), { code: status.NOT_FOUND });
    await using writers = await serveCache({ rights: ['write'] });
    await assert.rejects(get(writers), { code: status.PERMISSION_DENIED });
  });

  it('CT-9, AC-10: without the right to overwrite the first result stays, and who came later is told why', async () => {
    const meter = new RecordedMeter();
    await using cache = await serveCache({ rights: ['read', 'write'], meter });
    const result = (exitCode: number, worker: string) => ({ exitCode, executionMetadata: { worker } });
    assert.equal((await update(cache, result(1, 'first'))).executionMetadata?.worker, 'first');
    const details = 'not stored: another entry is here under the same key, and the first one is kept; no right to overwrite in ""';
    await assert.rejects(update(cache, result(2, 'second')), { code: status.ALREADY_EXISTS, details });
    assert.equal((await update(cache, result(1, 'third'))).executionMetadata?.worker, 'first', 'the same but for who made it: the answer is what is stored (AC-9)');
    assert.deepEqual([(await get(cache)).exitCode, (await get(cache)).executionMetadata?.worker], [1, 'first']);
    assert.equal(meter.value('kiln_entries_kept_total{kind="action_result"}'), 1);
    assert.match(cache.log.lines.join('\n'), /debug another entry was kept \{"caller":"anonymous","kind":"action_result",/);
    const missing = { outputFiles: [{ path: 'a', digest: wire(Digest.of(text('never stored'))) }] };
    const incomplete = { actionDigest: wire(Digest.of(text('another action'))) };
    await update(cache, missing, incomplete);
    assert.equal((await update(cache, result(5, 'fifth'), incomplete)).exitCode, 5, 'an incomplete result is in nobody\'s way');
  });

  it('CT-9, AC-6: who may not read is not shown what somebody else has stored', async () => {
    await using cache = await serveCache({ rights: ['write'] });
    const result = (worker: string) => ({ exitCode: 1, executionMetadata: { worker } });
    for (const worker of ['first', 'second']) assert.equal((await update(cache, result(worker))).executionMetadata?.worker, worker);
  });

  it('AC-6, ERR-3: a full store fails the update with RESOURCE_EXHAUSTED, and nothing is stored', async () => {
    await using cache = await serveCache({ blobs: new MemoryBlobStore({ bytesMax: 10, blobBytesMax: 1_000 }) });
    await assert.rejects(update(cache, { stdoutRaw: text('more than ten bytes') }), { code: status.RESOURCE_EXHAUSTED });
    await assert.rejects(get(cache), { code: status.NOT_FOUND });
  });

  it('AC-11: any results_cache_policy is accepted', async () => {
    await using cache = await serveCache();
    const request = { actionDigest, actionResult: { exitCode: 1 }, resultsCachePolicy: { priority: -2_147_483_648 } };
    assert.equal((await cache.client.unary(updateActionResult, request)).exitCode, 1);
  });

  it('AC-9: a result that no client could receive is refused when it is put', async () => {
    await using cache = await serveCache({ grpc: { messageBytesMax: 8 * 1024 * 1024 } });
    const outputSymlinks = Array.from({ length: 50 }, (_, index) => ({ path: `${index}`.padEnd(90_000, 'p'), target: 't' }));
    await assert.rejects(update(cache, { outputSymlinks }), { code: status.INVALID_ARGUMENT, details: /bytes; at most/ });
  });
});

describe('ActionCache inlining', () => {
  const result = {
    stdoutRaw: text('to stdout'),
    stderrRaw: text('to stderr'),
    outputFiles: ['a', 'b', 'dir/a'].map((path) => ({ path, contents: text(`content of ${path}`) })),
  };
  const inlined = (stored: { stdoutRaw: Uint8Array; stderrRaw: Uint8Array; outputFiles: { contents: Uint8Array }[] }) =>
    [stored.stdoutRaw, stored.stderrRaw, ...stored.outputFiles.map(({ contents }) => contents)].map(asText);

  it('AC-4: gives inline what was asked for and nothing else, digests beside it', async () => {
    await using cache = await serveCache();
    await update(cache, result);
    assert.deepEqual(inlined(await get(cache)), ['', '', '', '', '']);
    assert.deepEqual(inlined(await get(cache, { inlineStdout: true })), ['to stdout', '', '', '', '']);
    assert.deepEqual(inlined(await get(cache, { inlineStderr: true })), ['', 'to stderr', '', '', '']);
    const files = await get(cache, { inlineOutputFiles: ['dir/a', 'b', '/a', 'A', 'unknown'] });
    assert.deepEqual(inlined(files), ['', '', '', 'content of b', 'content of dir/a']);
    const all = await get(cache, { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['a', 'b', 'dir/a'] });
    assert.deepEqual(inlined(all), ['to stdout', 'to stderr', 'content of a', 'content of b', 'content of dir/a']);
    for (const digest of [all.stdoutDigest, all.stderrDigest, ...all.outputFiles.map((file) => file.digest)]) assert.ok(digest !== undefined);
    assert.deepEqual(inlined(await get(cache)), ['', '', '', '', ''], 'the stored result is not written to');
  });

  it('AC-4: leaves out what would take the answer over 4 MiB, and inlines the rest', async () => {
    await using cache = await serveCache();
    const outputFiles = [3_000_000, 2_000_000, 900_000, 800_000].map((size, index) => ({ path: `${index}`, digest: wire(Digest.of(Buffer.alloc(size, index))) }));
    for (const [index, size] of [3_000_000, 2_000_000, 900_000, 800_000].entries()) await cache.keep(Buffer.alloc(size, index));
    const stdout = await cache.keep(Buffer.alloc(100_000, 'x'));
    await update(cache, { outputFiles, stdoutDigest: wire(stdout) });
    const answer = await get(cache, { inlineStdout: true, inlineOutputFiles: ['0', '1', '2', '3'] });
    assert.deepEqual(answer.outputFiles.map(({ contents }) => contents.byteLength), [3_000_000, 0, 900_000, 0]);
    assert.equal(answer.stdoutRaw.byteLength, 100_000);
    assert.ok(toBinary(ActionResultSchema, answer).byteLength < 4 * 1024 * 1024);
  });

  it('AC-4: fills an answer to its bound and not beyond', async () => {
    await using cache = await serveCache({ limits: { answerBytesMax: 1_000 } });
    for (let size = 850; size <= 950; size += 1) {
      const digest = await cache.keep(Buffer.alloc(size, 'z'));
      await update(cache, { stdoutDigest: wire(digest) });
      const answer = await get(cache, { inlineStdout: true });
      assert.ok(toBinary(ActionResultSchema, answer).byteLength <= 1_000, `${size}`);
      assert.equal(answer.stdoutRaw.byteLength, size <= 913 ? size : 0, `${size}`);
    }
  });

  it('AC-4: an output that cannot be read right now is left out, and the result is served', async () => {
    const blobs = blobStoreWith(new MemoryBlobStore(), {
      getMany: () => [new CacheError('unavailable', 'the disk does not answer'), undefined],
    });
    await using cache = await serveCache({ blobs });
    await update(cache, { exitCode: 4, ...result, outputFiles: [] });
    const answer = await get(cache, { inlineStdout: true, inlineStderr: true });
    assert.deepEqual([answer.exitCode, ...inlined(answer)], [4, '', '']);
  });
});
