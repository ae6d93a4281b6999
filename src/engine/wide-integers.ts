// Fields of 8 bytes, little-endian, in the formats of docs/formats/. Twice as fast as through BigInt.
import { assert } from '../base/assert.ts';

const wordRange = 2 ** 32;

/** @param value below 2^53. */
export function writeWide(into: Buffer, value: number, at: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, 'a field of 8 bytes holds a whole number below 2^53');
  into.writeUInt32LE(value % wordRange, at);
  into.writeUInt32LE(Math.floor(value / wordRange), at + 4);
}

/** Exact below 2^53; a caller that reads what it does not believe yet checks `Number.isSafeInteger`. */
export function readWide(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * wordRange;
}
