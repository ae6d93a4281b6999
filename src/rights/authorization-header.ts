// The value of an Authorization header, or of gRPC's `authorization` metadata, taken apart.
import { CacheError } from '../base/cache-error.ts';

/** What a client shows. */
export type Credentials =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'password'; readonly user: string; readonly password: string };

/**
 * Bearer (RFC 6750) and Basic (RFC 7617). Nothing of what came goes into an error: it may be a secret in the wrong place.
 * @throws CacheError `unauthenticated`.
 */
export function parseAuthorization(value: string): Credentials {
  const [, scheme = '', rest = ''] = /^ *([^ ]*)(?: +([^ ]+))? *$/.exec(value) ?? [];
  switch (scheme.toLowerCase()) {
    case 'bearer':
      if (rest !== '') return { kind: 'token', token: rest };
      throw new CacheError('unauthenticated', 'the Authorization header has no token after "Bearer", or a blank in it');
    case 'basic':
      return parseBasic(rest);
    default:
      throw new CacheError('unauthenticated', 'the Authorization header is neither "Bearer TOKEN" nor "Basic" with base64 of USER:PASSWORD');
  }
}

/** Either alphabet, with and without padding: Bazel sends base64url (CT-4). */
function parseBasic(text: string): Credentials {
  const digits = text.replace(/={0,2}$/, '');
  if (digits !== '' && /^[A-Za-z0-9+/_-]*$/.test(digits) && digits.length % 4 !== 1) {
    const pair = Buffer.from(digits, 'base64').toString('utf8'); // node takes both alphabets
    const colon = pair.indexOf(':');
    if (colon >= 0) return { kind: 'password', user: pair.slice(0, colon), password: pair.slice(colon + 1) };
  }
  throw new CacheError('unauthenticated', 'the Authorization header has no base64 of USER:PASSWORD after "Basic"');
}
