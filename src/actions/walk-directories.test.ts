// GT-1, GT-2 and GT-6 over a memory store, with what the walk asks of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DirectorySchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { walkDirectories, walkLimits } from './walk-directories.ts';
import type { WalkLimits } from './walk-directories.ts';

type Child = readonly [name: string, digest: Digest];

function setUp() {
  const store = new EmptyAwareBlobStore(new MemoryBlobStore());
  const reads: number[] = [];
  const turns = { count: 0 };
  const budget = unboundedByteBudget();
  const blobs = blobStoreWith(store, {
    getMany(digests) {
      reads.push(digests.length);
      return store.getMany(digests);
    },
  });
  /** A directory that is told apart by its label. */
  const directory = async (label: string, children: readonly Child[] = [], stored = true): Promise<Digest> => {
    const init: MessageInitShape<typeof DirectorySchema> = {
      symlinks: [{ name: label, target: '.' }],
      directories: children.map(([name, { hash, sizeBytes }]) => ({ name, digest: { hash, sizeBytes: BigInt(sizeBytes) } })),
    };
    const bytes = toBinary(DirectorySchema, create(DirectorySchema, init));
    const digest = Digest.of(bytes);
    if (stored) await blobs.put(digest, byteSourceOf(bytes));
    return digest;
  };
  const walk = async (root: Digest, limits: Partial<WalkLimits> = {}, options?: CallOptions, from: BlobStore = blobs): Promise<string> => {
    const labels: (string | undefined)[] = [];
    const nextTurn = async () => {
      turns.count += 1;
    };
    for await (const walked of walkDirectories({ blobs: from, nextTurn, budget }, root, { ...walkLimits, ...limits }, options)) {
      if (walked === 'pass_on') continue;
      const { bytes } = walked;
      const found = fromBinary(DirectorySchema, bytes);
      labels.push(found.symlinks[0]?.name ?? 'empty');
    }
    return labels.join(' ');
  };
  return { blobs, reads, turns, budget, directory, walk };
}

describe('walkDirectories', () => {
  it('GT-1: root first, level by level, each distinct directory once', async () => {
    const { reads, directory, walk } = setUp();
    const shared = await directory('shared');
    const a = await directory('a', [['s', shared]]);
    const b = await directory('b', [['s', shared], ['e', Digest.empty(sha256)]]);
    const root = await directory('root', [['a', a], ['b', b], ['c', shared]]);
    assert.equal(await walk(root), 'root a b shared empty');
    assert.deepEqual(reads, [1, 3, 1]);
  });

  it('DG-10: the empty directory needs no upload', async () => {
    assert.equal(await setUp().walk(Digest.empty(sha256)), 'empty');
  });

  it('GT-2: a missing root is not_found; a missing child is left out with what hangs on it', async () => {
    const { directory, walk } = setUp();
    const absent = await directory('absent', [], false);
    await assert.rejects(walk(absent), { code: 'not_found' });
    assert.equal(await walk(await directory('root', [['x', absent], ['y', await directory('y')]])), 'root y');
    const absentAndLarge = Digest.parse(sha256, 'ab'.repeat(32), 10_000_000);
    assert.equal(await walk(await directory('root', [['x', absentAndLarge], ['y', await directory('y')]])), 'root y');
    await assert.rejects(walk(absentAndLarge), { code: 'not_found' });
  });

  it('GT-6: a child that is no Directory is left out; as the root it is invalid_argument', async () => {
    const { blobs, directory, walk } = setUp();
    const bytes = Buffer.from('\u0007 certainly no message');
    const junk = Digest.of(bytes);
    await blobs.put(junk, byteSourceOf(bytes));
    assert.equal(await walk(await directory('root', [['j', junk], ['y', await directory('y')]])), 'root y');
    await assert.rejects(walk(junk), { code: 'invalid_argument' });
  });

  it('GT-6: children with malformed digests or a wrong size are left out', async () => {
    const { directory, walk } = setUp();
    const y = await directory('y');
    const broken = { hash: 'XYZ', sizeBytes: 1 } as unknown as Digest;
    const wrongSize = Digest.parse(sha256, (await directory('z')).hash, 1);
    assert.equal(await walk(await directory('root', [['b', broken], ['w', wrongSize], ['y', y]])), 'root y');
  });

  it('DG-1: a root with the wrong size is invalid_argument', async () => {
    const { directory, walk } = setUp();
    const root = await directory('root');
    await assert.rejects(walk(Digest.parse(sha256, root.hash, root.sizeBytes + 1)), { code: 'invalid_argument' });
  });

  it('GT-6: a very deep tree is walked without recursion', async () => {
    const { directory, walk } = setUp();
    let digest = await directory('leaf');
    for (let depth = 0; depth < 5_000; depth += 1) digest = await directory(`d${depth}`, [['c', digest]]);
    assert.equal((await walk(digest)).split(' ').length, 5_001);
  });

  it('reads a level in batches within its limits', async () => {
    const { reads, directory, walk } = setUp();
    const children = await Promise.all(Array.from({ length: 10 }, async (_, index) => [`${index}`, await directory(`c${index}`)] as const));
    const root = await directory('root', children);
    await walk(root, { batchBlobsMax: 4 });
    assert.deepEqual(reads, [1, 4, 4, 2]);
    reads.length = 0;
    await walk(root, { batchBytesMax: 10 }); // each child has 9 bytes
    assert.deepEqual(reads, [1, ...Array.from({ length: 10 }, () => 1)]);
  });

  it('refuses a tree above its limits', async () => {
    const { blobs, directory, walk } = setUp();
    const root = await directory('root', [['a', await directory('a')], ['b', await directory('b')]]);
    await assert.rejects(walk(root, { directoriesMax: 2 }), { code: 'invalid_argument' });
    await assert.rejects(walk(root, { walkBytesMax: 100 }), { code: 'invalid_argument' });
    const unread = blobStoreWith(blobs, { getMany: () => assert.fail('a directory that is too large was read') });
    const tooLarge = { code: 'failed_precondition', message: /larger than the 100 bytes of a message; read it as a blob/ };
    await assert.rejects(walk(root, { directoryBytesMax: 100 }, undefined, unread), tooLarge);
  });

  it('GT-2: leaves out what nobody has and what would not fit into a message, however large, and has no memory asked for it', async () => {
    const { blobs, directory, walk } = setUp();
    const bytes: number[] = [];
    const counted = blobStoreWith(blobs, {
      getMany(digests) {
        bytes.push(digests.totalBytes);
        return blobs.getMany(digests);
      },
    });
    const huge = (hash: string) => Digest.parse(sha256, hash, 2 ** 50);
    const [absent, x, y] = [huge('ab'.repeat(32)), await directory('x'), await directory('y')];
    const root = await directory('root', [['a', absent], ['x', huge(x.hash)], ['y', y]]);
    assert.equal(await walk(root, {}, undefined, counted), 'root y');
    await assert.rejects(walk(absent, {}, undefined, counted), { code: 'not_found' });
    await assert.rejects(walk(huge(x.hash), {}, undefined, counted), { code: 'invalid_argument' });
    assert.deepEqual(bytes, [root.sizeBytes, y.sizeBytes]);
  });

  it('can be cancelled, and passes on what the store throws', async () => {
    const { blobs, directory, walk } = setUp();
    const root = await directory('root');
    await assert.rejects(walk(root, {}, { signal: AbortSignal.abort() }), { code: 'cancelled' });
    const slow = blobStoreWith(blobs, { getMany: () => [new CacheError('unavailable', 'slow disk')] });
    await assert.rejects(walk(root, {}, undefined, slow), { code: 'unavailable' });
  });
});
