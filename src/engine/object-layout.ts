// Which file has which name in a data directory. Nothing else makes or takes apart such names.
// The pages of the layout: docs/formats/data-directory.md, and objects.md for what only format 1 has.
import { join } from 'node:path';
import { digestFunctionNamed, digestFunctions } from '../digest/digest-function.ts';

/** Name spaces of values; each has a directory. */
export const valueSpaces = ['action_result', 'opaque'] as const;
export type ValueSpace = (typeof valueSpaces)[number];

/**
 * A stored file as one string, for use as a key: the digest key of a blob ("<sha256 hash>", "md5/<hash>"), or
 * "action_result/<name>" and "opaque/<name>" for a value. No digest function is called like a value space.
 */
export type FileKey = string;

/** Names of values: SHA-256 in hex. */
const valueNameLength = 64;
const partialSuffix = '.partial';
/** Wide enough to spread a million files into directories of some thousand; changing it changes the format. */
const shardNameLength = 2;

/** The directories that hold sharded files, below the data directory, and the keys of what is in them. */
export interface Space {
  /** "objects/sha256", "values/opaque". */
  readonly directory: string;
  readonly nameLength: number;
  keyOf(name: string): FileKey;
}

export const spaces: readonly Space[] = [
  ...digestFunctions.map(({ name, hexLength }): Space => {
    // As digestKey has it: SHA-256 goes bare.
    return { directory: `objects/${name}`, nameLength: hexLength, keyOf: (hash) => (name === 'sha256' ? hash : `${name}/${hash}`) };
  }),
  ...valueSpaces.map((kind): Space => ({ directory: `values/${kind}`, nameLength: valueNameLength, keyOf: (name) => `${kind}/${name}` })),
];

/** What a name in a shard directory is. */
export type NameKind = { readonly kind: 'stored'; readonly key: FileKey } | { readonly kind: 'partial' } | { readonly kind: 'foreign' };

export function isShardName(name: string): boolean {
  return name.length === shardNameLength && isLowerHex(name);
}

export function classifyName(space: Space, shard: string, name: string): NameKind {
  if (name.endsWith(partialSuffix)) return { kind: 'partial' };
  return isBlobName(name, { beginning: shard, length: space.nameLength }) ? { kind: 'stored', key: space.keyOf(name) } : { kind: 'foreign' };
}

/** Of a blob whose hash has so many digits and begins so. */
export function isBlobName(name: string, { beginning, length }: { readonly beginning: string; readonly length: number }): boolean {
  return name.length === length && name.startsWith(beginning) && isLowerHex(name);
}

/** What a key names. */
export type KeyParts = { readonly kind: 'blob'; readonly functionName: string; readonly name: string } | { readonly kind: ValueSpace; readonly name: string };

export function partsOf(key: FileKey): KeyParts {
  const slash = key.indexOf('/');
  if (slash === -1) return { kind: 'blob', functionName: 'sha256', name: key };
  const [space, name] = [key.slice(0, slash), key.slice(slash + 1)];
  const valueSpace = valueSpaces.find((one) => one === space);
  return valueSpace === undefined ? { kind: 'blob', functionName: space, name } : { kind: valueSpace, name };
}

/** True when the string can be the key of a file here. For keys read from disk. */
export function isFileKey(text: string): boolean {
  const parts = partsOf(text);
  const length = parts.kind === 'blob' ? digestFunctionNamed(parts.functionName)?.hexLength : valueNameLength;
  return parts.name.length === length && isLowerHex(parts.name);
}

/** The names in one data directory. */
export class ObjectLayout {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  final(key: FileKey): string {
    const parts = partsOf(key);
    return join(this.#directory(parts), parts.name);
  }

  /** In quarantine. */
  quarantinedName(key: FileKey): string {
    const parts = partsOf(key);
    return `${parts.kind === 'blob' ? parts.functionName : parts.kind}-${parts.name}`;
  }

  /** Where a blob stands whose hash begins so. */
  shard(functionName: string, beginning: string): string {
    return join(this.root, 'objects', functionName, beginning.slice(0, shardNameLength));
  }

  #directory(parts: KeyParts): string {
    return parts.kind === 'blob' ? this.shard(parts.functionName, parts.name) : join(this.root, 'values', parts.kind, parts.name.slice(0, shardNameLength));
  }
}

function isLowerHex(text: string): boolean {
  return /^[0-9a-f]+$/.test(text);
}
