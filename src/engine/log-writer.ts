// Writes one stream: records get their place and number at once, are written together when the turn ends, and count when
// they are durable. Nothing that was appended later is ever durable before what was appended earlier.
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { SyncOutcome } from './group-sync.ts';
import type { RecordKind } from './record-codec.ts';
import type { Asker } from './segment-supply.ts';

export interface AppendRequest {
  readonly kind: Exclude<RecordKind, 'seal'>;
  /** 0 where there is no hash. */
  readonly functionNumber: number;
  readonly hash: Uint8Array;
  readonly instance: string;
  readonly logicalBytes: number;
  /** Seconds since the Unix epoch. */
  readonly usedAtS: number;
  /** May not change until the record is settled. */
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

/** Room in the log. Disposing it gives back what was not used, once or more often. */
export interface RoomClaim extends Disposable {
  /** What is left of it. */
  readonly bytes: number;
}

/** Told once, in the order of the records, all of one sync in one pass; must not throw. `failed`: the record does not count. */
export type Settled = (outcome: SyncOutcome) => void;

export interface LogWriter {
  /**
   * Room for records of so many bytes in all, which need not be appended together; a promise only where it has to be
   * waited for. `internal` comes before `external` and has room that is kept for it.
   * @throws CacheError `busy` (10,000 wait), `disk_full` (nothing may go), `unavailable`, `cancelled`.
   */
  claim(recordBytes: number, who: Asker, options?: CallOptions): MaybePromise<RoomClaim>;
  /** Takes the bytes of the record from the claim. Place and number are given at once and never again. */
  append(claim: RoomClaim, request: AppendRequest, settled?: Settled): Appended;
  /** Resolves when all that was appended so far is durable. @throws CacheError `unavailable`: some of it does not count. */
  durable(): Promise<void>;
  /** Seals the segment that is written to, if it has records; what is appended later goes to the next. */
  seal(): Promise<void>;
  /** Refuses who comes and who waits, waits for claims that were given, syncs and seals. */
  close(): Promise<void>;
  /** Appended and not durable. */
  readonly unsyncedBytes: number;
  /** Claims in line. */
  readonly waiting: number;
}
