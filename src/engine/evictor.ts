// Makes room: carries out what the policy of eviction says, one step at a time, off the path of requests, and gives room to
// those who wait in the order in which they came, so that a small write does not overtake a large one, which would never get its room.
import { assertNever } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock, NextTurn, Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { ReportLimit } from '../base/report-limit.ts';
import { BoundedWaits } from './bounded-waits.ts';
import type { EvictionJournal } from './eviction-journal.ts';
import { nextEviction } from './eviction-policy.ts';
import type { EvictionStep, RecycleReason } from './eviction-policy.ts';
import type { FileVictims } from './file-victims.ts';
import { FruitlessRounds } from './fruitless-rounds.ts';
import type { LeaseBook } from './lease-book.ts';
import type { GivenUp, GiveUpLimits } from './recycle-step.ts';
import { RoomLine } from './room-line.ts';
import { closing, deletionsHang, hardToGiveUp, heldByWrites, neverFits, storeIsFull, tooLargeForDisk } from './room-refusals.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';
import { SlowWaits } from './slow-waits.ts';
import type { SpaceReservation } from './space-ledger.ts';
import { StorePressure } from './store-pressure.ts';
import type { EvictionLimits, PressureParts } from './store-pressure.ts';

export interface EvictorPorts extends PressureParts {
  readonly victims: Pick<FileVictims, 'find' | 'evict'>;
  readonly leases: LeaseBook;
  readonly journal: EvictionJournal;
  /** See SegmentSupply, SegmentRecycler, LogWriter, Trash, Uploads. */
  readonly supply: PressureParts['supply'] & { dropFree(): boolean; refill(): void };
  readonly recycler: { giveUp(row: SegmentRow, limits?: GiveUpLimits): Promise<GivenUp> };
  readonly writers: Readonly<Record<'blob' | 'value', { seal(): Promise<void> }>>;
  readonly trash: PressureParts['trash'] & { onFreed(freed: () => void): Disposable };
  readonly uploads: PressureParts['uploads'] & { giveUpOldest(): Promise<boolean> };
  /** Of the disk, at the moment. */
  readonly freeBytes: () => Promise<number>;
  readonly nowS: () => number;
  readonly monotonicClock: MonotonicClock;
  readonly timers: Timers;
  readonly nextTurn: NextTurn;
  readonly log: Log;
}

/** For one segment. */
export interface SegmentOptions extends CallOptions {
  /** Aborted once somebody waits for it; not given: somebody does. It may be asked for ahead. */
  readonly urgent?: AbortSignal;
}

/** K1-07: how old a look at the disk may be, as long as there is room; and how often age and count are looked at. */
const lookMs = 5_000;
/** How long deletions are waited for before it is looked what else there is; so often without any, and who waits is told to come again. */
const trashWaitMs = 500;
const trashWaitsMax = 20;
/** How long room that deletions or writes under way will give back is waited for: so often, so long. */
const busyWaitsMax = 20;
const busyWaitMs = 100;
/** So long leases stay as short as they had to be made, while writers never stop; then it is looked again what must go. */
const shortLeasesMs = 10_000;
/** For one segment or file; then who waits is told to come again. */
const patienceMs = 10_000;
/** Of lines about failures. */
const reportPeriodMs = 60_000;
/** So many files in a row could not be removed: then something else goes. */
const failedFilesMax = 64;

export class Evictor {
  readonly #ports: EvictorPorts;
  readonly #pressure: StorePressure;
  readonly #line: RoomLine;
  readonly #reports: ReportLimit;
  readonly #slowWaits: SlowWaits;
  #running: Promise<void> | undefined;
  #timer: Disposable | undefined;
  #closed = false;
  readonly #closing = new AbortController();
  readonly #waits: BoundedWaits;
  #isDiskKnown = false;
  /** How often deletions were waited for since the disk has given anything back, or somebody was refused. */
  #trashWaits = 0;
  /** Of segments given up for room, and for the number of entries. */
  readonly #roomRounds = new FruitlessRounds();
  readonly #countRounds = new FruitlessRounds();
  /** Of records that nothing counts on any more, since that was a segment. */
  #gainedBytes = 0;
  /** How often it was waited for what comes free by itself since somebody was served, or refused. */
  #busyWaits = 0;
  #servedBefore = 0;
  /** Files that could not be removed, in a row. */
  #failedFiles = 0;
  /** Leases are shortened until then; Infinity: they are not. */
  #shortUntilMs = Infinity;

  constructor(ports: EvictorPorts, limits: EvictionLimits) {
    this.#ports = ports;
    this.#pressure = new StorePressure(ports, limits);
    this.#line = new RoomLine(ports.ledger, ports.supply);
    this.#reports = new ReportLimit(ports.monotonicClock, reportPeriodMs);
    this.#slowWaits = new SlowWaits(ports);
    this.#waits = new BoundedWaits(ports.timers);
  }

  /** Looks now, and from now on every five seconds. */
  start(): void {
    this.#isDiskKnown = false;
    this.trim();
    this.#timer = this.#ports.timers.after(lookMs, () => this.start());
  }

  /** In line for room. */
  get waiting(): number {
    return this.#line.count;
  }

  /**
   * Room for so many bytes on the disk, at once when there is some and nobody waits; else in the order of asking.
   * @throws CacheError `disk_full` (can never fit, or nothing may go), `busy` (writes under way or deletions hold the room, or too
   *   many wait), `unavailable` (nothing can be given up), `cancelled`.
   */
  reserve(bytes: number, options?: CallOptions): MaybePromise<SpaceReservation> {
    const { ledger } = this.#ports;
    const room = this.#line.count === 0 ? ledger.tryReserve(bytes) : undefined;
    if (room !== undefined) {
      if (this.#pressure.isLow()) this.trim();
      return room;
    }
    // Before anything goes for what can never fit.
    if (bytes > ledger.maxBytes - this.#pressure.fixedBytes()) throw neverFits(bytes, ledger);
    const waiting = this.#line.wait(bytes, options);
    this.#slowWaits.note('file', waiting);
    this.trim();
    return waiting;
  }

  /**
   * A file for a segment: resolves when the supply has a free one, or there is room for a new one. In line with `reserve`.
   * @throws as `reserve`.
   */
  async freeSegment(options?: SegmentOptions): Promise<SpaceReservation | 'free'> {
    const { supply, ledger } = this.#ports;
    this.trim(); // looks behind this turn
    // What is free is for segments alone: who waits for other room does not wait for it.
    if (this.#line.segmentCount === 0 && supply.freeCount > 0) return 'free';
    const room = this.#line.count === 0 ? ledger.tryReserve(supply.segmentBytes) : undefined;
    if (room !== undefined) return room;
    const waiting = this.#line.waitForSegment(options);
    this.#slowWaits.note('segment', waiting, () => options?.urgent?.aborted !== false);
    return waiting;
  }

  /** Looks whether something must go, by bytes, age, count or the disk; in the background. */
  trim(): void {
    if (this.#closed) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#line.count > 0) this.trim(); // came after the last look, while this still seemed to run
    });
  }

  /** Resolves when no eviction is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Refuses who waits, and ends with the step that is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.abort();
    this.#waits.close();
    this.#timer?.[Symbol.dispose]();
    this.#refuseAll(closing());
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // a request is answered first
    try {
      this.#failedFiles = 0;
      for (let step = await this.#next(); !this.#isDone(step); step = await this.#next()) {
        await this.#take(step);
        await this.#ports.nextTurn();
      }
      this.#restoreLeases();
    } catch (thrown) {
      this.#refuseAll(new CacheError('unavailable', 'no room can be made: giving up what is stored failed', { cause: thrown }));
      if (!this.#closed && this.#reports.next() !== undefined) this.#ports.log.error('no room can be made: giving up what is stored failed', thrown);
    }
  }

  /** Who waits is served as far as the room reaches, and whoever is first then decides how much is needed. */
  async #next(): Promise<EvictionStep> {
    await this.#lookAtDisk();
    while (this.#line.serve()) await this.#ports.nextTurn();
    if (this.#line.count === 0) this.#ports.supply.refill();
    this.#refuseTooLarge();
    if (this.#closed) return { kind: 'enough' };
    const { table, victims, leases, nowS } = this.#ports;
    if (this.#ports.monotonicClock.nowMs() >= this.#shortUntilMs) this.#restoreLeases();
    const segments = table.countOf('blob') + table.countOf('value');
    const leaseFloorS = leases.leaseFloorS(nowS());
    const firstBytes = this.#line.firstBytes;
    const victim = this.#pressure.needsFile(firstBytes) ? await victims.find(leaseFloorS) : undefined;
    const candidateUseS = this.#failedFiles < failedFilesMax ? victim?.usedAtS : undefined;
    const isFruitless = this.#roomRounds.isFruitless(segments, leaseFloorS);
    const isCountFruitless = this.#countRounds.isFruitless(segments, leaseFloorS);
    return nextEviction(this.#pressure.state(firstBytes, { leaseFloorS, candidateUseS, isFruitless, isCountFruitless }));
  }

  /** For the low watermark alone no lease is shortened. */
  #isDone({ kind }: EvictionStep): boolean {
    return kind === 'enough' || this.#closed || (kind === 'all_leased' && this.#line.count === 0);
  }

  async #take(step: EvictionStep): Promise<void> {
    const { supply, uploads } = this.#ports;
    switch (step.kind) {
      case 'enough':
        return;
      case 'drop_free':
        supply.dropFree();
        return;
      case 'wait_for_trash':
        await this.#waitForTrash();
        return;
      case 'recycle_dead': {
        const row = this.#pressure.deadSegment();
        if (row !== undefined) await this.#recycle(row, {});
        return;
      }
      case 'recycle':
        await this.#recycleOldest(step);
        return;
      case 'evict_file':
        await this.#evictFile();
        return;
      case 'give_up_upload':
        await this.#patiently(uploads.giveUpOldest());
        return;
      case 'all_leased':
        await this.#breakPromises();
        return;
      default:
        assertNever(step);
    }
  }

  async #recycleOldest({ stream, reason }: Extract<EvictionStep, { kind: 'recycle' }>): Promise<void> {
    const { table, writers, nowS } = this.#ports;
    const row = table.oldest(stream);
    if (row?.state === 'open') await writers[stream].seal();
    if (row === undefined || row.state === 'open') return;
    const { droppedCount } = await this.#recycle(row, this.#recycleLimits(reason, nowS()));
    if (reason === 'count') this.#noteCount(droppedCount);
  }

  #recycleLimits(reason: RecycleReason, nowS: number): GiveUpLimits {
    switch (reason) {
      case 'room': return {};
      case 'age': return { keepFromS: this.#pressure.ageFloorS(nowS) };
      case 'count': return { dropsMax: this.#pressure.excessCount() };
      case 'waste': return { dropsMax: 0 };
      default: return assertNever(reason);
    }
  }

  async #recycle(row: SegmentRow, limits: GiveUpLimits): Promise<GivenUp> {
    const { recycler, supply, leases, nowS } = this.#ports;
    leases.reportShortened(nowS());
    const recordsBytes = row.endOffset - segmentHeaderBytes;
    const given = await this.#patiently(recycler.giveUp(row, { ...limits, signal: this.#closing.signal }));
    // What is behind the records is no room: there will be as much behind the copies.
    this.#gainedBytes += Math.max(0, recordsBytes - given.copiedBytes);
    this.#roomRounds.lost();
    if (this.#gainedBytes >= supply.segmentBytes) this.#wonRoom();
    return given;
  }

  #noteCount(droppedCount: number): void {
    if (droppedCount > 0) this.#countRounds.won();
    else this.#countRounds.lost();
  }

  /** Whoever waits for room is not kept waiting by a read or a removal that does not end. */
  async #patiently<T>(giving: Promise<T>): Promise<T> {
    let isDone = false;
    const mark = (): void => void (isDone = true);
    const done = giving.then(mark, mark); // what it failed with is told by `giving` alone
    for (;;) {
      await this.#waits.pass(patienceMs, done);
      if (isDone || this.#closed) return giving;
      this.#refuseAll(hardToGiveUp());
    }
  }

  async #evictFile(): Promise<void> {
    const { victims, leases, journal, nowS } = this.#ports;
    leases.reportShortened(nowS());
    const evicted = await this.#patiently(victims.evict(leases.leaseFloorS(nowS())));
    this.#failedFiles += 1;
    if (evicted === undefined) return;
    this.#failedFiles = 0;
    journal.evicted('file', evicted.sizeBytes, evicted.usedAtS, () => evicted.digest);
    this.#wonRoom();
    this.#countRounds.won();
  }

  #wonRoom(): void {
    this.#roomRounds.won();
    this.#gainedBytes = 0;
  }

  async #waitForTrash(): Promise<void> {
    const freed = Promise.withResolvers<void>();
    this.#trashWaits += 1;
    using _heard = this.#ports.trash.onFreed(() => {
      this.#trashWaits = 0;
      freed.resolve();
    });
    await this.#waits.pass(trashWaitMs, freed.promise);
    if (this.#trashWaits >= trashWaitsMax) this.#refuseAll(deletionsHang(this.#ports));
  }

  /** All that is left is promised. What is deleted and still read comes free by itself: that is waited for first, for a while. */
  async #breakPromises(): Promise<void> {
    const { leases, nowS } = this.#ports;
    const missingBytes = this.#missingBytes();
    if (missingBytes > 0 && missingBytes <= this.#deletedBytes() && (await this.#waitABit())) return;
    if (!leases.shorten(nowS())) return this.#refuse();
    this.#shortUntilMs = this.#ports.monotonicClock.nowMs() + shortLeasesMs;
    this.#wonRoom();
  }

  #restoreLeases(): void {
    this.#shortUntilMs = Infinity;
    this.#ports.leases.restore();
  }

  /** Nothing more can go. What comes free by itself is waited for, for a while. */
  async #refuse(): Promise<void> {
    const missingBytes = this.#missingBytes();
    if (missingBytes > this.#deletedBytes()) this.#refuseAll(storeIsFull(this.#ports));
    else if (!(await this.#waitABit())) this.#refuseAll(missingBytes > 0 ? deletionsHang(this.#ports) : heldByWrites());
  }

  /** What must come free for who is first in line beside all that writes under way may give back. */
  #missingBytes(): number {
    const { ledger, supply } = this.#ports;
    return ledger.placedBytes + supply.keptBytes + (this.#line.firstBytes ?? 0) - ledger.boundBytes;
  }

  /** And is on the disk still. */
  #deletedBytes(): number {
    return this.#ports.ledger.bytesOf('trash');
  }

  /** False: it was waited for long enough since somebody was served. */
  async #waitABit(): Promise<boolean> {
    if (this.#servedBefore !== this.#line.servedCount) this.#busyWaits = 0;
    this.#servedBefore = this.#line.servedCount;
    if (this.#busyWaits >= busyWaitsMax) return false;
    this.#busyWaits += 1;
    await this.#waits.pass(busyWaitMs);
    return true;
  }

  #refuseAll(reason: CacheError): void {
    // Who comes next is waited for as long.
    this.#busyWaits = 0;
    this.#trashWaits = 0;
    this.#line.refuseAll(reason);
  }

  /** The disk may have less room than the store may take: then all of it could go, and who is first would still not fit. */
  #refuseTooLarge(): void {
    const { ledger } = this.#ports;
    // What writes under way have written is missing in the bound until it is settled.
    const mostBytes = Math.max(0, ledger.boundBytes + ledger.reservedBytes - this.#pressure.fixedBytes());
    for (let bytes = this.#line.firstFileBytes; bytes > mostBytes; bytes = this.#line.firstFileBytes) {
      this.#line.refuseFirstFile(tooLargeForDisk(bytes, ledger));
    }
  }

  /** While there is little room each time, else every five seconds. */
  async #lookAtDisk(): Promise<void> {
    if (this.#isDiskKnown && !this.#pressure.isLow() && this.#line.count === 0) return;
    this.#isDiskKnown = true;
    this.#ports.ledger.setFree(await this.#ports.freeBytes());
  }
}
