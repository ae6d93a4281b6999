// The digest functions Kiln serves, as one table. Values and names: REAPI DigestFunction and ByteStream
// resource names (RN-3); a function that is not in the table is not served and not advertised (DG-7).
import { createHash, hash as hashOnce } from 'node:crypto';
import { CacheError } from '../base/cache-error.ts';
import { blake3Hex, createBlake3 } from './blake3.ts';

export type DigestFunctionName = 'sha256' | 'sha1' | 'md5' | 'sha384' | 'sha512' | 'blake3';

/** Takes bytes in any number of pieces; `hex` ends it and may be called once. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Lower-case hex, `DigestFunction.hexLength` characters. */
  hex(): string;
}

/** One row of the table. Rows are compared by identity. */
export interface DigestFunction {
  readonly name: DigestFunctionName;
  /** `build.bazel.remote.execution.v2.DigestFunction.Value`. */
  readonly wireValue: number;
  readonly hexLength: number;
  readonly hashBytes: number;
  /** The segment in resource names; undefined for functions that are told by the length of the hash (RN-3). */
  readonly pathSegment: string | undefined;
  readonly emptyHash: string;
  hashHex(bytes: Uint8Array): string;
  createHasher(): Hasher;
}

/** A row whose hashing is node:crypto's. `hash()` in one call is twice as fast as createHash for small bytes. */
function nodeRow(name: Exclude<DigestFunctionName, 'blake3'>, wireValue: number, hashBytes: number): DigestFunction {
  return {
    name,
    wireValue,
    hexLength: hashBytes * 2,
    hashBytes,
    pathSegment: undefined,
    emptyHash: hashOnce(name, '', 'hex'),
    hashHex: (bytes) => hashOnce(name, bytes, 'hex'),
    createHasher() {
      const hash = createHash(name);
      return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
    },
  };
}

export const sha256: DigestFunction = nodeRow('sha256', 1, 32);
export const sha1: DigestFunction = nodeRow('sha1', 2, 20);
export const md5: DigestFunction = nodeRow('md5', 3, 16);
export const sha384: DigestFunction = nodeRow('sha384', 5, 48);
export const sha512: DigestFunction = nodeRow('sha512', 6, 64);
export const blake3: DigestFunction = {
  name: 'blake3',
  wireValue: 9,
  hexLength: 64,
  hashBytes: 32,
  pathSegment: 'blake3',
  emptyHash: blake3Hex(new Uint8Array(0)),
  hashHex: blake3Hex,
  createHasher: createBlake3,
};

/** Every function served, SHA-256 first. What Capabilities advertises is this list. */
export const digestFunctions: readonly DigestFunction[] = [sha256, sha1, md5, sha384, sha512, blake3];

const byWireValue = new Map(digestFunctions.map((row) => [row.wireValue, row]));
const byName = new Map<string, DigestFunction>(digestFunctions.map((row) => [row.name, row]));
/** What an unset digest_function means for a hash of that length (DG-2); BLAKE3 must always be named. */
const byHexLength = new Map(digestFunctions.filter((row) => row.pathSegment === undefined).map((row) => [row.hexLength, row]));

const servedNames = digestFunctions.map((row) => row.name.toUpperCase()).join(', ');

/** The function with that name, or undefined when it is not served. */
export function digestFunctionNamed(name: string): DigestFunction | undefined {
  return byName.get(name);
}

/** The function with that `wireValue`, or undefined when it is not served. */
export function digestFunctionNumbered(wireValue: number): DigestFunction | undefined {
  return byWireValue.get(wireValue);
}

/** What an unset `digest_function` means for a hash of `hexLength` characters, if it means anything (DG-2). */
export function digestFunctionOfLength(hexLength: number): DigestFunction | undefined {
  return byHexLength.get(hexLength);
}

/**
 * The function a request means: the one it names (DG-3), else inferred from its first hash (DG-2). A request
 * without digests means SHA-256.
 * @throws CacheError `invalid_argument` for a function that is not served (DG-7) or a length that fits none.
 */
export function resolveDigestFunction(wireValue: number, firstHash: string | undefined): DigestFunction {
  if (wireValue !== 0) {
    const named = byWireValue.get(wireValue);
    if (named !== undefined) return named;
    throw new CacheError('invalid_argument', `digest function ${describe(wireValue)} is not served here; use one of ${servedNames}`);
  }
  if (firstHash === undefined) return sha256;
  const inferred = byHexLength.get(firstHash.length);
  if (inferred !== undefined) return inferred;
  throw new CacheError(
    'invalid_argument',
    `a hash of ${firstHash.length} characters (${JSON.stringify(firstHash.slice(0, 140))}) fits no digest function served here (${servedNames})`,
  );
}

/** Names of functions that REAPI defines and Kiln does not serve, for error texts. */
const unservedNames: Readonly<Record<number, string>> = { 4: 'VSO', 7: 'MURMUR3', 8: 'SHA256TREE', 10: 'GITSHA1' };

function describe(wireValue: number): string {
  return unservedNames[wireValue] ?? `number ${wireValue}`;
}
