// The streams of a log in memory, with real records, a real table and a real index, whose records become durable when
// a test says so: for what happens between an append and its sync.
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import { BlobIndex } from '../engine/blob-index.ts';
import type { Slot } from '../engine/blob-index.ts';
import type { SyncOutcome } from '../engine/group-sync.ts';
import { KeyWords } from '../engine/key-words.ts';
import { LiveEntries } from '../engine/live-entries.ts';
import type { RoomClaim } from '../engine/log-claims.ts';
import type { Appended, AppendRequest } from '../engine/append-request.ts';
import type { LogWriter } from '../engine/log-writer.ts';
import type { Settled } from '../engine/unsettled-records.ts';
import { RecordBytes, decodeHead, payloadIsRight, payloadOffset, recordBytes, writeHead } from '../engine/record-codec.ts';
import type { RecordKind } from '../engine/record-codec.ts';
import { encodeTombstone } from '../engine/record-payloads.ts';
import { RunningIntents } from '../engine/running-intents.ts';
import { segmentHeaderBytes } from '../engine/segment-format.ts';
import type { StreamName } from '../engine/segment-format.ts';
import type { OpenSegment } from '../engine/segment-handles.ts';
import type { ReadRecord, RecordPlace } from '../engine/segment-store.ts';
import { SegmentTable } from '../engine/segment-table.ts';
import type { SegmentRow } from '../engine/segment-table.ts';
import { UseAges } from '../engine/use-ages.ts';

interface Unsynced {
  readonly settled: Settled | undefined;
}

export interface HandLogOptions {
  readonly segmentBytes: number;
  readonly leaseS: number;
  readonly nowS: () => number;
}

/** SHA-256, by REAPI's number. */
const functionNumber = 1;
const none = new Uint8Array(0);

export class HandSyncedLog {
  readonly table = new SegmentTable();
  readonly ages: UseAges;
  readonly entries: LiveEntries;
  readonly intents: RunningIntents;
  readonly logs: Readonly<Record<StreamName, Pick<LogWriter, 'claim' | 'claimBytesMax' | 'append' | 'durable' | 'seal'>>>;
  /** By ordinal, the file of each segment. */
  readonly files = new Map<number, Buffer>();
  /** Ids of segments that were given back, in order. */
  readonly givenBack: number[] = [];
  /** False: nothing is durable until `sync` or `fail` is called. */
  syncsByItself = true;
  /** Of records appended. */
  appendedBytes = 0;
  /** Of a segment that is given up; may throw what a disk would. */
  beforeRead: (position: number, bytes: number) => void = () => undefined;
  onAppend: (request: AppendRequest) => void = () => undefined;
  /** A segment is begun, for whatever record. */
  onBegin: () => void = () => undefined;
  readonly #options: HandLogOptions;
  readonly #unsynced: Record<StreamName, Unsynced[]> = { blob: [], value: [], touch: [] };
  readonly #waiting: Record<StreamName, PromiseWithResolvers<void>[]> = { blob: [], value: [], touch: [] };
  #sequence = 1;
  readonly #key = new KeyWords();

  constructor(options: HandLogOptions) {
    const { nowS } = options;
    this.#options = options;
    this.ages = new UseAges(options.leaseS);
    const indexOf = (hasSequences: boolean) => new BlobIndex({ salt: [1, 2], hasSequences, startS: nowS() });
    this.entries = new LiveEntries({ blobs: indexOf(false), values: indexOf(true), segments: this.table, ages: this.ages, nowS });
    this.intents = new RunningIntents(this.table);
    this.logs = { blob: this.#writer('blob'), value: this.#writer('value'), touch: this.#writer('touch') };
  }

  readonly store = {
    open: (ordinal: number): OpenSegment => {
      const row = this.table.at(ordinal);
      this.table.beginRead(ordinal);
      const read = async (into: Uint8Array, position: number): Promise<number> => {
        this.beforeRead(position, into.byteLength);
        return this.#fileOf(ordinal).copy(into, 0, position, position + into.byteLength);
      };
      // Only what a recycler does with it.
      return { row, file: { read } as unknown as OpenSegment['file'], [Symbol.dispose]: () => this.table.endRead(ordinal) };
    },
    forget: (): Promise<void> => Promise.resolve(),
  };

  readonly supply = {
    giveBack: (row: SegmentRow): Promise<void> => {
      this.givenBack.push(row.id);
      this.files.delete(row.ordinal);
      this.table.release(row.ordinal);
      return Promise.resolve();
    },
  };

  /** A blob that is durable and in the index. */
  putBlob(hash: Uint8Array, payload: Uint8Array, usedAtS: number): Appended {
    const appended = this.append('blob', 'blob', { hash, payload, usedAtS });
    this.sync('blob');
    this.#key.setBytes(functionNumber << 2, hash);
    this.entries.put(this.entries.blobs, this.#key, { ...placeOf(appended), sizeBytes: payload.byteLength, usedAtS, isFile: false });
    return appended;
  }

  /** A commit of a file of `sizeBytes`, durable and in the index. */
  putFile(hash: Uint8Array, sizeBytes: number, usedAtS: number): Appended {
    const appended = this.append('blob', 'commit', { hash, payload: none, usedAtS, logicalBytes: sizeBytes });
    this.sync('blob');
    this.#key.setBytes(functionNumber << 2, hash);
    this.entries.put(this.entries.blobs, this.#key, { ...placeOf(appended), sizeBytes, usedAtS, isFile: true });
    return appended;
  }

  /** A value that takes the place of an older one in the index once it is durable. */
  putValue(hash: Uint8Array, payload: Uint8Array, usedAtS: number): Appended {
    const { values } = this.entries;
    const appended = this.append('value', 'opaque', { hash, payload, usedAtS }, (outcome) => {
      if (outcome.kind === 'failed') return;
      const key = this.valueKey(hash);
      const slot = values.find(key);
      if (slot === -1 || values.sequenceOf(slot) < appended.sequence) this.entries.put(values, key, { ...placeOf(appended), sizeBytes: appended.bytes, usedAtS, isFile: false });
    });
    return appended;
  }

  tombstone(hash: Uint8Array): Appended {
    const appended = this.append('blob', 'tombstone', { hash, payload: encodeTombstone({ removed: 'blob', isGone: false }), usedAtS: this.#options.nowS() });
    this.table.addTombstone(appended.segment);
    return appended;
  }

  valueKey(hash: Uint8Array): KeyWords {
    this.#key.setRecord({ kind: 'opaque', functionNumber, instance: '', hash });
    return this.#key;
  }

  /** Set anew by the next call of any. */
  keyOfBlob(hash: Uint8Array): KeyWords {
    this.#key.setBytes(functionNumber << 2, hash);
    return this.#key;
  }

  findBlob(hash: Uint8Array): Slot {
    return this.entries.blobs.find(this.keyOfBlob(hash));
  }

  append(stream: StreamName, kind: Exclude<RecordKind, 'seal'>, what: Partial<AppendRequest> & Pick<AppendRequest, 'hash' | 'payload' | 'usedAtS'>, settled?: Settled): Appended {
    return this.#append(stream, { kind, functionNumber, instance: '', logicalBytes: what.payload.byteLength, ...what }, settled);
  }

  /** What the entry points to, checked. */
  readAt({ segment, offset, bytes }: RecordPlace): ReadRecord | 'wrong' {
    const file = this.#fileOf(segment);
    const decoded = decodeHead(file, offset, offset, this.table.at(segment).nonceCrc);
    if (decoded.kind !== 'record' || decoded.bytes !== bytes) return 'wrong';
    const at = offset + payloadOffset(decoded.head.hash.byteLength, Buffer.byteLength(decoded.head.instance));
    const payload = file.subarray(at, at + decoded.head.payloadBytes);
    return payloadIsRight(decoded.head, payload) ? { head: decoded.head, payload } : 'wrong';
  }

  /** What stands there now. */
  bytesAt({ segment, offset, bytes }: RecordPlace): RecordBytes {
    return new RecordBytes(Buffer.from(this.#fileOf(segment).subarray(offset, offset + bytes)), offset, this.table.at(segment).nonceCrc);
  }

  /** All that was appended is durable. */
  sync(stream: StreamName): void {
    for (const row of this.table.of(stream)) row.durableOffset = row.endOffset;
    this.#settle(stream, { kind: 'durable' });
  }

  /** Nothing of what was appended and not synced counts. */
  fail(stream: StreamName): void {
    const open = this.table.open(stream);
    if (open !== undefined) {
      open.hasFailed = true;
      open.state = 'failed';
      open.endOffset = open.durableOffset;
    }
    this.#settle(stream, { kind: 'failed', cause: new Error('EIO') });
  }

  seal(stream: StreamName): void {
    const open = this.table.open(stream);
    if (open === undefined || open.records === 0) return;
    this.sync(stream);
    open.state = 'sealed';
  }

  #settle(stream: StreamName, outcome: SyncOutcome): void {
    const [unsynced, waiting] = [this.#unsynced[stream], this.#waiting[stream]];
    this.#unsynced[stream] = [];
    this.#waiting[stream] = [];
    for (const { settled } of unsynced) settled?.(outcome);
    for (const { resolve, reject } of waiting) {
      if (outcome.kind === 'durable') resolve();
      else reject(new CacheError('unavailable', 'the log could not be synced'));
    }
  }

  #writer(stream: StreamName): Pick<LogWriter, 'claim' | 'claimBytesMax' | 'append' | 'durable' | 'seal'> {
    return {
      claimBytesMax: 2 ** 20,
      claim: (bytes) => new HandClaim(bytes),
      append: (claim, request, settled) => {
        const appended = this.#append(stream, request, settled);
        take(claim, appended.bytes);
        return appended;
      },
      durable: () => {
        if (this.syncsByItself) this.sync(stream);
        if (this.#unsynced[stream].length === 0) return Promise.resolve();
        const waiting = Promise.withResolvers<void>();
        this.#waiting[stream].push(waiting);
        return waiting.promise;
      },
      seal: () => Promise.resolve(this.seal(stream)),
    };
  }

  #append(stream: StreamName, request: AppendRequest, settled: Settled | undefined): Appended {
    const { kind, hash, instance, payload, copyOf } = request;
    const bytes = recordBytes(hash.byteLength, Buffer.byteLength(instance), payload.byteLength);
    let row = this.table.open(stream);
    if (row !== undefined && row.endOffset + bytes > row.segmentBytes) {
      row.state = 'sealed';
      row = undefined;
    }
    row ??= this.#begin(stream);
    const sequence = request.sequence ?? copyOf?.sequence ?? this.#sequence++;
    const offset = row.endOffset;
    const payloadCrc = copyOf?.payloadCrc ?? crc32(payload);
    const head = { ...request, kind, isPointer: request.isPointer ?? false, isCopy: copyOf !== undefined, sequence, offset, durableMark: row.durableOffset, payloadBytes: payload.byteLength, payloadCrc };
    const file = this.#fileOf(row.ordinal);
    const payloadAt = writeHead(file, offset, head, row.nonceCrc);
    file.set(payload, payloadAt);
    file.fill(0, payloadAt + payload.byteLength, offset + bytes);
    row.endOffset += bytes;
    row.records += 1;
    this.appendedBytes += bytes;
    this.#unsynced[stream].push({ settled });
    this.onAppend(request);
    return { segment: row.ordinal, offset, bytes, sequence };
  }

  #begin(stream: StreamName): SegmentRow {
    const { segmentBytes, nowS } = this.#options;
    this.onBegin();
    const id = this.table.takeId();
    const nonce = Buffer.alloc(8, id);
    const row = this.table.add({ id, stream, nonce, segmentBytes, begunS: nowS(), state: 'open', endOffset: segmentHeaderBytes, records: 0, sealSequence: undefined });
    this.files.set(row.ordinal, Buffer.alloc(segmentBytes));
    return row;
  }

  #fileOf(ordinal: number): Buffer {
    const file = this.files.get(ordinal);
    assert(file !== undefined, 'every segment has a file');
    return file;
  }
}

class HandClaim implements RoomClaim {
  bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  [Symbol.dispose](): void {
    this.bytes = 0;
  }
}

function take(claim: RoomClaim, bytes: number): void {
  assert(claim instanceof HandClaim && claim.bytes >= bytes, 'no more is appended than was claimed');
  claim.bytes -= bytes;
}

function placeOf({ segment, offset, sequence }: Appended) {
  return { segment, offset, sequence, isPointer: false, isVerified: true };
}
