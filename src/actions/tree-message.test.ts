// The parser against messages of the generated code, whole and damaged.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';
import { DirectorySchema, TreeSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { TreeReader } from './tree-message.ts';

const tree = create(TreeSchema, {
  root: { files: [{ name: 'a' }], directories: [{ name: 'd', digest: { hash: 'x', sizeBytes: 1n } }] },
  children: [{ files: [{ name: 'b' }] }, {}],
});
const bytes = toBinary(TreeSchema, tree);

/** Root and children, or undefined for what is no Tree. */
function parseTree(from: Uint8Array): { root: Uint8Array | undefined; children: Uint8Array[] } | undefined {
  const parsed: { root: Uint8Array | undefined; children: Uint8Array[] } = { root: undefined, children: [] };
  try {
    const reader = new TreeReader(from);
    for (let found = reader.next(); found !== undefined; found = reader.next()) {
      if (found.isRoot) parsed.root = found.bytes;
      else parsed.children.push(found.bytes);
    }
    return parsed;
  } catch (error) {
    assert.equal((error as Error).name, 'WireError');
    return undefined;
  }
}

describe('TreeReader', () => {
  it('gives the directories, and their bytes as they stand in the message', () => {
    const parsed = parseTree(bytes);
    assert.deepEqual(parsed?.root && fromBinary(DirectorySchema, parsed.root), tree.root);
    assert.deepEqual(parsed?.children.map((child) => fromBinary(DirectorySchema, child)), tree.children);
    // A field that no schema has yet stays part of the bytes, so the hash stays the writer's (DG-8).
    const child = Uint8Array.of(0xfa, 0x06, 0x01, 0x61);
    const odd = parseTree(Uint8Array.of(0x12, child.length, ...child, 0xfa, 0x07, 0x00));
    assert.deepEqual(odd?.children[0], child);
    assert.equal(odd?.root, undefined);
  });

  it('is no Tree with two roots, or with a root that is no message', () => {
    assert.notEqual(parseTree(Uint8Array.of(0x0a, 0)), undefined);
    assert.equal(parseTree(Uint8Array.of(0x0a, 0, 0x0a, 0)), undefined);
    assert.equal(parseTree(Uint8Array.of(0x08, 0)), undefined);
  });

  it('agrees with the generated code on damaged messages', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 3_000; round += 1) {
      const damaged = Buffer.from(bytes);
      damaged[random.integer(0, damaged.length - 1)] = random.integer(0, 255);
      const cut = damaged.subarray(0, random.integer(0, damaged.length));
      const parsed = parseTree(cut);
      const generated = decoded(TreeSchema, cut);
      const directories = parsed && [parsed.root ?? new Uint8Array(0), ...parsed.children].map((directory) => decoded(DirectorySchema, directory));
      if (generated === undefined) assert.ok(directories?.includes(undefined) ?? true, cut.toString('hex'));
      else if (directories?.includes(undefined) === false) assert.deepEqual(directories.slice(1), generated.children, cut.toString('hex'));
    }
  });
});

function decoded<D extends DescMessage>(descriptor: D, message: Uint8Array) {
  try {
    return fromBinary(descriptor, message);
  } catch {
    return undefined;
  }
}
