// A completeness check of something large does not keep the loop to itself.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { byteSourceOf } from '../base/byte-source.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema, DirectorySchema, TreeSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { CompletenessCheck, completenessLimits } from './completeness-check.ts';

const wire = ({ hash, sizeBytes }: Digest) => ({ hash, sizeBytes: BigInt(sizeBytes) });
const content = Buffer.from('one file');
/** Some 150 bytes each. */
const filesNamed = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `${prefix}-${index}-${'long'.repeat(15)}`, digest: wire(Digest.of(content)) }));

async function setUp() {
  const blobs = new MemoryBlobStore();
  const asked: number[] = [];
  const state = { turns: 0, onTurn: () => {} };
  const check = new CompletenessCheck(
    blobStoreWith(blobs, {
      findMissing(digests) {
        asked.push(digests.length);
        return blobs.findMissing(digests);
      },
    }),
    completenessLimits,
    async () => {
      state.turns += 1;
      state.onTurn();
    },
  );
  const keep = async (bytes: Uint8Array) => {
    const digest = Digest.of(bytes);
    await blobs.put(digest, byteSourceOf(bytes));
    return wire(digest);
  };
  await keep(content);
  const why = (init: MessageInitShape<typeof ActionResultSchema>, signal?: AbortSignal) =>
    check.whyIncomplete(EncodedActionResult.of(create(ActionResultSchema, init)), sha256, { signal });
  return { asked, state, keep, why };
}

/** A Tree of 30 directories, 4.5 MB in all. */
function wideTree(): Uint8Array {
  const children = Array.from({ length: 30 }, (_, index) => create(DirectorySchema, { files: filesNamed(`d${index}`, 1000) }));
  const directories = children.map((child, index) => ({ name: `d${index}`, digest: wire(Digest.of(toBinary(DirectorySchema, child))) }));
  return toBinary(TreeSchema, create(TreeSchema, { root: { directories }, children }));
}

describe('completeness check of something large', () => {
  it('takes its turn for a small result, and answers at once', async () => {
    const { state, keep, why } = await setUp();
    const tree = await keep(toBinary(TreeSchema, create(TreeSchema, { root: { files: filesNamed('f', 100) } })));
    const answer = why({ outputDirectories: [{ path: 'd', treeDigest: tree }] });
    assert.ok(!isPromise(answer));
    assert.equal(answer, undefined);
    assert.equal(state.turns, 0);
  });

  it('lets others have their turn for each quarter of a MiB of a Tree that it hashes or walks', async () => {
    const { asked, state, keep, why } = await setUp();
    const tree = wideTree();
    assert.equal(await why({ outputDirectories: [{ path: 'd', treeDigest: await keep(tree) }] }), undefined);
    const parts = (2 * tree.byteLength) / (256 * 1024);
    assert.ok(state.turns >= parts * 0.7 && state.turns <= parts + 10, `${state.turns} turns for ${parts} parts`);
    assert.deepEqual(asked, [1, 5000, 5000, 5000, 5000, 5000, 5000]);
  });

  it('does so within one directory too, in a Tree or on its own', async () => {
    const { state, keep, why } = await setUp();
    const directory = create(DirectorySchema, { files: filesNamed('f', 10_000) });
    const bytes = toBinary(DirectorySchema, directory);
    const directories = [{ name: 'd', digest: wire(Digest.of(bytes)) }];
    const tree = toBinary(TreeSchema, create(TreeSchema, { root: { directories }, children: [directory] }));
    assert.equal(await why({ outputDirectories: [{ path: 'd', treeDigest: await keep(tree) }] }), undefined);
    assert.ok(state.turns >= 10, `${state.turns} turns, hashed and walked`);
    state.turns = 0;
    assert.equal(await why({ outputDirectories: [{ path: 'd', rootDirectoryDigest: await keep(bytes) }] }), undefined);
    assert.ok(state.turns >= 5, `${state.turns} turns, walked`);
  });

  it('finds what is lacking at the very end', async () => {
    const { keep, why } = await setUp();
    const children = [{ files: [...filesNamed('f', 10_000), { name: 'last', digest: wire(Digest.of(Buffer.from('absent'))) }] }];
    const tree = await keep(toBinary(TreeSchema, create(TreeSchema, { root: {}, children })));
    assert.match((await why({ outputDirectories: [{ path: 'd', treeDigest: tree }] })) ?? '', /1 of its blobs are absent/);
    const unnamed = await keep(toBinary(DirectorySchema, create(DirectorySchema, { files: [...filesNamed('f', 10_000), { name: 'last' }] })));
    assert.match((await why({ outputDirectories: [{ path: 'd', rootDirectoryDigest: unnamed }] })) ?? '', /"last" has no digest/);
  });

  it('stops when its call is cancelled meanwhile', async () => {
    const { state, keep, why } = await setUp();
    const tree = await keep(wideTree());
    const controller = new AbortController();
    state.onTurn = () => {
      if (state.turns === 3) controller.abort();
    };
    await assert.rejects(async () => why({ outputDirectories: [{ path: 'd', treeDigest: tree }] }, controller.signal), { code: 'cancelled' });
    assert.equal(state.turns, 3);
  });
});
