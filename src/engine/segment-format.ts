// The block at the beginning of a segment, and the names in `segments/`. docs/formats/segments.md
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { readWide, writeWide } from './wide-integers.ts';

/** On disk for ever. */
export const streamNumbers = { blob: 1, value: 2, touch: 3 } as const;
export type StreamName = keyof typeof streamNumbers;
export const streamNames = Object.keys(streamNumbers) as readonly StreamName[];

/** First bytes of every segment. */
const segmentMagic = 'KILNSEGM';
const version = 1;
/** The block at the beginning: records stand behind it. What it says is in its first 64 bytes. */
export const segmentHeaderBytes = 4096;
const headerFieldsBytes = 64;
export const nonceBytes = 8;
/** Of those that a store begins by itself. */
export const segmentBytesLeast = 2 ** 20;
/** Of any: one that is read whole a hundred thousand times, in a proof, is better short. */
const lengthLeast = 2 ** 16;
export const segmentBytesMost = 2 ** 26;

export interface SegmentHeader {
  readonly stream: StreamName;
  /** Of the whole file: a power of two. */
  readonly segmentBytes: number;
  readonly id: number;
  readonly nonce: Uint8Array;
  /** Above every sequence number that was given out before the segment was begun. */
  readonly firstSequence: number;
  /** Milliseconds since the Unix epoch. */
  readonly begunMs: number;
}

export type DecodedSegmentHeader =
  | { readonly kind: 'segment'; readonly header: SegmentHeader }
  | { readonly kind: 'damaged'; readonly reason: string }
  /** Its checksum is right, and a newer Kiln wrote it: "version 2", "stream 4". */
  | { readonly kind: 'newer'; readonly what: string };

export function isSegmentLength(bytes: number): boolean {
  return bytes >= lengthLeast && bytes <= segmentBytesMost && Number.isInteger(Math.log2(bytes));
}

/** What every record of the segment goes on from, so that records of other lives of the file are none. */
export function nonceCrc(nonce: Uint8Array): number {
  return crc32(nonce);
}

/** The whole block. */
export function encodeSegmentHeader({ stream, segmentBytes, id, nonce, firstSequence, begunMs }: SegmentHeader): Buffer {
  assert(isSegmentLength(segmentBytes), 'the length of a segment is a power of two from 64 KiB to 64 MiB');
  assert(nonce.byteLength === nonceBytes, 'a nonce has 8 bytes');
  const block = Buffer.alloc(segmentHeaderBytes);
  block.write(segmentMagic, 0, 'latin1');
  block.writeUInt16LE(version, 8);
  block.writeUInt16LE(streamNumbers[stream], 10);
  block.writeUInt32LE(segmentBytes, 12);
  writeWide(block, id, 16);
  block.set(nonce, 24);
  writeWide(block, firstSequence, 32);
  writeWide(block, begunMs, 40);
  block.writeUInt32LE(crc32(block.subarray(0, headerFieldsBytes - 4)), headerFieldsBytes - 4);
  return block;
}

/** @param block the first 64 bytes of a file, or more. */
export function decodeSegmentHeader(block: Buffer): DecodedSegmentHeader {
  if (block.byteLength < headerFieldsBytes) return damaged(`${block.byteLength} bytes are too short for its first block`);
  if (block.toString('latin1', 0, 8) !== segmentMagic) return damaged('it does not begin with the magic');
  if (crc32(block.subarray(0, headerFieldsBytes - 4)) !== block.readUInt32LE(headerFieldsBytes - 4)) return damaged('its first block does not have its checksum');
  const [foundVersion, streamNumber] = [block.readUInt16LE(8), block.readUInt16LE(10)];
  if (foundVersion !== version) return { kind: 'newer', what: `version ${foundVersion}` };
  const stream = streamNames.find((name) => streamNumbers[name] === streamNumber);
  if (stream === undefined) return { kind: 'newer', what: `stream ${streamNumber}` };
  const header: SegmentHeader = {
    stream,
    segmentBytes: block.readUInt32LE(12),
    id: readWide(block, 16),
    nonce: Buffer.from(block.subarray(24, 24 + nonceBytes)),
    firstSequence: readWide(block, 32),
    begunMs: readWide(block, 40),
  };
  if (!isSegmentLength(header.segmentBytes)) return damaged(`no segment has ${header.segmentBytes} bytes`);
  if (![header.id, header.firstSequence, header.begunMs].every(Number.isSafeInteger)) return damaged('a number of its first block is beyond 2^53');
  return { kind: 'segment', header };
}

/** What a name in `segments/` is. `id`: of a segment; `number`: of a file that is to become one. */
export type SegmentFileName =
  | { readonly kind: 'segment'; readonly id: number; readonly stream: StreamName }
  | { readonly kind: 'hint' | 'hint_partial'; readonly id: number }
  | { readonly kind: 'free' | 'free_partial'; readonly number: number }
  | { readonly kind: 'foreign' };

const segmentName = /^([0-9a-f]{16})\.(blob|value|touch|hint|hint\.partial)$/;
const freeName = /^(0|[1-9][0-9]{0,14})\.(free|partial)$/;

export function segmentFileName(id: number, stream: StreamName): string {
  return `${idName(id)}.${stream}`;
}

export function hintFileName(id: number): string {
  return `${idName(id)}.hint`;
}

export function partialHintFileName(id: number): string {
  return `${hintFileName(id)}.partial`;
}

export function freeFileName(number: number): string {
  return `${number}.free`;
}

export function partialFreeFileName(number: number): string {
  return `${number}.partial`;
}

export function classifySegmentFile(name: string): SegmentFileName {
  const [, hex, ending] = segmentName.exec(name) ?? [];
  if (hex !== undefined) {
    const id = Number.parseInt(hex, 16);
    if (!Number.isSafeInteger(id)) return { kind: 'foreign' };
    const stream = streamNames.find((one) => one === ending);
    if (stream !== undefined) return { kind: 'segment', id, stream };
    return { kind: ending === 'hint' ? 'hint' : 'hint_partial', id };
  }
  const [, number, state] = freeName.exec(name) ?? [];
  if (number === undefined) return { kind: 'foreign' };
  return { kind: state === 'free' ? 'free' : 'free_partial', number: Number(number) };
}

function idName(id: number): string {
  assert(Number.isSafeInteger(id) && id >= 0, 'ids of segments are whole numbers below 2^53');
  return id.toString(16).padStart(16, '0');
}

function damaged(reason: string): DecodedSegmentHeader {
  return { kind: 'damaged', reason };
}
