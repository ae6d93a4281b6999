// The digest of bytes that do not fit into memory.
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';

/** Reads `bytes` to their end. */
export async function digestOf(bytes: AsyncIterable<Uint8Array>, digestFunction: DigestFunction = sha256): Promise<Digest> {
  const hasher = digestFunction.createHasher();
  let sizeBytes = 0;
  for await (const chunk of bytes) {
    hasher.update(chunk);
    sizeBytes += chunk.byteLength;
  }
  return Digest.parse(digestFunction, hasher.hex(), sizeBytes);
}
