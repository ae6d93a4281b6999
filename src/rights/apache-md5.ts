// Apache's variant of crypt-MD5, the default of older htpasswd programs ("$apr1$"). Described in APR's documentation of
// apr_md5_encode and in the manual of `openssl passwd -apr1`, whose results the test compares with.
import { hash } from 'node:crypto';

const marker = '$apr1$';
const rounds = 1_000;
const digits = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Which bytes of the digest make up each group of four digits, most significant first. */
const groups = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] as const;

/** `$apr1$SALT$` and 22 digits. `salt` has one to eight characters. */
export function apacheMd5(password: string, salt: string): string {
  const key = Buffer.from(password);
  const salted = Buffer.from(salt);
  let digest = firstDigest(key, salted);
  for (let round = 0; round < rounds; round += 1) digest = nextDigest(digest, key, salted, round);
  let text = '';
  for (const [high, middle, low] of groups) text += encoded(((digest[high] ?? 0) << 16) | ((digest[middle] ?? 0) << 8) | (digest[low] ?? 0), 4);
  return `${marker}${salt}$${text}${encoded(digest[11] ?? 0, 2)}`;
}

function firstDigest(key: Buffer, salt: Buffer): Buffer {
  const mixed = md5(key, salt, key);
  const parts: Uint8Array[] = [key, Buffer.from(marker), salt];
  for (let left = key.length; left > 0; left -= mixed.length) parts.push(mixed.subarray(0, Math.min(left, mixed.length)));
  // One byte per binary digit of the length: zero for a one, the first of the key for a zero.
  for (let left = key.length; left > 0; left >>= 1) parts.push((left & 1) === 1 ? Buffer.alloc(1) : key.subarray(0, 1));
  return md5(...parts);
}

/** The order varies with the round, so that no two rounds can be run as one. */
function nextDigest(digest: Buffer, key: Buffer, salt: Buffer, round: number): Buffer {
  const isOdd = round % 2 === 1;
  const parts: Uint8Array[] = [isOdd ? key : digest];
  if (round % 3 !== 0) parts.push(salt);
  if (round % 7 !== 0) parts.push(key);
  parts.push(isOdd ? digest : key);
  return md5(...parts);
}

function md5(...parts: readonly Uint8Array[]): Buffer {
  return hash('md5', Buffer.concat(parts), 'buffer');
}

/** Least significant digit first. */
function encoded(value: number, length: number): string {
  let text = '';
  for (let left = value, at = 0; at < length; at += 1, left >>= 6) text += digits[left & 63] ?? '';
  return text;
}
