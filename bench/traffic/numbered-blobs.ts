// Blobs that are known by a number, so that a server with a million of them, a generator that asks for them and a
// data directory that holds them agree without exchanging a list.
import { hash } from 'node:crypto';

export const numberedBlobBytes = 1_024;

/** The blob of that number: its bytes are a pattern that differs from blob to blob. The caller owns the buffer. */
export function numberedBlob(number: number): Buffer {
  const bytes = Buffer.alloc(numberedBlobBytes, 'a numbered blob ');
  bytes.writeDoubleBE(number, 0);
  return bytes;
}

/** SHA-256 in hex of the blob of that number. */
export function numberedHash(number: number): string {
  return hash('sha256', numberedBlob(number));
}
