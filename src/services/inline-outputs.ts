// Puts the bytes of outputs into an action result for readers who asked for them (AC-4). It is a courtesy: what
// does not fit or cannot be had right now is left out, and the reader fetches it by its digest.
import { create } from '@bufbuild/protobuf';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { BlobStore, GetResult } from '../blob/blob-store.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { OutputFileSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ActionResult, Digest as DigestMessage, OutputFile } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

/** What a reader wants to have inline. */
export interface InlineHints {
  readonly inlineStdout: boolean;
  readonly inlineStderr: boolean;
  /** Paths exactly as in the result; others are ignored. */
  readonly inlineOutputFiles: readonly string[];
}

/** One output that may be inlined. */
interface Candidate {
  readonly target: 'stdout' | 'stderr' | OutputFile;
  readonly digest: Digest;
}

/** Tags and lengths that grow when bytes are added: those of the bytes and of the output file around them. */
const framingBytes = 16;

/**
 * The result with what was asked for inline, as far as the answer stays within `answerBytesMax`; the result itself
 * when there is nothing to add. Digests stay set. The result given is not written to.
 */
export async function inlineOutputs(
  encoded: EncodedActionResult,
  hints: InlineHints,
  from: { readonly blobs: BlobStore; readonly digestFunction: DigestFunction; readonly answerBytesMax: number },
  options?: CallOptions,
): Promise<EncodedActionResult> {
  const result = encoded.message;
  const candidates = candidatesOf(result, hints, from.digestFunction);
  if (candidates.length === 0) return encoded;
  let leftBytes = from.answerBytesMax - encoded.bytes.byteLength;
  const chosen = candidates.filter(({ digest }) => {
    const bytes = digest.sizeBytes + framingBytes;
    if (bytes > leftBytes) return false;
    leftBytes -= bytes;
    return true;
  });
  if (chosen.length === 0) return encoded;
  const found = await from.blobs.getMany(DigestList.from(chosen.map(({ digest }) => digest)), options);
  return EncodedActionResult.of(withInlined(result, chosen, found));
}

/** In the order of usefulness: the streams, which every reader shows, then the files. */
function candidatesOf(result: ActionResult, hints: InlineHints, digestFunction: DigestFunction): readonly Candidate[] {
  const candidates: Candidate[] = [];
  const add = (target: Candidate['target'], message: DigestMessage | undefined, present: Uint8Array): void => {
    if (message === undefined || message.sizeBytes === 0n || present.byteLength > 0) return;
    const digest = parsed(digestFunction, message);
    if (digest !== undefined) candidates.push({ target, digest });
  };
  if (hints.inlineStdout) add('stdout', result.stdoutDigest, result.stdoutRaw);
  if (hints.inlineStderr) add('stderr', result.stderrDigest, result.stderrRaw);
  if (hints.inlineOutputFiles.length > 0) {
    const wanted = new Set(hints.inlineOutputFiles);
    for (const file of result.outputFiles) if (wanted.has(file.path)) add(file, file.digest, file.contents);
  }
  return candidates;
}

/** A stored digest that is malformed cannot be fetched either; that is for the reader to find out. */
function parsed(digestFunction: DigestFunction, { hash, sizeBytes }: DigestMessage): Digest | undefined {
  try {
    return Digest.parse(digestFunction, hash, sizeBytes);
  } catch (error) {
    if (error instanceof CacheError) return undefined;
    throw error;
  }
}

function withInlined(result: ActionResult, chosen: readonly Candidate[], found: readonly GetResult[]): ActionResult {
  const inlined: ActionResult = { ...result };
  const contents = new Map<OutputFile, Uint8Array>();
  for (const [index, { target }] of chosen.entries()) {
    const bytes = found[index];
    if (!(bytes instanceof Uint8Array)) continue;
    if (target === 'stdout') inlined.stdoutRaw = bytes;
    else if (target === 'stderr') inlined.stderrRaw = bytes;
    else contents.set(target, bytes);
  }
  if (contents.size > 0) {
    inlined.outputFiles = result.outputFiles.map((file) => {
      const bytes = contents.get(file);
      return bytes === undefined ? file : create(OutputFileSchema, { ...file, contents: bytes });
    });
  }
  return inlined;
}
