// GetTree over a real socket: pages, tokens, and trees that are not whole.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import {
  ContentAddressableStorage,
  DigestFunction_Value,
  DirectorySchema,
  GetTreeResponseSchema,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { Directory, GetTreeResponse } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { serveCache } from '../testing/serve-cache.ts';
import type { ServedCache } from '../testing/serve-cache.ts';

const { getTree } = ContentAddressableStorage.method;

const wire = (digest: Digest) => ({ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) });
const directoriesOf = (pages: readonly GetTreeResponse[]): Directory[] => pages.flatMap((page) => page.directories);
const labelsOf = (pages: readonly GetTreeResponse[]) => directoriesOf(pages).map((directory) => directory.files[0]?.name);

/** A Directory with a file called `label`; `stored: false` makes only its digest. */
async function directory(
  cache: ServedCache,
  label: string,
  children: Readonly<Record<string, Digest>> = {},
  options: { stored?: boolean; digestFunction?: DigestFunction } = {},
): Promise<Digest> {
  const { stored = true, digestFunction = sha256 } = options;
  const message = create(DirectorySchema, {
    files: [{ name: label, digest: wire(Digest.of(Buffer.from(label), digestFunction)) }],
    directories: Object.entries(children).map(([name, digest]) => ({ name, digest: wire(digest) })),
  });
  const bytes = toBinary(DirectorySchema, message);
  return stored ? cache.keep(bytes, digestFunction) : Digest.of(bytes, digestFunction);
}

/** root ── a ── leaf, root ── b ── leaf, root ── c: five distinct directories, one referenced twice. */
async function smallTree(cache: ServedCache): Promise<Digest> {
  const leaf = await directory(cache, 'leaf');
  const a = await directory(cache, 'a', { leaf });
  const b = await directory(cache, 'b', { leaf });
  const c = await directory(cache, 'c');
  return directory(cache, 'root', { a, b, c });
}

describe('GetTree', () => {
  it('GT-1: root first, each distinct directory once', async () => {
    await using cache = await serveCache();
    const pages = await cache.client.collect(getTree, { rootDigest: wire(await smallTree(cache)) });
    assert.deepEqual(labelsOf(pages), ['root', 'a', 'b', 'c', 'leaf']);
    assert.deepEqual(pages.map((page) => page.nextPageToken), ['']);
  });

  it('GT-2: a missing root is NOT_FOUND, a missing child is left out with what hangs on it', async () => {
    await using cache = await serveCache();
    const unknown = await directory(cache, 'unknown', {}, { stored: false });
    await assert.rejects(cache.client.collect(getTree, { rootDigest: wire(unknown) }), { code: status.NOT_FOUND });
    const below = await directory(cache, 'below');
    const lost = await directory(cache, 'lost', { below }, { stored: false });
    const kept = await directory(cache, 'kept');
    const root = await directory(cache, 'root', { kept, lost });
    assert.deepEqual(labelsOf(await cache.client.collect(getTree, { rootDigest: wire(root) })), ['root', 'kept']);
  });

  it('GT-3: page_size is an upper bound, and the last page has no token', async () => {
    await using cache = await serveCache();
    const rootDigest = wire(await smallTree(cache));
    for (const [pageSize, sizes] of [[1, [1, 1, 1, 1, 1]], [2, [2, 2, 1]], [5, [5]], [1000, [5]]] as const) {
      const pages = await cache.client.collect(getTree, { rootDigest, pageSize });
      assert.deepEqual(pages.map((page) => page.directories.length), sizes);
      assert.deepEqual(pages.map((page) => page.nextPageToken === ''), sizes.map((_, index) => index === sizes.length - 1));
    }
    await assert.rejects(cache.client.collect(getTree, { rootDigest, pageSize: -1 }), { code: status.INVALID_ARGUMENT, details: /page_size -1/ });
  });

  it('GT-3: every message stays below 4 MiB, whatever page_size says', async () => {
    await using cache = await serveCache();
    const names = Array.from({ length: 12 }, (_, index) => `${index}`.padEnd(600_000, 'x'));
    const children: Record<string, Digest> = {};
    for (const name of names) children[name.slice(0, 20)] = await directory(cache, name);
    const root = await directory(cache, 'root', children);
    const pages = await cache.client.collect(getTree, { rootDigest: wire(root), pageSize: 1_000 });
    assert.equal(directoriesOf(pages).length, 13);
    assert.ok(pages.length > 5 && pages.every((page) => toBinary(GetTreeResponseSchema, page).byteLength < 4 * 1024 * 1024));
  });

  it('GT-3: a directory that fits into no message is refused in words', async () => {
    await using cache = await serveCache();
    const huge = await directory(cache, 'y'.repeat(4_200_000));
    const root = await directory(cache, 'root', { huge });
    await assert.rejects(cache.client.collect(getTree, { rootDigest: wire(root) }), { code: status.FAILED_PRECONDITION, details: /read it as a blob/ });
  });

  it('GT-4, K4-08: a token goes on in a new call, in another server over the same blobs and with other pages', async () => {
    const blobs = new MemoryBlobStore();
    await using before = await serveCache({ blobs });
    const rootDigest = wire(await smallTree(before));
    const pages = await before.client.collect(getTree, { rootDigest, pageSize: 1 });
    await using after = await serveCache({ blobs });
    for (const [index, { nextPageToken }] of pages.entries()) {
      if (nextPageToken === '') continue;
      const rest = await after.client.collect(getTree, { rootDigest, pageSize: 3, pageToken: nextPageToken });
      assert.deepEqual(labelsOf(rest), ['root', 'a', 'b', 'c', 'leaf'].slice(index + 1));
    }
  });

  it('GT-5: a token that is not ours, or of another tree, is INVALID_ARGUMENT', async () => {
    await using cache = await serveCache();
    const rootDigest = wire(await smallTree(cache));
    const other = await directory(cache, 'other');
    for (const pageToken of ['x', 'after/', 'after/XYZ', '5', `after/${other.hash}`]) {
      await assert.rejects(cache.client.collect(getTree, { rootDigest, pageToken }), { code: status.INVALID_ARGUMENT, details: /page_token/ });
    }
  });

  it('GT-6: a child that is no Directory is left out, and a tree of 1,000 levels is listed', async () => {
    await using cache = await serveCache();
    const garbage = await cache.keep(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]));
    let deep = await directory(cache, 'bottom', { garbage });
    for (let level = 0; level < 1_000; level += 1) deep = await directory(cache, `level ${level}`, { deep });
    const pages = await cache.client.collect(getTree, { rootDigest: wire(deep) });
    assert.equal(directoriesOf(pages).length, 1_001);
    assert.equal(labelsOf(pages).at(-1), 'bottom');
    await assert.rejects(cache.client.collect(getTree, { rootDigest: wire(garbage) }), { code: status.INVALID_ARGUMENT, details: /not a Directory/ });
  });

  it('DG-3, DG-10: honours the function for all levels, and knows the empty Directory', async () => {
    await using cache = await serveCache();
    const child = await directory(cache, 'child', {}, { digestFunction: blake3 });
    const root = await directory(cache, 'root', { child }, { digestFunction: blake3 });
    const asked = { rootDigest: wire(root), digestFunction: DigestFunction_Value.BLAKE3 };
    assert.deepEqual(labelsOf(await cache.client.collect(getTree, asked)), ['root', 'child']);
    await assert.rejects(cache.client.collect(getTree, { rootDigest: wire(root) }), { code: status.NOT_FOUND });
    const empty = await cache.client.collect(getTree, { rootDigest: wire(Digest.empty(sha256)) });
    assert.deepEqual(directoriesOf(empty).map((message) => toBinary(DirectorySchema, message).byteLength), [0]);
  });

  it('DG-1, ERR-5: refuses a missing or malformed digest and callers without rights', async () => {
    await using cache = await serveCache();
    await assert.rejects(cache.client.collect(getTree, {}), { code: status.INVALID_ARGUMENT, details: /root_digest is not set/ });
    const upper = { rootDigest: { hash: 'A'.repeat(64), sizeBytes: 1n } };
    await assert.rejects(cache.client.collect(getTree, upper), { code: status.INVALID_ARGUMENT, details: /lower-case hex/ });
    await using locked = await serveCache({ rights: ['write'] });
    await assert.rejects(locked.client.collect(getTree, upper), { code: status.PERMISSION_DENIED });
  });
});
