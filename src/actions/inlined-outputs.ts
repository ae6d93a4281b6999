// Outputs that a client put into the action result itself (AC-5). They become blobs like all others, and the result
// keeps their digests only: whoever asks for them inline gets them from the store.
import { create } from '@bufbuild/protobuf';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { BlobBytes, BlobStore } from '../blob/blob-store.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { DigestSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { Digest as DigestMessage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

const noBytes = new Uint8Array(0);

/**
 * Stores what is inlined in `encoded`, and gives the same result with digests in its place; `encoded` itself when
 * nothing is inlined. It is bounded as the message was.
 * @throws CacheError `invalid_argument` when inlined bytes do not have the digest beside them, and what a put throws.
 */
export async function storeInlinedOutputs(
  encoded: EncodedActionResult,
  digestFunction: DigestFunction,
  blobs: BlobStore,
  options?: CallOptions,
): Promise<EncodedActionResult> {
  if (!encoded.references.inlines) return encoded;
  const result = encoded.message;
  const inlined: BlobBytes[] = [];
  const take = (bytes: Uint8Array, beside: DigestMessage | undefined, what: string): DigestMessage | undefined => {
    if (bytes.byteLength === 0) return beside;
    const digest = Digest.of(bytes, digestFunction);
    if (beside !== undefined && (beside.hash !== digest.hash || beside.sizeBytes !== BigInt(digest.sizeBytes))) {
      throw new CacheError('invalid_argument', `the inlined ${what} has digest ${digest.toString()}, not ${beside.hash}/${beside.sizeBytes}`);
    }
    inlined.push({ digest, bytes });
    return beside ?? create(DigestSchema, { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) });
  };
  const stdoutDigest = take(result.stdoutRaw, result.stdoutDigest, 'stdout');
  const stderrDigest = take(result.stderrRaw, result.stderrDigest, 'stderr');
  const outputFiles = result.outputFiles.map((file) => {
    const digest = take(file.contents, file.digest, `output file ${JSON.stringify(file.path)}`);
    return file.contents.byteLength === 0 ? file : { ...file, contents: noBytes, ...(digest && { digest }) };
  });
  for (const failure of await blobs.putMany(inlined, options)) if (failure !== undefined) throw failure;
  return EncodedActionResult.of({
    ...result,
    stdoutRaw: noBytes,
    stderrRaw: noBytes,
    outputFiles,
    ...(stdoutDigest && { stdoutDigest }),
    ...(stderrDigest && { stderrDigest }),
  });
}
