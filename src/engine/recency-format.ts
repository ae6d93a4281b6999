// The bytes of a recency log of format 1, which this program reads only: a header, then batches of (time, key) with a checksum
// each. docs/formats/recency.md
import { crc32 } from 'node:zlib';
import type { FileHandle } from '../base/file-system.ts';
import { isFileKey } from './object-layout.ts';
import type { FileKey } from './object-layout.ts';

/** First bytes of every recency log. */
const recencyMagic = 'KILNRECY';
const version = 1;
const headerBytes = 16;
const batchHeaderBytes = 8;
/** Time and length of the key. */
const recordFixedBytes = 7;
/** What one batch holds at most: it is read in one piece. */
export const batchRecordsMax = 4096;
const batchBytesMax = batchRecordsMax * (recordFixedBytes + 255);

/** One use of a file. */
export interface Use {
  readonly key: FileKey;
  /** Whole milliseconds since the Unix epoch. */
  readonly usedMs: number;
}

/** What every log begins with. */
export function recencyHeader(): Uint8Array {
  const header = Buffer.alloc(headerBytes);
  header.write(recencyMagic, 0, 'latin1');
  header.writeUInt16LE(version, 8);
  return header;
}

/** The uses in a log, in order, up to the first thing that is not as it was written: a log is a hint, not a promise. */
export async function* readRecencyLog(file: FileHandle): AsyncGenerator<Use, void, undefined> {
  const header = Buffer.alloc(headerBytes);
  if ((await file.read(header, 0)) < headerBytes || !header.equals(recencyHeader())) return;
  const head = Buffer.alloc(batchHeaderBytes);
  for (let offset = headerBytes; ; ) {
    if ((await file.read(head, offset)) < batchHeaderBytes) return;
    const length = head.readUInt32LE(0);
    if (length > batchBytesMax) return;
    const records = Buffer.alloc(length);
    if ((await file.read(records, offset + batchHeaderBytes)) < length || crc32(records) !== head.readUInt32LE(4)) return;
    yield* decodeRecords(records);
    offset += batchHeaderBytes + length;
  }
}

function* decodeRecords(records: Buffer): Generator<Use, void, undefined> {
  for (let offset = 0; offset + recordFixedBytes <= records.byteLength; ) {
    const end = offset + recordFixedBytes + records.readUInt8(offset + 6);
    const key = records.toString('latin1', offset + recordFixedBytes, end);
    if (isFileKey(key)) yield { key, usedMs: records.readUIntLE(offset, 6) };
    offset = end;
  }
}
