// Streams that must have a certain length, and parts of streams.
import type { CacheError } from '../base/cache-error.ts';

/**
 * `bytes`, one piece behind: the last one comes only when nothing follows it and all together are `sizeBytes`. So
 * whoever receives less knows that the source failed. @throws what `refusal` makes of the bytes seen.
 */
export async function* exactly(bytes: AsyncIterable<Uint8Array>, sizeBytes: number, refusal: (seenBytes: number) => CacheError): AsyncGenerator<Uint8Array, void, undefined> {
  let seenBytes = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of bytes) {
    seenBytes += chunk.byteLength;
    if (seenBytes > sizeBytes) throw refusal(seenBytes);
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (seenBytes !== sizeBytes) throw refusal(seenBytes);
  if (held !== undefined) yield held;
}

/** `length` bytes of `bytes` after the first `skippedBytes`; what follows is left unread. */
export async function* cut(bytes: AsyncIterable<Uint8Array>, skippedBytes: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
  let before = skippedBytes;
  let wanted = length;
  for await (const chunk of bytes) {
    const part = chunk.subarray(Math.min(before, chunk.byteLength)).subarray(0, wanted);
    before -= Math.min(before, chunk.byteLength);
    wanted -= part.byteLength;
    if (part.byteLength > 0) yield part;
    if (wanted === 0) return;
  }
}
