// The large files that a start has found in the log: they take room, and stand in the order in which they were used.
import { allocatedBytes } from './allocated-bytes.ts';
import { KeyWords } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { SieveOrder } from './sieve-order.ts';
import type { SpaceLedger } from './space-ledger.ts';

/** Once, after everything in the log was taken in. Nobody else has placed files, or put any in the order. */
export function takeInFiles({ blobs, filesCount }: LiveEntries, ledger: SpaceLedger, order: SieveOrder): void {
  if (filesCount === 0) return;
  const key = new KeyWords();
  /** First two words of the keys, by time of use. */
  const byUse = new Map<number, number[]>();
  let bytes = 0;
  for (let chunk = 0; chunk < blobs.chunkCount; chunk += 1) {
    for (const slot of blobs.filesOf(chunk)) {
      bytes += allocatedBytes(blobs.sizeOf(slot));
      blobs.keyOf(slot, key);
      // The order says it better. With a mark each would have a round more than what comes from now on, which would go first.
      blobs.clearUsed(slot);
      const usedAtS = blobs.usedAtS(slot);
      const words = byUse.get(usedAtS) ?? [];
      words.push(key.words[0] ?? 0, key.words[1] ?? 0);
      byUse.set(usedAtS, words);
    }
  }
  ledger.place('files', bytes);
  for (const usedAtS of [...byUse.keys()].toSorted((a, b) => a - b)) {
    const words = byUse.get(usedAtS) ?? [];
    for (let at = 0; at < words.length; at += 2) order.append(words[at] ?? 0, words[at + 1] ?? 0);
  }
}
