// Writes one stream: records get their place and number at once, are written together when the turn ends, and count when
// they are durable. Nothing that was appended later is ever durable before what was appended earlier: what is behind a
// write or a sync that failed fails with it, and the next segment gets its first record when the one before is sealed.
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { AppendRequest, Appended } from './append-request.ts';
import type { EnginePorts } from './engine-options.ts';
import { LogClaims } from './log-claims.ts';
import type { ClaimedRoom, RoomClaim } from './log-claims.ts';
import { LogFailures } from './log-failures.ts';
import { bytesOfRecord, RecordGather } from './record-gather.ts';
import type { PlacedRecord } from './record-gather.ts';
import { SegmentLine } from './segment-line.ts';
import type { StreamName } from './segment-format.ts';
import type { Asker, SegmentSupply } from './segment-supply.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { SequenceNumbers } from './sequence-numbers.ts';
import { UnsettledRecords } from './unsettled-records.ts';
import type { Settled } from './unsettled-records.ts';

export interface LogWriterParts {
  readonly table: SegmentTable;
  readonly supply: Pick<SegmentSupply, 'next' | 'giveBack' | 'hasReserve' | 'onReserve' | 'segmentBytes'>;
  readonly sequences: SequenceNumbers;
}

export type LogWriterPorts = Pick<EnginePorts, 'smallSyncs' | 'timers' | 'nextTurn' | 'log'>;

export interface LogWriterOptions {
  readonly stream: StreamName;
  /** `relaxed`: what is appended by `external` claims is settled once it is written. */
  readonly durability: 'durable' | 'relaxed';
  /** What the system took for a sync. */
  readonly onSync?: (microseconds: number) => void;
  /** The next records of the segment were written; they are not durable yet. */
  readonly onWritten?: (row: SegmentRow, records: readonly PlacedRecord[]) => void;
  /** More of the segment is durable. */
  readonly onGrown?: (row: SegmentRow) => void;
  /** The segment is sealed, durably, by a seal of that number. */
  readonly onSealed?: (row: SegmentRow, sealSequence: number) => void;
}

/** Appended and not durable; who comes then waits for a sync. At most a segment, so that few are begun ahead. */
const unsyncedBytesMost = 8 * 2 ** 20;
/** Of it for `internal` alone: those for whom others wait need not wait for others. */
const internalShare = 1 / 8;
/**
 * Written and synced before the turn is over, if nothing is being synced: the disk works while the rest of the turn is hashed.
 * More where syncs take longer, about as much as is hashed meanwhile: else who comes later waits for two of them.
 */
const earlyBytes = { least: 65_536, segmentShare: 1 / 16, perSyncMicrosecond: 128 } as const;
/** Written at once, and at most in one turn: longer writes would hold up the loop. */
const gatheredBytesMax = 2 ** 20;
/** Of a segment, for one claim: what is left empty at the end of a segment may be almost as much. */
const claimShare = 1 / 4;
const askers: readonly Asker[] = ['internal', 'external'];

export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #parts: LogWriterParts;
  readonly #ports: LogWriterPorts;
  readonly #line: SegmentLine;
  readonly #claims: LogClaims;
  readonly #records: UnsettledRecords;
  readonly #failures: LogFailures;
  readonly #waitingForSegments = new AbortController();
  #isFlushDue = false;
  /** The last time that nobody waited for it, a segment could be had. */
  #isAskingAhead = true;
  #syncsCount = 0;
  #earlyBytes: number;
  #isClosing = false;
  #closed: Promise<void> | undefined;

  /** Begins with a segment of its own, once something is to be written. */
  constructor(parts: LogWriterParts, ports: LogWriterPorts, options: LogWriterOptions) {
    this.#options = options;
    this.#parts = parts;
    this.#ports = ports;
    const earlyLeast = Math.min(earlyBytes.least, parts.supply.segmentBytes * earlyBytes.segmentShare);
    this.#earlyBytes = earlyLeast;
    const gather = new RecordGather();
    const onSync = (microseconds: number): void => {
      this.#syncsCount += 1;
      this.#earlyBytes = Math.max(earlyLeast, microseconds * earlyBytes.perSyncMicrosecond);
      options.onSync?.(microseconds);
    };
    this.#line = new SegmentLine({
      stream: options.stream,
      supply: parts.supply,
      writerOf: (begun, isReserved) => new SegmentWriter(begun, isReserved, { syncs: ports.smallSyncs, gather, onSync }),
      signal: this.#waitingForSegments.signal,
    });
    this.#claims = new LogClaims((room, who) => this.#fits(room, who));
    this.#records = new UnsettledRecords((writer, record) => {
      writer.settled(record);
      if (record.kind === 'tombstone') parts.table.addTombstone(record.segment);
    });
    this.#failures = new LogFailures(ports, options.stream, () => void this.#tryAgain());
    parts.supply.onReserve(() => this.#look());
  }

  /** Appended and not durable. */
  get unsyncedBytes(): number {
    return this.#records.unsyncedBytes;
  }

  /** The bound of `unsyncedBytes`, claims that were given out included. */
  get unsyncedBytesMax(): number {
    return Math.min(unsyncedBytesMost, this.#parts.supply.segmentBytes);
  }

  /** Claims in line. */
  get waiting(): number {
    return this.#claims.waiting;
  }

  /** Since the start, those that succeeded. */
  get syncsCount(): number {
    return this.#syncsCount;
  }

  /** The most that may be claimed at once. */
  get claimBytesMax(): number {
    return Math.min(gatheredBytesMax, this.#parts.supply.segmentBytes * claimShare);
  }

  /**
   * Room for records of so many bytes in all, at most `claimBytesMax`, which need not be appended together; a promise only
   * where it has to be waited for. `internal` comes before `external` and has room that is kept for it.
   * @throws CacheError `busy` (10,000 wait), `disk_full` (nothing may go), `unavailable`, `cancelled`.
   */
  claim(recordBytes: number, who: Asker, options?: CallOptions): MaybePromise<RoomClaim> {
    assert(recordBytes > 0 && recordBytes <= this.claimBytesMax, 'a claim fits into a segment');
    const refusal = this.#isClosing ? closing() : this.#failures.refusal;
    if (refusal !== undefined) throw refusal;
    const claim = this.#claims.claim(recordBytes, who, options);
    if (isPromise(claim)) this.#look();
    return claim;
  }

  /**
   * Takes the bytes of the record from the claim. Place and number are given at once and never again; `settled` comes later,
   * once, in the order of the records. Never throws: where the log failed meanwhile, that is what `settled` tells, and the
   * place means nothing.
   */
  append(claim: RoomClaim, request: AppendRequest, settled?: Settled): Appended {
    const bytes = bytesOfRecord(request);
    if (!this.#claims.use(claim, bytes)) return this.#appendNowhere(bytes, this.#sequenceOf(request), settled);
    return this.#append(request, bytes, this.#claims.whoHas(claim), settled);
  }

  /** As `claim` of an `external` asker and `append` in one, where there is room and nobody in line; undefined: nothing was appended. */
  appendNow(request: AppendRequest, settled?: Settled): Appended | undefined {
    const bytes = bytesOfRecord(request);
    assert(bytes <= this.claimBytesMax, 'a record fits into a segment');
    return this.#claims.isFree(bytes, 'external') ? this.#append(request, bytes, 'external', settled) : undefined;
  }

  /** Resolves when all that was appended so far is durable. @throws CacheError `unavailable`, `disk_full`: some of it does not count. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#records.addMark((outcome) => {
        if (outcome.kind === 'durable') resolve();
        else reject(CacheError.from(outcome.cause));
      });
    });
  }

  /**
   * Seals the segment that is written to, if it has records; what is appended later goes to the next. Resolves when all
   * segments with records of before are sealed.
   * @throws CacheError `unavailable`, `disk_full`: it is not sealed.
   */
  async seal(): Promise<void> {
    const { tail, first } = this.#line;
    const isTail = tail !== undefined && tail.row.records > 0;
    const segment = isTail ? tail : first;
    if (segment === undefined || segment.row.records === 0) return;
    // What was claimed must find its place behind it.
    while (isTail && this.#line.tail === segment && !this.#line.fitsBehindTail(this.#claims.room)) await this.#line.ask('internal');
    if (isTail && this.#line.tail === segment) this.#line.moveOn();
    this.#flush();
    // What fails in front of it takes its records, and then it may be long until it ends.
    await this.durable();
    await segment.ended;
    if (segment.row.hasFailed) throw new CacheError('unavailable', 'a segment could not be sealed; the log of Kiln says why');
  }

  /** Refuses who comes and who waits, waits until claims that were given out are used, syncs and seals. Never rejects. */
  close(): Promise<void> {
    this.#isClosing = true;
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const who of askers) this.#claims.refuse(who, closing());
    this.#waitingForSegments.abort();
    await this.#claims.idle();
    await this.#line.idle();
    this.#failures.end();
    const { tail } = this.#line;
    if (tail !== undefined && tail.row.records > 0) this.#line.moveOn();
    this.#flush();
    while (this.#line.first !== undefined && this.#line.first.row.records > 0) await this.#line.first.ended;
    for (const empty of this.#line.takeEmpty()) {
      await empty.end();
      // A start would only seal it.
      await this.#parts.supply.giveBack(empty.row).catch((thrown: unknown) => this.#ports.log.warn('a segment without records stays', { reason: String(thrown) }));
    }
  }

  #append(request: AppendRequest, bytes: number, who: Asker, settled: Settled | undefined): Appended {
    const { kind, functionNumber, hash, instance, logicalBytes, usedAtS, payload, isPointer = false, copyOf } = request;
    const writer = this.#line.tailFor(bytes);
    const record: PlacedRecord = {
      segment: writer.row.ordinal, offset: writer.place(bytes), bytes, sequence: this.#sequenceOf(request), durableMark: 0,
      kind, functionNumber, isPointer, isCopy: copyOf !== undefined, hash, instance, logicalBytes, usedAtS,
      payload, payloadBytes: payload.byteLength, payloadCrc: copyOf?.payloadCrc ?? crc32(payload), // now: who hashed it left it in the cache of the processor
    };
    this.#records.add({ writer, record, isStrict: this.#options.durability === 'durable' || who === 'internal', settled });
    if (writer === this.#line.first && this.#records.unwrittenBytes >= (writer.isSyncing ? gatheredBytesMax : this.#earlyBytes)) this.#write(writer);
    this.#flushSoon();
    return record;
  }

  #sequenceOf({ copyOf, sequence }: AppendRequest): number {
    return copyOf?.sequence ?? sequence ?? this.#parts.sequences.take();
  }

  #fits(room: ClaimedRoom, who: Asker): boolean {
    // At the end nobody ends the segment that a lost claim would find.
    if (this.#isClosing || this.#failures.refusal !== undefined) return false;
    const kept = who === 'external' ? this.unsyncedBytesMax * internalShare : 0;
    return this.unsyncedBytes + room.bytes <= this.unsyncedBytesMax - kept && this.#line.fits(room, who);
  }

  /** Whatever changed: gives room to who waits, and asks for what is missing. */
  #look(): void {
    if (this.#failures.refusal !== undefined || this.#isClosing) return;
    this.#claims.serve();
    for (const who of askers) {
      const wanted = this.#claims.wanted(who);
      if (wanted === undefined || this.#line.fits(wanted, who)) continue;
      this.#ask(who);
      this.#line.hurry(who);
    }
    if (this.#isAskingAhead && this.#line.isShort(this.#claims.room.bytes)) this.#ask('external');
  }

  #ask(who: Asker): void {
    if (this.#line.isAsking(who)) return;
    const got = (): void => {
      this.#isAskingAhead = true;
      this.#look();
    };
    this.#line.ask(who).then(got, (thrown: unknown) => this.#notSupplied(who, CacheError.from(thrown)));
  }

  /** Who waits for it is told, but not who has room in what is there and waits for a sync; who comes next makes another try. */
  #notSupplied(who: Asker, error: CacheError): void {
    this.#isAskingAhead = false;
    if (error.kind === 'unavailable') this.#count('begin a segment', error);
    const wanted = this.#claims.wanted(who);
    if (wanted !== undefined && !this.#line.fits(wanted, who)) this.#claims.refuse(who, error);
    this.#look(); // somebody who fits may have stood behind them
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    void this.#ports.nextTurn().then(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  /** Writes what may be written now, and ends the segment that is over. */
  #flush(): void {
    const { first } = this.#line;
    if (first === undefined || first.isEnding) return;
    this.#write(first);
    if (this.#records.nextSegment === first) this.#flushSoon();
    else if (this.#line.isFirstOver && !first.isEnding) void this.#finish(first);
    this.#look();
  }

  /** Nobody is told anything before the turn is over: this may be a part of somebody's `append`. */
  #write(segment: SegmentWriter): void {
    if (segment.isEnding) return;
    const records = this.#records.takeFor(segment, gatheredBytesMax);
    if (records.length === 0) return;
    const { writtenEnd: writtenBefore } = segment;
    try {
      segment.write(records);
    } catch (cause) {
      segment.isEnding = true;
      void Promise.resolve().then(() => this.#failed(segment, cause));
      return;
    }
    this.#options.onWritten?.(segment.row, records);
    const { writtenEnd } = segment;
    this.#records.wrote(writtenEnd - writtenBefore);
    const { writtenBytes } = this.#records;
    segment.whenDurable((outcome) => {
      if (segment !== this.#line.first) return; // given up meanwhile, with all that was written to it
      if (outcome.kind === 'failed') this.#failed(segment, outcome.cause);
      else this.#synced(segment, writtenBytes, writtenEnd);
    });
    if (this.#options.durability === 'relaxed') void Promise.resolve().then(() => this.#records.settle());
  }

  #synced(segment: SegmentWriter, writtenBytes: number, writtenEnd: number): void {
    this.#failures.succeeded();
    segment.row.durableOffset = writtenEnd;
    this.#records.madeDurable(writtenBytes);
    this.#options.onGrown?.(segment.row);
    this.#look();
  }

  /** All that is not settled fails with it: what stands behind could be durable, and what it builds on not. */
  #failed(segment: SegmentWriter, cause: unknown): void {
    if (segment !== this.#line.first) return;
    segment.giveUp();
    this.#line.dropFailed();
    this.#claims.makeVoid();
    void segment.end();
    this.#records.fail(this.#count('write the log', cause));
    this.#look();
  }

  #count(doing: string, cause: unknown): CacheError {
    const error = this.#failures.count(doing, cause);
    if (this.#failures.refusal !== undefined) for (const who of askers) this.#claims.refuse(who, error);
    return error;
  }

  /** A segment that is begun shows whether the disk works again. */
  async #tryAgain(): Promise<void> {
    try {
      if (this.#line.tail === undefined) await this.#line.ask('internal');
    } catch (thrown) {
      this.#count('begin a segment', thrown);
      return;
    }
    this.#failures.accept();
    this.#look();
  }

  /** The first segment has all its records: once they are durable it gets its seal, and only then the next is written. */
  async #finish(segment: SegmentWriter): Promise<void> {
    segment.isEnding = true;
    if (segment.row.durableOffset < segment.row.endOffset) await segment.durable();
    if (segment !== this.#line.first) return; // it has failed
    const sequence = this.#parts.sequences.take();
    const outcome = await segment.seal(sequence);
    this.#line.dropFirst();
    void segment.end();
    if (outcome.kind === 'durable') {
      this.#failures.succeeded();
      this.#options.onSealed?.(segment.row, sequence);
    } else this.#count('seal a segment', outcome.cause); // all of its records are durable: nothing else is lost
    this.#flush();
  }

  /** The claim was lost with the segment that failed, and there is no other room. */
  #appendNowhere(bytes: number, sequence: number, settled: Settled | undefined): Appended {
    const { lastFailed } = this.#line;
    assert(lastFailed !== undefined, 'a claim is lost with a segment');
    this.#records.addLost(new CacheError('unavailable', 'the store cannot write its log: what was claimed in it was lost when the disk failed'), settled);
    void Promise.resolve().then(() => this.#records.settle());
    return { segment: lastFailed.ordinal, offset: lastFailed.endOffset, bytes, sequence };
  }
}

function closing(): CacheError {
  return new CacheError('unavailable', 'the store is closing');
}
