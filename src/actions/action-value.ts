// Tells what was put under an action's key: the binary message of REAPI, its JSON form (moon), or bytes that mean
// something to one tool only (ccache). The HTTP cache has no type that says so.
import { fromJsonString, toJsonString } from '@bufbuild/protobuf';
import { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type {
  ActionResult,
  Digest as DigestMessage,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

export type ActionValue =
  | { readonly kind: 'binary'; readonly result: EncodedActionResult }
  | { readonly kind: 'json'; readonly result: EncodedActionResult }
  | { readonly kind: 'foreign' };

const foreign: ActionValue = { kind: 'foreign' };
const openingBrace = 0x7b;
/** Well above what fits into a result that can be served, in either form; so many take some 150 MiB decoded. */
const partsMax = 500_000;

/**
 * What `bytes` are. Strict, because a wrong guess would mix what one tool keeps for itself with what others build
 * from.
 */
export function classifyActionValue(bytes: Uint8Array, digestFunction: DigestFunction): ActionValue {
  // An object of ActionResult's JSON form begins with a brace, which is no tag of a field in the binary form that
  // anything has used (group 15).
  const kind = mayBeJson(bytes) ? 'json' : 'binary';
  const result = kind === 'json' ? resultOfJson(bytes) : resultOfBinary(bytes);
  return result !== undefined && isPlausible(result.message, digestFunction) ? { kind, result } : foreign;
}

export function mayBeJson(bytes: Uint8Array): boolean {
  return bytes[0] === openingBrace;
}

/** ProtoJSON; what the result holds beside the known fields has no JSON form and is left out. */
export function encodeJson(result: ActionResult): Uint8Array {
  return Buffer.from(toJsonString(ActionResultSchema, result));
}

function resultOfJson(bytes: Uint8Array): EncodedActionResult | undefined {
  if (countOf(bytes, openingBrace) > partsMax) return undefined;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const result = EncodedActionResult.of(fromJsonString(ActionResultSchema, text, { ignoreUnknownFields: true }));
    return result.references && result; // whoever reads the result asks for them, and of one with too many parts there are none
  } catch {
    return undefined;
  }
}

/** Keeps `bytes`. */
function resultOfBinary(bytes: Uint8Array): EncodedActionResult | undefined {
  try {
    return EncodedActionResult.parse(bytes);
  } catch {
    return undefined;
  }
}

function countOf(bytes: Uint8Array, wanted: number): number {
  let count = 0;
  for (const byte of bytes) if (byte === wanted) count += 1;
  return count;
}

/**
 * Refers to something, and to nothing malformed. An exit code or inlined output alone is too little to tell a result
 * by: one in a hundred random pairs of bytes has that. Such a value is kept as bytes, so that who put it gets it back.
 */
function isPlausible(result: ActionResult, digestFunction: DigestFunction): boolean {
  const { outputFiles, outputDirectories, stdoutDigest, stderrDigest } = result;
  const symlinks = [...result.outputSymlinks, ...result.outputFileSymlinks, ...result.outputDirectorySymlinks];
  const refersToSomething =
    outputFiles.length + outputDirectories.length + symlinks.length > 0 || stdoutDigest !== undefined || stderrDigest !== undefined;
  const isFine = (digest: DigestMessage | undefined): boolean => digest === undefined || isWellFormed(digest, digestFunction);
  return (
    refersToSomething &&
    outputFiles.every(({ path, digest, contents }) => path !== '' && isFine(digest) && (digest !== undefined || contents.length > 0)) &&
    outputDirectories.every(
      ({ treeDigest, rootDirectoryDigest }) =>
        (treeDigest ?? rootDirectoryDigest) !== undefined && isFine(treeDigest) && isFine(rootDirectoryDigest),
    ) &&
    symlinks.every(({ path, target }) => path !== '' && target !== '') &&
    isFine(stdoutDigest) &&
    isFine(stderrDigest)
  );
}

function isWellFormed({ hash, sizeBytes }: DigestMessage, digestFunction: DigestFunction): boolean {
  try {
    Digest.parse(digestFunction, hash, sizeBytes);
    return true;
  } catch {
    return false;
  }
}
