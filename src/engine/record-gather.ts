// Makes the bytes of records that are written together: heads and short payloads in memory that is used again, long
// payloads as they are. They are to be written before the next are gathered.
import { crc32 } from 'node:zlib';
import { aligned, payloadOffset, recordBytes, writeHead } from './record-codec.ts';
import type { RecordHead } from './record-codec.ts';

/** A record with its place. */
export interface PlacedRecord {
  readonly head: Omit<RecordHead, 'durableMark' | 'payloadBytes' | 'payloadCrc'>;
  readonly payload: Uint8Array;
  /** Known of a copy; undefined: it is summed up. */
  readonly payloadCrc: number | undefined;
  /** Of the whole record. */
  readonly bytes: number;
}

/** Copying so much costs less than a slice of its own in a gathered write. */
const copiedBytesMax = 8_192;

/** Of a record with that hash, instance name and payload. */
export function bytesOfRecord(record: { readonly hash: Uint8Array; readonly instance: string; readonly payload: Uint8Array }): number {
  return recordBytes(record.hash.byteLength, Buffer.byteLength(record.instance), record.payload.byteLength);
}

export class RecordGather {
  #memory = Buffer.alloc(0);

  /** The bytes of the records, which stand one behind the other. `durableMark`: everything before it is durable now. */
  gather(records: readonly PlacedRecord[], durableMark: number, nonceCrc: number): readonly Uint8Array[] {
    const memory = this.#roomFor(records);
    const slices: Uint8Array[] = [];
    let from = 0;
    let at = 0;
    for (const { head, payload, payloadCrc } of records) {
      const payloadBytes = payload.byteLength;
      at = writeHead(memory, at, { ...head, durableMark, payloadBytes, payloadCrc: payloadCrc ?? crc32(payload) }, nonceCrc);
      if (isCopied(payload)) {
        memory.set(payload, at);
        at += payloadBytes;
      } else {
        slices.push(memory.subarray(from, at), payload);
        from = at;
      }
      const padding = aligned(payloadBytes) - payloadBytes;
      memory.fill(0, at, at + padding);
      at += padding;
    }
    if (at > from) slices.push(memory.subarray(from, at));
    return slices;
  }

  #roomFor(records: readonly PlacedRecord[]): Buffer {
    let bytes = 0;
    for (const { head, payload } of records) {
      const headBytes = payloadOffset(head.hash.byteLength, Buffer.byteLength(head.instance));
      bytes += headBytes + (isCopied(payload) ? aligned(payload.byteLength) : aligned(payload.byteLength) - payload.byteLength);
    }
    if (this.#memory.byteLength < bytes) this.#memory = Buffer.allocUnsafe(2 ** Math.ceil(Math.log2(bytes)));
    return this.#memory;
  }
}

function isCopied(payload: Uint8Array): boolean {
  return payload.byteLength <= copiedBytesMax;
}
