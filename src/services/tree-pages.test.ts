// What a listing of a tree holds in memory, and that listings do not wait for each other for ever.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { walkDirectories, walkLimits } from '../actions/walk-directories.ts';
import { ByteBudget, unboundedByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { BudgetedBlobStore, readBudgetLimits } from '../blob/budgeted-blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { nextTurn } from '../platform/clocks.ts';
import { DirectorySchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { defaultServiceLimits } from './limits.ts';
import { treePages } from './tree-pages.ts';

const directoryBytes = 300_000;
const childCount = 12;

/** A root with directories of 300,000 bytes below it, in a store that answers later, as a disk does. */
async function largeTree(): Promise<{ readonly blobs: BlobStore; readonly root: Digest }> {
  const memory = new MemoryBlobStore();
  const keep = async (bytes: Uint8Array): Promise<Digest> => {
    await memory.put(Digest.of(bytes), byteSourceOf(bytes));
    return Digest.of(bytes);
  };
  const children = await Promise.all(
    Array.from({ length: childCount }, (_, index) =>
      keep(toBinary(DirectorySchema, create(DirectorySchema, { symlinks: [{ name: `${index}`.padEnd(directoryBytes, 'x'), target: '.' }] }))),
    ),
  );
  const directories = children.map((digest, index) => ({ name: `${index}`, digest: { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) } }));
  const root = await keep(toBinary(DirectorySchema, create(DirectorySchema, { directories })));
  return { root, blobs: blobStoreWith(memory, { getMany: async (digests) => memory.getMany(digests) }) };
}

function listing({ blobs, root }: Awaited<ReturnType<typeof largeTree>>, budget: ByteBudget) {
  const walk = walkDirectories({ blobs: new BudgetedBlobStore(blobs, budget, readBudgetLimits), nextTurn, budget }, root, walkLimits);
  return treePages(walk, { pageToken: '', directoriesMax: Infinity, limits: defaultServiceLimits, budget });
}

describe('treePages', () => {
  it('counts what was read ahead and the page that nobody takes, until the listing ends or is left', async () => {
    const tree = await largeTree();
    for (const end of ['read', 'left'] as const) {
      const budget = unboundedByteBudget();
      const pages = listing(tree, budget);
      const first = await pages.next();
      const pageBytes = first.value?.directories.reduce((sum, { byteLength }) => sum + byteLength, 0) ?? 0;
      assert.ok(pageBytes > 500_000);
      assert.ok(budget.usedBytes > pageBytes + directoryBytes, `${budget.usedBytes} bytes are counted beside a page of ${pageBytes}`);
      assert.ok(budget.usedBytes < 2.5 * defaultServiceLimits.treePageBytesMax, 'a slow reader holds little');
      if (end === 'left') await pages.return();
      else for await (const _ of pages);
      assert.equal(budget.usedBytes, 0, end);
    }
  });

  it('passes on what it holds before it waits for memory, so that many listings that need more than there is all end', async () => {
    const tree = await largeTree();
    const budget = new ByteBudget({ maxBytes: 4 * 1024 * 1024, waitersMax: 1_000 });
    const listed = await Promise.all(
      Array.from({ length: 20 }, async () => {
        let count = 0;
        for await (const { directories } of listing(tree, budget)) count += directories.length;
        return count;
      }),
    );
    assert.deepEqual(listed, listed.map(() => childCount + 1));
    assert.equal(budget.usedBytes, 0);
  });
});
