// Digests as a codec gives them, made of texts.
import type { ReceivedDigest, ReceivedDigests } from '../proto/packed-digests.ts';
import { WordDigests } from '../proto/word-digests.ts';

/** In words if all hashes have 64 lower-case digits. */
export function receivedDigests(digests: readonly ReceivedDigest[]): ReceivedDigests {
  const received = new WordDigests(digests.length, 0);
  for (const digest of digests) received.add(digest);
  return received;
}
