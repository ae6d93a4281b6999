// Gives up segments and files, as eviction decides, and keeps count of what that brings: where everything is promised, or the disk
// removes nothing, the same is not tried for ever.
import { assertNever } from '../base/assert.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { EvictionJournal } from './eviction-journal.ts';
import type { EvictionStep, RecycleReason } from './eviction-policy.ts';
import type { FileVictims } from './file-victims.ts';
import { FruitlessRounds } from './fruitless-rounds.ts';
import type { LeaseBook } from './lease-book.ts';
import type { GivenUp, GiveUpLimits } from './recycle-step.ts';
import type { RoomPatience } from './room-patience.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';
import type { EvictionView, StorePressure } from './store-pressure.ts';

export interface GivingUpPorts {
  readonly table: SegmentTable;
  readonly victims: Pick<FileVictims, 'find' | 'evict'>;
  readonly leases: LeaseBook;
  readonly journal: EvictionJournal;
  /** See SegmentSupply, SegmentRecycler, LogWriter. */
  readonly supply: { readonly segmentBytes: number };
  readonly recycler: { giveUp(row: SegmentRow, limits?: GiveUpLimits): Promise<GivenUp> };
  readonly writers: Readonly<Record<'blob' | 'value', { seal(): Promise<void> }>>;
  readonly nowS: () => number;
  readonly monotonicClock: MonotonicClock;
}

/** So many files in a row could not be removed: then something else goes. */
const failedFilesMax = 64;
/** After a removal has failed no file is tried for so long, and for twice as long after each that follows: each try takes one out of service. */
const fileRestMs = { first: 500, most: 60_000 } as const;

export class GivingUp {
  readonly #ports: GivingUpPorts;
  readonly #pressure: StorePressure;
  readonly #patience: RoomPatience;
  /** Of segments given up for room, and for the number of entries. */
  readonly #roomRounds = new FruitlessRounds();
  readonly #countRounds = new FruitlessRounds();
  /** Of records that nothing counts on any more, since that was a segment. */
  #gainedBytes = 0;
  /** Files that were used, pinned or gone when they were to go, in a row. */
  #failedFiles = 0;
  /** What the last removal failed with; undefined: it did not. */
  #failure: { readonly cause: unknown; readonly restMs: number; readonly untilMs: number } | undefined;

  constructor(ports: GivingUpPorts, pressure: StorePressure, patience: RoomPatience) {
    this.#ports = ports;
    this.#pressure = pressure;
    this.#patience = patience;
  }

  /** What the last removal of a file failed with, for as long as none is tried for that. */
  get fileFailure(): { readonly cause: unknown } | undefined {
    return this.#failure !== undefined && this.#ports.monotonicClock.nowMs() < this.#failure.untilMs ? this.#failure : undefined;
  }

  /** Whoever looks what must go begins anew. */
  begin(): void {
    this.#failedFiles = 0;
  }

  /** @param needsFile whether a file may have to go: then one is looked for. */
  async view(needsFile: boolean): Promise<EvictionView> {
    const { table, victims, leases, nowS } = this.#ports;
    const segments = table.countOf('blob') + table.countOf('value');
    const leaseFloorS = leases.leaseFloorS(nowS());
    const mayTry = this.#failedFiles < failedFilesMax && this.fileFailure === undefined;
    const victim = needsFile && mayTry ? await victims.find(leaseFloorS, this.#pressure.ageFloorS(nowS())) : undefined;
    return {
      leaseFloorS,
      candidateUseS: victim?.usedAtS,
      isFruitless: this.#roomRounds.isFruitless(segments, leaseFloorS),
      isCountFruitless: this.#countRounds.isFruitless(segments, leaseFloorS),
    };
  }

  /** There is more that may go than before. */
  wonRoom(): void {
    this.#roomRounds.won();
    this.#gainedBytes = 0;
  }

  async deadSegment(): Promise<void> {
    const row = this.#pressure.deadSegment();
    if (row !== undefined) await this.#recycle(row, {});
  }

  /** The oldest of the stream; the one that is written to is sealed before, where it is the only one. */
  async oldestSegment({ stream, reason }: Extract<EvictionStep, { kind: 'recycle' }>): Promise<void> {
    const { table, writers, nowS } = this.#ports;
    const row = table.oldest(stream);
    if (row?.state === 'open') await this.#patience.patiently(writers[stream].seal());
    if (row === undefined || row.state === 'open') return;
    const { droppedCount } = await this.#recycle(row, this.#recycleLimits(reason, nowS()));
    if (reason === 'count') this.#noteCount(droppedCount);
  }

  /** The file that was found last. Where the disk refuses, that is kept for a while as `fileFailure`, and something else may go. */
  async file(): Promise<void> {
    const { victims, leases, journal, nowS } = this.#ports;
    leases.reportShortened(nowS());
    try {
      const evicted = await this.#patience.patiently(victims.evict(leases.leaseFloorS(nowS())));
      this.#failedFiles += 1;
      if (evicted === undefined) return;
      journal.evicted('file', evicted.sizeBytes, evicted.usedAtS, () => evicted.digest);
    } catch (thrown) {
      this.#rest(thrown);
      return;
    }
    this.#failedFiles = 0;
    this.#failure = undefined;
    this.wonRoom();
    this.#countRounds.won();
  }

  #rest(cause: unknown): void {
    const restMs = this.#failure === undefined ? fileRestMs.first : Math.min(fileRestMs.most, this.#failure.restMs * 2);
    this.#failure = { cause, restMs, untilMs: this.#ports.monotonicClock.nowMs() + restMs };
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
    const given = await this.#patience.patiently(recycler.giveUp(row, { ...limits, signal: this.#patience.closing }));
    // What is behind the records is no room: there will be as much behind the copies.
    this.#gainedBytes += Math.max(0, recordsBytes - given.copiedBytes);
    this.#roomRounds.lost();
    if (this.#gainedBytes >= supply.segmentBytes) this.wonRoom();
    return given;
  }

  #noteCount(droppedCount: number): void {
    if (droppedCount > 0) this.#countRounds.won();
    else this.#countRounds.lost();
  }
}
