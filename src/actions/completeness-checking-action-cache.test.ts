// AC-2 to AC-5 over memory stores: each kind of thing that a result refers to, missing and malformed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema, DirectorySchema, TreeSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { Directory } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { CompletenessCheck, completenessLimits } from './completeness-check.ts';
import type { CompletenessLimits } from './completeness-check.ts';
import { CompletenessCheckingActionCache } from './completeness-checking-action-cache.ts';
import { StoredActionCache, storedActionCacheLimits } from './stored-action-cache.ts';

type Replace = (inner: BlobStore) => Partial<BlobStore>;

function setUp(limits: Partial<CompletenessLimits> = {}, digestFunction: DigestFunction = sha256, replace: Replace = () => ({})) {
  const store = new EmptyAwareBlobStore(new MemoryBlobStore());
  const counts = { questions: 0, reads: 0, digestsRead: 0, turns: 0 };
  const changed = blobStoreWith(store, replace(store));
  const blobs = blobStoreWith(changed, {
    findMissing(digests) {
      counts.questions += 1;
      return changed.findMissing(digests);
    },
    getMany(digests) {
      counts.reads += 1;
      counts.digestsRead += digests.length;
      return changed.getMany(digests);
    },
  });
  const log = new RecordedLog();
  const takeTurn = async () => {
    counts.turns += 1;
  };
  const inner = new StoredActionCache(new MemoryValueStore(), storedActionCacheLimits, log);
  const cache = new CompletenessCheckingActionCache(inner, new CompletenessCheck(blobs, { ...completenessLimits, ...limits }, takeTurn), log);
  const key = { instance: parseInstanceName(''), actionDigest: Digest.of(Buffer.from('action'), digestFunction) };
  const wire = (digest: Digest) => ({ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) });
  /** The digest of a text; stored unless told otherwise. */
  const file = async (text: string, stored = true) => {
    const bytes = Buffer.from(text);
    const digest = Digest.of(bytes, digestFunction);
    if (stored) await blobs.put(digest, byteSourceOf(bytes));
    return wire(digest);
  };
  const message = async <D extends DescMessage>(schema: D, init: MessageInitShape<D>, stored = true) => {
    const bytes = toBinary(schema, create(schema, init));
    const digest = Digest.of(bytes, digestFunction);
    if (stored) await blobs.put(digest, byteSourceOf(bytes));
    return wire(digest);
  };
  const get = async (init: MessageInitShape<typeof ActionResultSchema>): Promise<EncodedActionResult | undefined> => {
    await cache.put(key, encoded(init));
    return cache.get(key);
  };
  return { blobs, counts, log, cache, inner, key, file, message, get };
}

const encoded = (init: MessageInitShape<typeof ActionResultSchema>) => EncodedActionResult.of(create(ActionResultSchema, init));

type SetUp = ReturnType<typeof setUp>;

describe('CompletenessCheckingActionCache', () => {
  it('AC-2: serves a result whose blobs are all there, the object that was read', async () => {
    const { cache, key, file, blobs, counts } = setUp();
    await cache.put(key, encoded({ outputFiles: [{ path: 'a', digest: await file('a') }], stdoutDigest: await file('out') }));
    const result = cache.get(key);
    assert.ok(!(result instanceof Promise), 'memory stores answer at once, so the check does');
    assert.equal(result?.message.outputFiles[0]?.path, 'a');
    assert.equal(counts.questions, 1);
    const served = encoded({ exitCode: 3 });
    const fixed = new CompletenessCheckingActionCache({ get: () => served, put: async () => {}, putFirst: async () => 'stored' }, new CompletenessCheck(blobs, completenessLimits, async () => {}), new RecordedLog());
    assert.equal(fixed.get(key), served);
  });

  it('AC-1: finds nothing where nothing was put, without asking for blobs', () => {
    const { cache, key, counts, log } = setUp();
    assert.equal(cache.get(key), undefined);
    assert.equal(counts.questions, 0);
    assert.deepEqual(log.lines, []);
  });

  it('CT-9: a result whose blobs are gone, or were never there, is in nobody\'s way', async () => {
    const { cache, key, file } = setUp();
    const first = encoded({ outputFiles: [{ path: 'a', digest: await file('never stored', false) }] });
    assert.equal(await cache.putFirst(key, first), 'stored');
    const second = encoded({ exitCode: 2, stdoutDigest: await file('there') });
    assert.equal(await cache.putFirst(key, second), 'stored');
    assert.equal(await cache.putFirst(key, encoded({ exitCode: 3 })), 'kept');
    assert.equal((await cache.get(key))?.message.exitCode, 2);
    assert.equal(await cache.putFirst(key, encoded({ exitCode: 3 }), { stands: () => false }), 'stored', 'whoever asks may say so, too');
  });

  it('CT-9: a first writer who has gone is not waited for, also where the signal is a getter, as that of an exchange', async () => {
    const { cache, key } = setUp();
    class Exchange {
      get signal(): AbortSignal {
        return AbortSignal.abort();
      }
    }
    await assert.rejects(cache.putFirst(key, encoded({ exitCode: 2 }), new Exchange()), { code: 'cancelled' });
  });

  const missing: readonly (readonly [string, (s: SetUp) => Promise<MessageInitShape<typeof ActionResultSchema>>])[] = [
    ['an output file', async ({ file }) => ({ outputFiles: [{ path: 'a', digest: await file('a') }, { path: 'b', digest: await file('b', false) }] })],
    [
      'an output file whose contents are inlined',
      async ({ file }) => ({ outputFiles: [{ path: 'a', contents: Buffer.from('a'), digest: await file('a', false) }] }),
    ],
    ['stdout', async ({ file }) => ({ stdoutDigest: await file('out', false) })],
    ['stderr', async ({ file }) => ({ stderrDigest: await file('err', false) })],
    ['a Tree', async ({ message }) => ({ outputDirectories: [{ path: 'd', treeDigest: await message(TreeSchema, { root: {} , children: [{ symlinks: [{ name: 's', target: 't' }] }] }, false) }] })],
    [
      'a file in the root of a Tree',
      async ({ file, message }) => ({
        outputDirectories: [{ path: 'd', treeDigest: await message(TreeSchema, { root: { files: [{ name: 'f', digest: await file('f', false) }] } }) }],
      }),
    ],
    [
      'a file deep in a Tree',
      async ({ file, message }) => {
        const child: MessageInitShape<typeof DirectorySchema> = { files: [{ name: 'f', digest: await file('f', false) }] };
        const root = { directories: [{ name: 'c', digest: await message(DirectorySchema, child, false) }] };
        return { outputDirectories: [{ path: 'd', treeDigest: await message(TreeSchema, { root, children: [child] }) }] };
      },
    ],
    [
      'a directory in a Tree',
      async ({ message }) => {
        const root = { directories: [{ name: 'c', digest: await message(DirectorySchema, { symlinks: [{ name: 's', target: 't' }] }) }] };
        return { outputDirectories: [{ path: 'd', treeDigest: await message(TreeSchema, { root }) }] };
      },
    ],
    ['a root directory', async ({ message }) => ({ outputDirectories: [{ path: 'd', rootDirectoryDigest: await message(DirectorySchema, { symlinks: [{ name: 's', target: 't' }] }, false) }] })],
    [
      'a directory below a root directory, although the Tree is whole',
      async ({ file, message }) => {
        const child: MessageInitShape<typeof DirectorySchema> = { files: [{ name: 'f', digest: await file('f') }] };
        const root = { directories: [{ name: 'c', digest: await message(DirectorySchema, child, false) }] };
        return {
          outputDirectories: [
            { path: 'd', treeDigest: await message(TreeSchema, { root, children: [child] }), rootDirectoryDigest: await message(DirectorySchema, root) },
          ],
        };
      },
    ],
    [
      'a file below a root directory',
      async ({ file, message }) => {
        const child = await message(DirectorySchema, { files: [{ name: 'f', digest: await file('f', false) }] });
        return { outputDirectories: [{ path: 'd', rootDirectoryDigest: await message(DirectorySchema, { directories: [{ name: 'c', digest: child }] }) }] };
      },
    ],
  ];
  for (const [what, make] of missing) {
    it(`AC-2: does not serve a result without ${what}`, async () => {
      const given = setUp();
      assert.equal(await given.get(await make(given)), undefined);
      assert.notEqual(await given.inner.get(given.key), undefined, 'the entry stays');
      assert.match(given.log.lines.join(), /^debug .* not served/);
    });
  }

  it('AC-3: asks for Trees and root directories with the first question, so that they count as used and nothing is read in vain', async () => {
    const { file, message, get, counts } = setUp();
    const tree = await message(TreeSchema, { root: { symlinks: [{ name: 's', target: 't' }] } });
    const root = await message(DirectorySchema, { symlinks: [{ name: 's', target: 't' }] }, false);
    assert.equal(await get({ stdoutDigest: await file('out'), outputDirectories: [{ path: 'd', treeDigest: tree, rootDirectoryDigest: root }] }), undefined);
    assert.deepEqual(counts, { questions: 1, reads: 0, digestsRead: 0, turns: 0 });
  });

  const malformed: readonly (readonly [string, MessageInitShape<typeof ActionResultSchema>])[] = [
    ['a file without a digest', { outputFiles: [{ path: 'a' }] }],
    ['a directory without a digest', { outputDirectories: [{ path: 'd' }] }],
    ['a hash of another length', { stdoutDigest: { hash: 'abc', sizeBytes: 1n } }],
    ['upper case', { stdoutDigest: { hash: 'A'.repeat(64), sizeBytes: 1n } }],
    ['a negative size', { stdoutDigest: { hash: 'a'.repeat(64), sizeBytes: -1n } }],
    ['size 0 with another hash', { stdoutDigest: { hash: 'a'.repeat(64), sizeBytes: 0n } }],
    ['a size beyond all', { stdoutDigest: { hash: 'a'.repeat(64), sizeBytes: 2n ** 62n } }],
  ];
  for (const [what, init] of malformed) {
    it(`AC-2, DG-1: does not serve a result with ${what}`, async () => {
      assert.equal(await setUp().get(init), undefined);
    });
  }

  it('DG-1: does not serve a result that gives a present blob another size', async () => {
    const { file, get } = setUp();
    const { hash } = await file('abc');
    assert.equal(await get({ stdoutDigest: { hash, sizeBytes: 4n } }), undefined);
  });

  it('does not serve a Tree or a Directory that is none', async () => {
    for (const field of ['treeDigest', 'rootDirectoryDigest'] as const) {
      const { file, get } = setUp();
      assert.equal(await get({ outputDirectories: [{ path: 'd', [field]: await file('\u0007\u0007 no message') }] }), undefined);
    }
  });

  it('DG-10: the empty blob needs no upload, nor does the empty directory', async () => {
    const { get } = setUp();
    const empty = { hash: sha256.emptyHash, sizeBytes: 0n };
    assert.notEqual(
      await get({ outputFiles: [{ path: 'e', digest: empty }], stdoutDigest: empty, outputDirectories: [{ path: 'd', treeDigest: empty, rootDirectoryDigest: empty }] }),
      undefined,
    );
  });

  it('DG-5: takes all digests for those of the function of the action', async () => {
    const { file, get, blobs } = setUp({}, blake3);
    assert.notEqual(await get({ stdoutDigest: await file('blake3') }), undefined);
    const other = Digest.of(Buffer.from('sha256'));
    await blobs.put(other, byteSourceOf(Buffer.from('sha256')));
    assert.equal(await get({ stdoutDigest: { hash: other.hash, sizeBytes: 6n } }), undefined);
  });

  it('asks twice at most, however many trees and files there are, and reads each directory once', async () => {
    const { file, message, get, counts } = setUp();
    const shared: Directory = create(DirectorySchema, { files: [{ name: 'f', digest: await file('f') }] });
    const directories = [
      { name: 'c', digest: await message(DirectorySchema, shared) },
      { name: 'd', digest: await message(DirectorySchema, shared) },
    ];
    const tree = await message(TreeSchema, { root: { directories }, children: [shared] });
    const root = await message(DirectorySchema, { directories });
    const outputDirectories = [
      { path: 'x', treeDigest: tree, rootDirectoryDigest: root },
      { path: 'y', treeDigest: tree },
    ];
    assert.notEqual(await get({ outputDirectories, stdoutDigest: await file('out') }), undefined);
    assert.equal(counts.questions, 2);
    assert.equal(counts.reads, 3); // the trees together, the root, its one child
    assert.equal(counts.digestsRead, 4);
  });

  it('counts what it cannot see whole as incomplete', async () => {
    const bounds: readonly Partial<CompletenessLimits>[] = [
      { digestsMax: 1 },
      { directoriesMax: 1 },
      { depthMax: 1 },
      { messageBytesMax: 100 },
    ];
    for (const limits of [{}, ...bounds]) {
      const { file, message, get } = setUp(limits);
      const child: MessageInitShape<typeof DirectorySchema> = { files: [{ name: 'f', digest: await file('f') }, { name: 'g', digest: await file('g') }] };
      const root = { directories: [{ name: 'c', digest: await message(DirectorySchema, child) }] };
      const result = await get({ outputDirectories: [{ path: 'd', rootDirectoryDigest: await message(DirectorySchema, root) }] });
      assert.equal(result !== undefined, Object.keys(limits).length === 0, JSON.stringify(limits));
    }
    const { message, get } = setUp({ directoriesMax: 2 });
    const children = [{ symlinks: [{ name: 'a', target: 'a' }] }, { symlinks: [{ name: 'b', target: 'b' }] }];
    assert.equal(await get({ outputDirectories: [{ path: 'd', treeDigest: await message(TreeSchema, { root: {}, children }) }] }), undefined);
  });

  it('reads the large trees of a few results at a time, and refuses who finds the line full', async () => {
    const gate = Promise.withResolvers<void>();
    let [reading, most] = [0, 0];
    const limits = { freeReadBytesMax: 10, largeReadsMax: 2, largeReadWaitersMax: 3 };
    const { cache, inner, key, message } = setUp(limits, sha256, (store) => ({
      async getMany(digests) {
        most = Math.max(most, (reading += 1));
        await gate.promise;
        reading -= 1;
        return store.getMany(digests);
      },
    }));
    const tree = await message(TreeSchema, { root: { symlinks: [{ name: 'link', target: 'somewhere' }] } });
    await inner.put(key, encoded({ outputDirectories: [{ path: 'd', treeDigest: tree }] }));
    const served = Array.from({ length: 5 }, async () => cache.get(key));
    await assert.rejects(async () => cache.get(key), { code: 'unavailable' });
    gate.resolve();
    assert.ok((await Promise.all(served)).every((result) => result !== undefined));
    assert.deepEqual([most, reading], [2, 0]);
    assert.notEqual(await cache.get(key), undefined, 'every turn was given back');
  });

  it('ends one large check before it begins the next: what was read is kept to its end', async () => {
    const limits = { freeReadBytesMax: 150, largeReadsMax: 1, batchBlobsMax: 1 };
    const read: string[] = [];
    const { cache, inner, key, message } = setUp(limits, sha256, (store) => ({
      async getMany(digests) {
        read.push(...Array.from(digests, ({ hash }) => hash));
        await new Promise((resolve) => setImmediate(resolve));
        return store.getMany(digests);
      },
    }));
    const treeOf = (name: string) => message(TreeSchema, { root: { symlinks: [{ name, target: 'x'.repeat(90) }] } });
    const results = await Promise.all(['a', 'b', 'c'].map((name) => Promise.all([0, 1, 2].map((index) => treeOf(`${name}${index}`)))));
    const keys = results.map((_, index) => ({ ...key, actionDigest: Digest.of(Buffer.from(`action ${index}`)) }));
    for (const [index, trees] of results.entries()) {
      await inner.put(keys[index] ?? key, encoded({ outputDirectories: trees.map((treeDigest) => ({ path: treeDigest.hash, treeDigest })) }));
    }
    const served = await Promise.all(keys.map(async (one) => cache.get(one)));
    assert.ok(served.every((result) => result !== undefined));
    const small = results.map((trees) => trees[0]?.hash); // little enough for each
    assert.deepEqual(read, [...small, ...results.flatMap((trees) => trees.slice(1).map(({ hash }) => hash))]);
  });

  it('does not decode a directory of so many entries that it would fill the memory, in a Tree or on its own', async () => {
    const { blobs, get } = setUp();
    const files = new Uint8Array(1_000_002).map((_, index) => (index % 2 === 0 ? 0x0a : 0)); // half a million files without a name
    const keep = async (bytes: Uint8Array) => {
      const digest = Digest.of(bytes);
      await blobs.put(digest, byteSourceOf(bytes));
      return { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) };
    };
    const tree = Buffer.concat([Uint8Array.of(0x0a, 0xc2, 0x84, 0x3d), files]);
    assert.equal(await get({ outputDirectories: [{ path: 'd', treeDigest: await keep(tree) }] }), undefined);
    assert.equal(await get({ outputDirectories: [{ path: 'd', rootDirectoryDigest: await keep(files) }] }), undefined);
  });

  it('a store that cannot tell is an error and never a miss', async () => {
    const unavailable = (): never => {
      throw new CacheError('unavailable', 'the disk is slow');
    };
    const { file, get } = setUp({}, sha256, () => ({ findMissing: unavailable }));
    await assert.rejects(get({ stdoutDigest: await file('out') }), { code: 'unavailable' });
    const given = setUp({}, sha256, () => ({ getMany: () => [new CacheError('data_loss', 'damaged')] }));
    const tree = await given.message(TreeSchema, { root: { symlinks: [{ name: 's', target: 't' }] } });
    await assert.rejects(given.get({ outputDirectories: [{ path: 'd', treeDigest: tree }] }), { code: 'data_loss' });
  });

  it('waits where the stores do', async () => {
    const { file, message, get } = setUp({}, sha256, (inner) => ({
      findMissing: async (digests) => inner.findMissing(digests),
      getMany: async (digests) => inner.getMany(digests),
    }));
    const tree = await message(TreeSchema, { root: { files: [{ name: 'f', digest: await file('f') }] } });
    assert.notEqual(await get({ outputDirectories: [{ path: 'd', treeDigest: tree }] }), undefined);
    const lost = await message(TreeSchema, { root: { files: [{ name: 'f', digest: await file('g', false) }] } });
    assert.equal(await get({ outputDirectories: [{ path: 'd', treeDigest: lost }] }), undefined);
  });
});
