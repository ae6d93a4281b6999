// From the digests of a request to ours: the function it means, and each digest checked.
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctionOfLength, resolveDigestFunction, sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import type { ActionReferences } from '../proto/action-result-walk.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import type { ReceivedDigest } from '../proto/packed-digests.ts';

/**
 * The digest that a request needs, and with it the function of the request (DG-2, DG-3).
 * @throws CacheError `invalid_argument` that names `field` when there is none, and for what `Digest.parse` refuses.
 */
export function requestDigest(wireFunction: number, message: ReceivedDigest | undefined, field: string): Digest {
  return parseDigest(resolveDigestFunction(wireFunction, message?.hash), message, field);
}

/** @throws CacheError `invalid_argument` that names `field` when there is no digest, or it is malformed. */
function parseDigest(digestFunction: DigestFunction, message: ReceivedDigest | undefined, field: string): Digest {
  if (message === undefined) throw new CacheError('invalid_argument', `${field} is not set`);
  return Digest.parse(digestFunction, message.hash, message.sizeBytes);
}

/**
 * The function of a batch whose entries are judged one by one: a malformed digest at the start must not decide
 * about the others, so the first hash of a known length does.
 * @throws CacheError `invalid_argument` when a function is named that is not served (DG-7).
 */
export function batchDigestFunction(wireFunction: number, hashes: Iterable<string | undefined>): DigestFunction {
  if (wireFunction !== 0) return resolveDigestFunction(wireFunction, undefined);
  for (const hash of hashes) {
    const inferred = hash === undefined ? undefined : digestFunctionOfLength(hash.length);
    if (inferred !== undefined) return inferred;
  }
  return sha256;
}

/** @throws CacheError `invalid_argument` for the first digest of the result that no blob can have. */
export function checkResultDigests(encoded: EncodedActionResult, digestFunction: DigestFunction): void {
  if (areWellFormed(encoded.references, digestFunction)) return;
  // Something is wrong, or stands in the result itself: the message tells where.
  const result = encoded.message;
  const check = (digest: ReceivedDigest, what: string): void => {
    try {
      Digest.parse(digestFunction, digest.hash, digest.sizeBytes);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      throw new CacheError('invalid_argument', `${what}: ${error.message}`, { cause: error });
    }
  };
  if (result.stdoutDigest !== undefined) check(result.stdoutDigest, 'stdout_digest');
  if (result.stderrDigest !== undefined) check(result.stderrDigest, 'stderr_digest');
  for (const { path, digest, contents } of result.outputFiles) {
    if (digest !== undefined) check(digest, `output file ${JSON.stringify(path)}`);
    else if (contents.byteLength === 0) {
      throw new CacheError('invalid_argument', `output file ${JSON.stringify(path)} has neither digest nor contents`);
    }
  }
  for (const { path, treeDigest, rootDirectoryDigest } of result.outputDirectories) {
    if (treeDigest !== undefined) check(treeDigest, `tree of ${JSON.stringify(path)}`);
    if (rootDirectoryDigest !== undefined) check(rootDirectoryDigest, `root directory of ${JSON.stringify(path)}`);
    if (treeDigest === undefined && rootDirectoryDigest === undefined) {
      throw new CacheError('invalid_argument', `output directory ${JSON.stringify(path)} has neither tree nor root directory`);
    }
  }
}

function areWellFormed({ files, trees, roots, withoutDigest }: ActionReferences, digestFunction: DigestFunction): boolean {
  if (withoutDigest !== undefined) return false;
  try {
    for (const digests of [files, trees, roots]) DigestList.check(digestFunction, digests);
    return true;
  } catch (error) {
    if (error instanceof CacheError) return false;
    throw error;
  }
}
