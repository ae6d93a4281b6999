// The hand-written decoders against the generated ones, as their oracle: whatever one of them takes, the generated code
// takes and understands in the same way. They may refuse more: a known field with another wire type than its own, and
// what reaches beyond the message it is in.
import { fromBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { compareDecoders } from '../testing/compare-decoders.ts';
import { getActionResultRequestCodec, updateActionResultRequestCodec } from './action-result-codec.ts';
import { walkActionResult } from './action-result-walk.ts';
import { batchReadBlobsRequestCodec } from './batch-read-codec.ts';
import { batchUpdateBlobsRequestCodec } from './batch-update-codec.ts';
import { readRequestCodec, writeRequestCodec } from './byte-stream-codec.ts';
import { DirectoryWalk } from './directory-walk.ts';
import { findMissingBlobsRequestCodec } from './find-missing-codec.ts';
import {
  ActionResultSchema,
  BatchReadBlobsRequestSchema,
  BatchUpdateBlobsRequestSchema,
  DirectorySchema,
  FindMissingBlobsRequestSchema,
  GetActionResultRequestSchema,
  UpdateActionResultRequestSchema,
} from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ReadRequestSchema, WriteRequestSchema } from './gen/google/bytestream/bytestream_pb.ts';
import { PackedDigests } from './packed-digests.ts';
import type { ReceivedDigest, ReceivedDigests } from './packed-digests.ts';

const one = (digest: ReceivedDigest | undefined) => digest && { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) };
const present = (digests: readonly (ReceivedDigest | undefined)[]) => digests.filter((digest) => digest !== undefined).map(one);
/** The order is the one on the wire, which a message does not know. */
const sorted = (digests: readonly unknown[]) => digests.map((digest) => JSON.stringify(digest, (_, value) => (typeof value === 'bigint' ? String(value) : value))).toSorted();

function listed({ hashes, sizes, lowerHex }: ReceivedDigests) {
  // A hash that was replaced within its digest counts too, so it may be false for less.
  assert.ok(!lowerHex || hashes.every((text) => /^[0-9a-f]*$/.test(text)));
  return hashes.map((text, index) => ({ hash: text, sizeBytes: BigInt(sizes[index] ?? -7) }));
}

compareDecoders({
  schema: FindMissingBlobsRequestSchema,
  byHand: (bytes) => {
    const { instanceName, digestFunction, digests } = findMissingBlobsRequestCodec.decode(bytes);
    return { instanceName, digestFunction, digests: listed(digests) };
  },
  generated: ({ instanceName, digestFunction, blobDigests }) => ({ instanceName, digestFunction, digests: blobDigests.map(one) }),
});

compareDecoders({
  schema: BatchReadBlobsRequestSchema,
  byHand: (bytes) => {
    const { instanceName, digestFunction, digests } = batchReadBlobsRequestCodec.decode(bytes);
    return { instanceName, digestFunction, digests: listed(digests) };
  },
  generated: ({ instanceName, digestFunction, digests }) => ({ instanceName, digestFunction, digests: digests.map(one) }),
});

compareDecoders({
  schema: BatchUpdateBlobsRequestSchema,
  byHand: (bytes) => {
    const { instanceName, digestFunction, digests, requests } = batchUpdateBlobsRequestCodec.decode(bytes);
    const known = listed(digests);
    return { instanceName, digestFunction, requests: requests.map(({ digestIndex, data, compressor }) => ({ digest: known[digestIndex], data: [...data], compressor })) };
  },
  generated: ({ instanceName, digestFunction, requests }) => ({
    instanceName,
    digestFunction,
    requests: requests.map(({ digest, data, compressor }) => ({ digest: one(digest), data: [...data], compressor })),
  }),
});

compareDecoders({
  schema: ReadRequestSchema,
  byHand: (bytes) => readRequestCodec.decode(bytes),
  generated: ({ resourceName, readOffset, readLimit }) => ({ resourceName, readOffset, readLimit }),
});

compareDecoders({
  schema: WriteRequestSchema,
  byHand: (bytes) => {
    const { resourceName, writeOffset, finishWrite, data } = writeRequestCodec.decode(bytes);
    return { resourceName, writeOffset: BigInt(writeOffset), finishWrite, data: [...data] };
  },
  generated: ({ resourceName, writeOffset, finishWrite, data }) => ({ resourceName, writeOffset, finishWrite, data: [...data] }),
});

/** The same in parts where it can be cut, for some of the places where its beginning may end; then all agree. */
compareDecoders({
  schema: WriteRequestSchema,
  label: 'WriteRequest in parts',
  byHand: (bytes) => {
    const whole = () => {
      const { resourceName, writeOffset, finishWrite, data } = writeRequestCodec.decode(bytes);
      return { resourceName, writeOffset: BigInt(writeOffset), finishWrite, data: [...data] };
    };
    let joined: ReturnType<typeof whole> | undefined;
    for (let cut = 0; cut < bytes.byteLength; cut += 1 + (cut >> 4)) {
      const inParts = writeRequestInParts(bytes, cut);
      if (inParts === undefined) continue;
      if (joined !== undefined) assert.deepStrictEqual(inParts, joined);
      joined = inParts;
    }
    if (joined !== undefined) assert.deepStrictEqual(whole(), joined, 'what can be cut can be decoded');
    return joined ?? whole();
  },
  generated: ({ resourceName, writeOffset, finishWrite, data }) => ({ resourceName, writeOffset, finishWrite, data: [...data] }),
});

/** Undefined when what stands before `cut` does not show that it can be cut. */
function writeRequestInParts(bytes: Uint8Array, cut: number) {
  const message = writeRequestCodec.parts?.begin(bytes.subarray(0, cut), bytes.byteLength);
  if (message === undefined) return undefined;
  const { contentAt } = message;
  const middle = Math.max(contentAt, cut);
  const pieces = middle === contentAt ? [message.part(bytes.subarray(contentAt), true)] : [message.part(bytes.subarray(contentAt, middle), false), message.part(bytes.subarray(middle), true)];
  const [first, ...rest] = pieces;
  assert.ok(first !== undefined);
  let offset = BigInt(first.writeOffset) + BigInt(first.data.byteLength);
  for (const { resourceName, writeOffset, data } of rest) {
    assert.deepEqual([resourceName, BigInt(writeOffset)], ['', offset]);
    offset += BigInt(data.byteLength);
  }
  return { resourceName: first.resourceName, writeOffset: BigInt(first.writeOffset), finishWrite: pieces.at(-1)?.finishWrite ?? false, data: pieces.flatMap(({ data }) => [...data]) };
}

compareDecoders({
  schema: GetActionResultRequestSchema,
  byHand: (bytes) => {
    const { actionDigest, ...others } = getActionResultRequestCodec.decode(bytes);
    return { ...others, actionDigest: one(actionDigest) };
  },
  generated: ({ $typeName: _name, actionDigest, ...others }) => ({ ...others, actionDigest: one(actionDigest) }),
});

compareDecoders({
  schema: UpdateActionResultRequestSchema,
  byHand: (bytes) => {
    const { instanceName, digestFunction, actionDigest, actionResult } = updateActionResultRequestCodec.decode(bytes);
    // As the request is compared: without what is not known.
    const result = actionResult && fromBinary(ActionResultSchema, actionResult.bytes, { readUnknownFields: false });
    return { instanceName, digestFunction, actionDigest: one(actionDigest), result };
  },
  generated: ({ instanceName, digestFunction, actionDigest, actionResult }) => ({ instanceName, digestFunction, actionDigest: one(actionDigest), result: actionResult }),
});

compareDecoders({
  schema: ActionResultSchema,
  byHand: (bytes) => {
    const { files, trees, roots, withoutDigest, inlines } = walkActionResult(bytes);
    return { files: sorted(listed(files)), trees: listed(trees), roots: listed(roots), lacks: withoutDigest !== undefined, inlines };
  },
  generated: ({ outputFiles, outputDirectories, stdoutDigest, stderrDigest, stdoutRaw, stderrRaw }) => ({
    files: sorted(present([...outputFiles.map(({ digest }) => digest), stdoutDigest, stderrDigest])),
    trees: present(outputDirectories.map(({ treeDigest }) => treeDigest)),
    roots: present(outputDirectories.map(({ rootDirectoryDigest }) => rootDirectoryDigest)),
    lacks: outputFiles.some(({ digest }) => digest === undefined) || outputDirectories.some(({ treeDigest, rootDirectoryDigest }) => !treeDigest && !rootDirectoryDigest),
    inlines: [stdoutRaw, stderrRaw, ...outputFiles.map(({ contents }) => contents)].some(({ byteLength }) => byteLength > 0),
  }),
});

for (const bytesMax of [1, 20, Infinity]) {
  compareDecoders({
    schema: DirectorySchema,
    byHand: (bytes) => {
      const files = new PackedDigests(Infinity);
      const walk = new DirectoryWalk(bytes, files);
      while (walk.next(bytesMax));
      return { files: listed(files), directories: listed(walk.directories), lacks: walk.withoutDigest !== undefined };
    },
    generated: ({ files, directories }) => ({
      files: present(files.map(({ digest }) => digest)),
      directories: present(directories.map(({ digest }) => digest)),
      lacks: [...files, ...directories].some(({ digest }) => digest === undefined),
    }),
  });
}
