// Instance names: name spaces for action results (REAPI, IN-1 to IN-3).
import { CacheError } from '../base/cache-error.ts';

declare const checked: unique symbol;
/** A name that passed `parseInstanceName`. May be empty, may hold slashes. */
export type InstanceName = string & { readonly [checked]: true };

/** Segments that would make resource names ambiguous (IN-2). */
const reservedSegments = new Set(['blobs', 'uploads', 'actions', 'actionResults', 'operations', 'capabilities', 'compressed-blobs']);

/** Long enough for any path-like name in use; short enough to stand in a key and in a log line. */
const instanceNameCharsMax = 255;

/** @throws CacheError `invalid_argument` that names the segment or the limit at fault. */
export function parseInstanceName(name: string): InstanceName {
  if (name === '') return name as InstanceName;
  if (name.length > instanceNameCharsMax) {
    throw new CacheError('invalid_argument', `instance name of ${name.length} characters; at most ${instanceNameCharsMax} are allowed`);
  }
  for (const segment of name.split('/')) {
    if (segment === '' || segment === '.' || segment === '..' || reservedSegments.has(segment) || hasControlCharacter(segment)) {
      throw new CacheError('invalid_argument', `instance name ${JSON.stringify(name)} has the segment ${JSON.stringify(segment)}, which is not allowed in it`);
    }
  }
  return name as InstanceName;
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
