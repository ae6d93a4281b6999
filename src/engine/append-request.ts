// What a stream of the log is asked to append, and what it says of it.
import type { RecordKind } from './record-codec.ts';

export interface AppendRequest {
  readonly kind: Exclude<RecordKind, 'seal'>;
  /** 0 where there is no hash. */
  readonly functionNumber: number;
  /** May not change until the record is settled, as `payload`. */
  readonly hash: Uint8Array;
  readonly instance: string;
  readonly logicalBytes: number;
  /** Seconds since the Unix epoch. */
  readonly usedAtS: number;
  readonly payload: Uint8Array;
  readonly isPointer?: boolean;
  /** The record that is moved on: it keeps its number, and its payload is not summed up again. */
  readonly copyOf?: { readonly sequence: number; readonly payloadCrc: number };
  /** Of commits and ends of intents: the number of the intent. Otherwise a new one is taken. */
  readonly sequence?: number;
}

export interface Appended {
  /** Ordinal in the SegmentTable. */
  readonly segment: number;
  readonly offset: number;
  /** Of the whole record. */
  readonly bytes: number;
  readonly sequence: number;
}
