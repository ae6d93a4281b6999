// Sizes that follow from how large the store may be.
import { segmentBytesLeast, segmentBytesMost } from './segment-format.ts';

/** Of the store, for one segment: what is kept free for moving records, and what eviction gives up at a time, is a few of them. */
const segmentsMin = 128;
/** Of the record of a value. */
export const valueRecordBytesMax = 65_536;
/** A store of a few segments still has one of each stream, one to move records to, and some to give up. */
const fewSegments = 16;
const smallSegmentBytes = 65_536;
/** Kept free ahead of writes: a share of the store, and never more than a few large uploads. */
const lowWatermarkShare = 1 / 64;
const lowWatermarkBytesMax = 256 * 1024 * 1024;
/** The bound where none is given: a tenth of what the disk could hold for us, and enough for one large build. */
const defaultShare = 0.1;
const defaultBytesMin = 1024 ** 3;

/** `usedBytes` is what we hold already: a restart must not shrink the store by its own content. */
export function defaultStoreBytes(freeBytes: number, usedBytes: number): number {
  return Math.max(defaultBytesMin, Math.floor((freeBytes + usedBytes) * defaultShare));
}

/** Of each new segment: a power of two from 1 to 64 MiB; down to 64 KiB in a store that would not have room for a few otherwise. */
export function segmentBytesOf(maxBytes: number): number {
  let bytes = segmentBytesMost;
  while (bytes > segmentBytesLeast && bytes * segmentsMin > maxBytes) bytes /= 2;
  while (bytes > smallSegmentBytes && bytes * fewSegments > maxBytes) bytes /= 2;
  return bytes;
}

/** `share`: what was configured. */
export function lowWatermarkBytesOf(maxBytes: number, share: number | undefined): number {
  return Math.floor(share === undefined ? Math.min(maxBytes * lowWatermarkShare, lowWatermarkBytesMax) : maxBytes * share);
}
