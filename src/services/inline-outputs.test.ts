// Inlining beside a cache that gives the same object to every reader. The rules are proven in action-cache.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { byteSourceOf } from '../base/byte-source.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { inlineOutputs } from './inline-outputs.ts';

const nothing = { inlineStdout: false, inlineStderr: false, inlineOutputFiles: [] };

describe('inlineOutputs', () => {
  it('AC-4: writes to no result, and gives the same one when there is nothing to add', async () => {
    const blobs = new MemoryBlobStore();
    const bytes = Buffer.from('shared');
    const { hash, sizeBytes } = Digest.of(bytes);
    await blobs.put(Digest.of(bytes), byteSourceOf(bytes));
    const digest = { hash, sizeBytes: BigInt(sizeBytes) };
    const result = EncodedActionResult.of(create(ActionResultSchema, { stdoutDigest: digest, outputFiles: [{ path: 'f', digest }] }));
    const before = structuredClone(result.message);
    const from = { blobs, digestFunction: sha256, answerBytesMax: 1_000 };

    const inlined = await inlineOutputs(result, { ...nothing, inlineStdout: true, inlineOutputFiles: ['f'] }, from);
    assert.deepEqual([inlined.message.stdoutRaw, inlined.message.outputFiles[0]?.contents].map((part) => Buffer.from(part ?? []).toString()), ['shared', 'shared']);
    assert.deepEqual(structuredClone(result.message), before);
    assert.equal(await inlineOutputs(result, { ...nothing, inlineStderr: true, inlineOutputFiles: ['g'] }, from), result);
    assert.equal(await inlineOutputs(inlined, { ...nothing, inlineStdout: true }, from), inlined);
  });

  it('AC-4: leaves out an output whose stored digest is malformed', async () => {
    const result = EncodedActionResult.of(create(ActionResultSchema, { stdoutDigest: { hash: 'no hash', sizeBytes: 5n } }));
    const from = { blobs: new MemoryBlobStore(), digestFunction: sha256, answerBytesMax: 1_000 };
    assert.equal(await inlineOutputs(result, { ...nothing, inlineStdout: true }, from), result);
  });
});
