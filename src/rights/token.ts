// Bearer tokens. A token is random, not chosen: 256 bits that nobody can guess or find by trying, so a plain SHA-256
// of it may be written down. Slow hashes are for passwords, which people choose (password-hash.ts).
import { hash } from 'node:crypto';
import type { Random } from '../base/random.ts';

const tokenBytes = 32;
/** Lets people, and programs that look for leaked secrets, recognise a token of Kiln. */
const tokenPrefix = 'kiln_';

/** What the configuration holds of a token. */
export const tokenHashForm: RegExp = /^sha256:[0-9a-f]{64}$/;

/** A new token, to be shown once. */
export function createToken(random: Random): string {
  const bytes = random.bytes(tokenBytes);
  return tokenPrefix + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** `sha256:` and 64 hex digits. */
export function hashOfToken(token: string): string {
  return `sha256:${hash('sha256', token)}`;
}
