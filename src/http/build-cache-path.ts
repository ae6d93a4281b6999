// The paths of the HTTP build cache: /{instance/}(ac|cas)/{function/}{hash}.
import { CacheError } from '../base/cache-error.ts';
import { checkHash } from '../digest/digest.ts';
import { digestFunctionOfLength, digestFunctions } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import type { InstanceName } from '../digest/instance-name.ts';

export interface BuildCachePath {
  readonly kind: 'ac' | 'cas';
  readonly instance: InstanceName;
  readonly digestFunction: DigestFunction;
  /** Well formed for the function. For `ac` it need not be the hash of anything (CC-2). */
  readonly hash: string;
}

/** Those that a path has to name, because their hashes look like another function's; as in resource names (RN-3). */
const bySegment = new Map(digestFunctions.flatMap((row) => (row.pathSegment === undefined ? [] : [[row.pathSegment, row]])));

/** Lengths of the hashes that need no function in the path, for texts. */
const lengths = digestFunctions.flatMap((row) => (row.pathSegment === undefined ? [`${row.hexLength} (${row.name})`] : []));

/**
 * Undefined when the segments are no path of the build cache.
 * @throws CacheError `invalid_argument` when they are, but the instance name or the hash is malformed.
 */
export function parseBuildCachePath(segments: readonly string[]): BuildCachePath | undefined {
  const hash = segments.at(-1);
  const before = segments.at(-2);
  if (hash === undefined || before === undefined) return undefined;
  if (isKind(before)) {
    const instance = parseInstanceName(segments.slice(0, -2).join('/'));
    return { kind: before, instance, ...parseHash(hash) };
  }
  const kind = segments.at(-3);
  const named = bySegment.get(before);
  if (named === undefined || kind === undefined || !isKind(kind)) return undefined;
  checkHash(named, hash);
  return { kind, instance: parseInstanceName(segments.slice(0, -3).join('/')), digestFunction: named, hash };
}

function isKind(segment: string): segment is 'ac' | 'cas' {
  return segment === 'ac' || segment === 'cas';
}

function parseHash(hash: string): { digestFunction: DigestFunction; hash: string } {
  const digestFunction = digestFunctionOfLength(hash.length);
  if (digestFunction === undefined) {
    throw new CacheError(
      'invalid_argument',
      `${JSON.stringify(hash.slice(0, 140))} is no hash: expected lower-case hex digits, one of ${lengths.join(', ')}`,
    );
  }
  checkHash(digestFunction, hash);
  return { digestFunction, hash };
}
