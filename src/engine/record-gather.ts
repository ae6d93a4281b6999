// Makes the bytes of records that are written together: heads and short payloads in memory that is used again, long
// payloads as they are. They are to be written before the next are gathered.
import { aligned, recordBytes, writeHead } from './record-codec.ts';
import type { RecordHead } from './record-codec.ts';

/** A record with its place: one object for all that is done with it, since there is one for each small blob (docs/benchmarks.md). */
export interface PlacedRecord extends RecordHead {
  /** Ordinal in the SegmentTable. */
  readonly segment: number;
  readonly payload: Uint8Array;
  /** Of the whole record. */
  readonly bytes: number;
  /** Set when it is written. */
  durableMark: number;
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
    for (const record of records) {
      const { payload, payloadBytes } = record;
      record.durableMark = durableMark;
      at = writeHead(memory, at, record, nonceCrc);
      if (isCopied(payload)) {
        memory.set(payload, at);
        at += payloadBytes;
      } else {
        slices.push(memory.subarray(from, at), payload);
        from = at;
      }
      for (const end = at + aligned(payloadBytes) - payloadBytes; at < end; at += 1) memory[at] = 0; // a call of `fill` costs more than up to seven bytes
    }
    if (at > from) slices.push(memory.subarray(from, at));
    return slices;
  }

  #roomFor(records: readonly PlacedRecord[]): Buffer {
    let bytes = 0;
    for (const record of records) bytes += isCopied(record.payload) ? record.bytes : record.bytes - record.payloadBytes;
    if (this.#memory.byteLength < bytes) this.#memory = Buffer.allocUnsafe(2 ** Math.ceil(Math.log2(bytes)));
    return this.#memory;
  }
}

function isCopied(payload: Uint8Array): boolean {
  return payload.byteLength <= copiedBytesMax;
}
