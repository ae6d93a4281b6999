// The path of a request as decoded segments. Whatever could name something outside of a route is refused here.
import { CacheError } from '../base/cache-error.ts';

/** An instance name of 255 characters, percent-encoded, and a hash of 128 fit several times. */
export const targetCharsMax = 4096;

/** `http://host/path`, which a client sends that takes the server for a proxy (RFC 9112 §3.2.2). */
const absoluteForm = /^https?:\/\/[^/?#]*/i;

/**
 * The segments of the path, percent-decoded; empty for `/`. Doubled slashes count once (CT-1), the query is left
 * out. `target` is at most `targetCharsMax` long.
 * @throws CacheError `invalid_argument` for what is no path, for `.` and `..`, and for encodings that hide a slash
 *   or a control character in a segment (CT-8).
 */
export function parseTarget(target: string): readonly string[] {
  const path = target.replace(absoluteForm, '').split(/[?#]/, 1)[0] || '/';
  if (!path.startsWith('/')) {
    throw new CacheError('invalid_argument', `the request target ${quoted(target)} is no path`);
  }
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => decodeSegment(segment));
}

function decodeSegment(segment: string): string {
  const decoded = decodeOrUndefined(segment);
  if (decoded === undefined) {
    throw new CacheError('invalid_argument', `the path segment ${quoted(segment)} is not percent-encoded UTF-8`);
  }
  if (decoded === '.' || decoded === '..' || decoded.includes('/') || hasControlCharacter(decoded)) {
    throw new CacheError('invalid_argument', `the path segment ${quoted(segment)} is not allowed`);
  }
  return decoded;
}

function decodeOrUndefined(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 140));
}
