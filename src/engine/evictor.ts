// Makes room: carries out what the policy of eviction says, one step at a time, off the path of requests, and gives room to
// those who wait in the order in which they came, so that a small write does not overtake a large one, which would never get its room.
import { assertNever } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { NextTurn, Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { EvictionJournal } from './eviction-journal.ts';
import { nextEviction } from './eviction-policy.ts';
import type { EvictionState, EvictionStep, RecycleReason, StreamState } from './eviction-policy.ts';
import type { FileVictims } from './file-victims.ts';
import type { LeaseBook } from './lease-book.ts';
import type { LiveEntries } from './live-entries.ts';
import type { GivenUp, GiveUpLimits } from './recycle-step.ts';
import { RoomLine } from './room-line.ts';
import type { SpaceLedger, SpaceReservation } from './space-ledger.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';

export interface EvictorLimits {
  /** Kept free ahead of writes. */
  readonly lowWatermarkBytes: number;
  /** What was not used for so long goes, room or not. 0: no limit. */
  readonly ageMaxMs: number;
  /** Entries. 0: no limit. */
  readonly countMax: number;
  /** What segments of values may take while there is something else to evict, as a share of the store. */
  readonly valueShare: number;
}

export interface EvictorPorts {
  readonly ledger: SpaceLedger;
  readonly table: SegmentTable;
  readonly entries: Pick<LiveEntries, 'count' | 'meanUseS'>;
  readonly victims: Pick<FileVictims, 'find' | 'evict'>;
  readonly leases: LeaseBook;
  readonly journal: EvictionJournal;
  /** See SegmentSupply, SegmentRecycler, LogWriter, Trash. */
  readonly supply: { readonly freeCount: number; readonly segmentBytes: number; dropFree(): boolean };
  readonly recycler: { giveUp(row: SegmentRow, limits?: GiveUpLimits): Promise<GivenUp> };
  readonly writers: Readonly<Record<'blob' | 'value', { seal(): Promise<void> }>>;
  readonly trash: { idle(): Promise<void> };
  /** Of the disk, at the moment. */
  readonly freeBytes: () => Promise<number>;
  readonly nowS: () => number;
  readonly timers: Timers;
  readonly nextTurn: NextTurn;
  readonly log: Log;
}

/** K1-07: how old a look at the disk may be, as long as there is room; and how often age and count are looked at. */
const lookMs = 5_000;
/** What is being deleted and does not become less meanwhile is still being read: it is not waited for. */
const trashWaitMs = 500;
/** Once there are too many entries, so much more of them go at once: each time costs copies of part of a segment. */
const countSlackShare = 1 / 16;
/** After so much of leases has ended, what was all leased is looked at again. */
const fruitlessS = 60;
/** So many files in a row could not be removed: then something else goes. */
const failedFilesMax = 64;

export class Evictor {
  readonly #ports: EvictorPorts;
  readonly #limits: EvictorLimits;
  readonly #line: RoomLine;
  #running: Promise<void> | undefined;
  #timer: Disposable | undefined;
  #closed = false;
  #isDiskKnown = false;
  /** Trash that somebody reads. */
  #stuckTrashBytes = 0;
  /** Segments given up since there was last more room by it, and the room they gave. */
  #fruitless = 0;
  #gainedBytes = 0;
  /** Floor of leases when as many were fruitless as there are. */
  #fruitlessFloorS: number | undefined;
  /** Files that could not be removed, in a row. */
  #failedFiles = 0;

  constructor(ports: EvictorPorts, limits: EvictorLimits) {
    this.#ports = ports;
    this.#limits = limits;
    this.#line = new RoomLine(ports.ledger, ports.supply);
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
   * @throws CacheError `disk_full` (can never fit, or nothing may go), `busy` (writes under way hold the room, or too many wait),
   *   `unavailable` (nothing can be deleted), `cancelled`.
   */
  reserve(bytes: number, options?: CallOptions): MaybePromise<SpaceReservation> {
    const { ledger } = this.#ports;
    if (bytes > ledger.maxBytes) throw new CacheError('disk_full', `${bytes} bytes do not fit into a store of ${ledger.maxBytes} bytes (--max-size)`);
    const room = this.#line.count === 0 ? ledger.tryReserve(bytes) : undefined;
    if (room !== undefined && !this.#isLow()) return room;
    if (room === undefined) {
      const waiting = this.#line.wait(bytes, options);
      this.trim();
      return waiting;
    }
    this.trim();
    return room;
  }

  /**
   * A file for a segment: resolves when the supply has a free one, or there is room for a new one. In line with `reserve`.
   * @throws as `reserve`.
   */
  async freeSegment(options?: CallOptions): Promise<SpaceReservation | 'free'> {
    const { supply, ledger } = this.#ports;
    const isFirst = this.#line.count === 0;
    const room = isFirst && supply.freeCount === 0 ? ledger.tryReserve(supply.segmentBytes) : undefined;
    if (isFirst && supply.freeCount > 0) {
      this.trim();
      return 'free';
    }
    const waiting = room ?? this.#line.waitForSegment(options);
    this.trim();
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
    this.#timer?.[Symbol.dispose]();
    this.#line.refuseAll(new CacheError('unavailable', 'the store is closing'));
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
      this.#ports.leases.restore();
    } catch (thrown) {
      this.#line.refuseAll(new CacheError('unavailable', 'no room can be made: giving up what is stored failed', { cause: thrown }));
      this.#ports.log.error('nothing can be evicted', thrown);
    }
  }

  /** Who waits is served as far as the room reaches, and whoever is first then decides how much is needed. */
  async #next(): Promise<EvictionStep> {
    await this.#lookAtDisk();
    while (this.#line.serve()) await this.#ports.nextTurn();
    if (this.#closed) return { kind: 'enough' };
    return nextEviction(await this.#state());
  }

  /** For the low watermark alone no lease is shortened. */
  #isDone({ kind }: EvictionStep): boolean {
    return kind === 'enough' || this.#closed || (kind === 'all_leased' && this.#line.count === 0);
  }

  async #take(step: EvictionStep): Promise<void> {
    const { supply, table, leases, nowS } = this.#ports;
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
        const row = table.dead();
        if (row !== undefined) await this.#recycle(row, {});
        return;
      }
      case 'recycle':
        await this.#recycleOldest(step);
        return;
      case 'evict_file':
        await this.#evictFile();
        return;
      case 'all_leased':
        if (leases.shorten(nowS())) this.#wonRoom();
        else this.#refuse();
        return;
      default:
        assertNever(step);
    }
  }

  async #state(): Promise<EvictionState> {
    const { ledger, supply, table, victims, leases, nowS } = this.#ports;
    const now = nowS();
    const leaseFloorS = leases.leaseFloorS(now);
    const wantedBytes = this.#line.firstBytes;
    const neededBytes = ledger.usedBytes - ledger.boundBytes + (wantedBytes ?? this.#limits.lowWatermarkBytes - this.#spareBytes());
    const ageFloorS = this.#ageFloorS(now);
    const victim = neededBytes > 0 || this.#excessCount() > 0 || ageFloorS > -Infinity ? await victims.find(leaseFloorS) : undefined;
    const trashBytes = ledger.bytesOf('trash');
    this.#stuckTrashBytes = Math.min(this.#stuckTrashBytes, trashBytes);
    return {
      neededBytes,
      excessCount: this.#excessCount(),
      leaseFloorS,
      ageFloorS,
      blob: this.#stream('blob'),
      value: this.#stream('value'),
      valueBytesMax: this.#limits.valueShare * ledger.boundBytes,
      files: { bytes: ledger.bytesOf('files'), candidateUseS: this.#failedFiles < failedFilesMax ? victim?.usedAtS : undefined },
      leasedBytes: leases.leasedBytes(now),
      spareSegments: wantedBytes === undefined ? 0 : supply.freeCount,
      hasDeadSegment: table.dead() !== undefined,
      trashBytes: trashBytes - this.#stuckTrashBytes,
      isFruitless: this.#isFruitless(leaseFloorS),
    };
  }

  /** A whole round won nothing. It is tried again when a minute's leases have ended. */
  #isFruitless(leaseFloorS: number): boolean {
    const { table } = this.#ports;
    if (this.#fruitless <= table.countOf('blob') + table.countOf('value')) return false;
    this.#fruitlessFloorS ??= leaseFloorS;
    if (leaseFloorS < this.#fruitlessFloorS + fruitlessS) return true;
    this.#wonRoom();
    return false;
  }

  #stream(stream: 'blob' | 'value'): StreamState {
    const { table, entries } = this.#ports;
    let sealedCount = 0;
    for (const { state } of table.of(stream)) if (state !== 'open') sealedCount += 1;
    const { begunS, ordinal, records } = table.oldest(stream) ?? { begunS: 0, ordinal: -1, records: 0 };
    return { bytes: table.bytesOf(stream), liveBytes: table.liveBytesOf(stream), sealedCount, oldest: records === 0 ? undefined : { begunS, meanUseS: entries.meanUseS(ordinal) ?? begunS } };
  }

  #isLow(): boolean {
    const { ledger } = this.#ports;
    return ledger.usedBytes - this.#spareBytes() + this.#limits.lowWatermarkBytes > ledger.boundBytes;
  }

  /** Free files are room for the log, and become room for anything at once. */
  #spareBytes(): number {
    const { supply } = this.#ports;
    return supply.freeCount * supply.segmentBytes;
  }

  #ageFloorS(nowS: number): number {
    return this.#limits.ageMaxMs === 0 ? -Infinity : nowS - Math.ceil(this.#limits.ageMaxMs / 1_000);
  }

  #excessCount(): number {
    const { countMax } = this.#limits;
    const { count } = this.#ports.entries;
    return countMax === 0 || count <= countMax ? 0 : count - Math.ceil(countMax * (1 - countSlackShare));
  }

  async #recycleOldest({ stream, reason }: Extract<EvictionStep, { kind: 'recycle' }>): Promise<void> {
    const { table, writers, nowS } = this.#ports;
    const row = table.oldest(stream);
    if (row?.state === 'open') await writers[stream].seal();
    if (row === undefined || row.state === 'open') return;
    await this.#recycle(row, this.#recycleLimits(reason, nowS()));
  }

  #recycleLimits(reason: RecycleReason, nowS: number): GiveUpLimits {
    switch (reason) {
      case 'room': return {};
      case 'age': return { keepFromS: this.#ageFloorS(nowS) };
      case 'count': return { dropsMax: this.#excessCount() };
      case 'waste': return { dropsMax: 0 };
      default: return assertNever(reason);
    }
  }

  async #recycle(row: SegmentRow, limits: GiveUpLimits): Promise<void> {
    const { recycler, supply, leases, nowS } = this.#ports;
    leases.reportShortened(nowS());
    const { copiedBytes } = await recycler.giveUp(row, limits);
    this.#fruitless += 1;
    this.#gainedBytes += row.segmentBytes - copiedBytes;
    if (this.#gainedBytes >= supply.segmentBytes) this.#wonRoom();
  }

  async #evictFile(): Promise<void> {
    const { victims, leases, journal, nowS } = this.#ports;
    leases.reportShortened(nowS());
    const evicted = await victims.evict(leases.leaseFloorS(nowS()));
    this.#failedFiles += 1;
    if (evicted === undefined) return;
    this.#failedFiles = 0;
    journal.evicted('file', evicted.sizeBytes, evicted.usedAtS);
    this.#wonRoom();
  }

  #wonRoom(): void {
    this.#fruitless = 0;
    this.#gainedBytes = 0;
    this.#fruitlessFloorS = undefined;
  }

  async #waitForTrash(): Promise<void> {
    const { ledger, timers, trash } = this.#ports;
    const before = ledger.bytesOf('trash');
    const { promise: waited, resolve } = Promise.withResolvers<void>();
    using _timer = timers.after(trashWaitMs, resolve);
    await Promise.race([trash.idle(), waited]);
    if (ledger.bytesOf('trash') >= before) this.#stuckTrashBytes = before;
  }

  /** Nothing more can go. */
  #refuse(): void {
    const { ledger, leases } = this.#ports;
    const firstBytes = this.#line.firstBytes ?? 0;
    if (ledger.placedBytes + firstBytes <= ledger.boundBytes) {
      this.#line.refuseAll(RoomLine.busy('all room is taken by writes in progress'));
      return;
    }
    const { pinnedBytes } = leases;
    this.#line.refuseAll(new CacheError('disk_full', `the store is full (${ledger.usedBytes} of ${ledger.boundBytes} bytes) and nothing may go: all else is leased, or pinned (${pinnedBytes} bytes); raise --max-size or lower --lease`));
  }

  /** While there is little room each time, else every five seconds. */
  async #lookAtDisk(): Promise<void> {
    if (this.#isDiskKnown && !this.#isLow() && this.#line.count === 0) return;
    this.#isDiskKnown = true;
    this.#ports.ledger.setFree(await this.#ports.freeBytes());
  }
}
