// Small blobs that nobody has yet, with their digests, made before anything is measured.
import { randomFillSync, randomInt } from 'node:crypto';
import { Digest } from '../../src/digest/digest.ts';
import type { BlobBytes } from '../../src/blob/blob-store.ts';

/** What compilers and actions make most of (a `.d` file, an Action, a Command, a small object). */
const bytesLeast = 512;
const bytesMost = 5 * 1024;

/** Random bytes, of sizes that are spread evenly; one buffer holds them all. */
export function smallBlobs(count: number): BlobBytes[] {
  const sizes = Array.from({ length: count }, () => randomInt(bytesLeast, bytesMost + 1));
  const bytes = randomFillSync(Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0)));
  let at = 0;
  return sizes.map((size) => {
    const blob = bytes.subarray(at, (at += size));
    return { digest: Digest.of(blob), bytes: blob };
  });
}
