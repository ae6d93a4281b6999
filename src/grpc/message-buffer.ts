// Memory for one message.

/**
 * Small messages share a slab of Node's Buffer pool (8 KiB): memory of its own costs a small typed array more than
 * all else that is done for it (bench/unary: 1.1 against 0.5 us). Whoever keeps bytes of a message for long copies
 * them, as a view keeps the slab.
 */
const pooledBytesMax = 1024;

/**
 * How much of a message that comes in pieces gets memory at once, whatever length its prefix announces. A few frames; a
 * message that is larger moves once, which takes a hundredth of what receiving it takes.
 */
export const partialBytesMin = 64 * 1024;

/** `length` bytes of any content, to be overwritten; nobody else writes to them. */
export function newMessageBuffer(length: number): Uint8Array {
  const { buffer, byteOffset } = length <= pooledBytesMax ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer, byteOffset, length); // no Buffer: its slice() would be a view
}
