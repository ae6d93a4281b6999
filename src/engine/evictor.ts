// Makes room: carries out what the policy of eviction says, one step at a time, off the path of requests, and gives room to
// those who wait in the order in which they came, so that a small write does not overtake a large one, which would never get its room.
import { assertNever } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { NextTurn } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { ReportLimit } from '../base/report-limit.ts';
import { unlessCancelled } from '../base/unless-cancelled.ts';
import { nextEviction } from './eviction-policy.ts';
import type { EvictionStep } from './eviction-policy.ts';
import { GivingUp } from './giving-up.ts';
import type { GivingUpPorts } from './giving-up.ts';
import { RoomLine } from './room-line.ts';
import { RoomPatience } from './room-patience.ts';
import type { RoomPatiencePorts } from './room-patience.ts';
import { floorIsLost, neverFits } from './room-refusals.ts';
import { SlowWaits } from './slow-waits.ts';
import type { SpaceReservation } from './space-ledger.ts';
import { StorePressure } from './store-pressure.ts';
import type { EvictionLimits, PressureParts } from './store-pressure.ts';

export interface EvictorPorts extends PressureParts, GivingUpPorts, RoomPatiencePorts {
  readonly leases: GivingUpPorts['leases'];
  /** See SegmentSupply, Trash, Uploads. */
  readonly supply: PressureParts['supply'] & { dropFree(): boolean; refill(): void };
  readonly trash: PressureParts['trash'] & RoomPatiencePorts['trash'];
  readonly uploads: PressureParts['uploads'] & { giveUpOldest(): Promise<boolean> };
  /** Of the disk, at the moment. */
  readonly freeBytes: () => Promise<number>;
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
/** Of lines about failures. */
const reportPeriodMs = 60_000;
export class Evictor {
  readonly #ports: EvictorPorts;
  readonly #pressure: StorePressure;
  readonly #line: RoomLine;
  readonly #reports: ReportLimit;
  readonly #slowWaits: SlowWaits;
  #running: Promise<void> | undefined;
  #timer: Disposable | undefined;
  readonly #patience: RoomPatience;
  readonly #givingUp: GivingUp;
  #closed = false;
  #isDiskKnown = false;

  constructor(ports: EvictorPorts, limits: EvictionLimits) {
    this.#ports = ports;
    this.#pressure = new StorePressure(ports, limits);
    this.#line = new RoomLine(ports.ledger, ports.supply);
    this.#reports = new ReportLimit(ports.monotonicClock, reportPeriodMs);
    this.#slowWaits = new SlowWaits(ports);
    this.#patience = new RoomPatience(ports, this.#line, this.#pressure);
    this.#givingUp = new GivingUp(ports, this.#pressure, this.#patience);
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

  /**
   * For who writes where the floor of the disk is lost, and needs no room of its own: the disk is looked at once more.
   * @throws CacheError `disk_full`, `unavailable`, `cancelled`.
   */
  async checkFloor(options?: CallOptions): Promise<void> {
    const { ledger, freeBytes } = this.#ports;
    ledger.setFree(await unlessCancelled(freeBytes(), 'it was looked whether the disk has room again', options), this.#pressure.fixedBytes());
    if (ledger.isFloorLost) throw floorIsLost(ledger);
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
    this.#patience.close();
    this.#timer?.[Symbol.dispose]();
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // a request is answered first
    try {
      this.#givingUp.begin();
      for (let step = await this.#next(); !this.#isDone(step); step = await this.#next()) {
        await this.#take(step);
        await this.#ports.nextTurn();
      }
      this.#patience.restoreLeases();
    } catch (thrown) {
      this.#patience.refuseAll(new CacheError('unavailable', 'no room can be made: giving up what is stored failed', { cause: thrown }));
      this.#report(thrown);
    }
  }

  /** Who waits is served as far as the room reaches, and whoever is first then decides how much is needed. */
  async #next(): Promise<EvictionStep> {
    await this.#lookAtDisk();
    while (this.#line.serve()) await this.#ports.nextTurn();
    if (this.#line.count === 0) this.#ports.supply.refill();
    this.#patience.refuseTooLarge();
    if (this.#closed) return { kind: 'enough' };
    this.#patience.restoreDueLeases();
    const { firstBytes } = this.#line;
    const view = await this.#givingUp.view(this.#pressure.needsFile(firstBytes));
    return nextEviction(this.#pressure.state(firstBytes, view));
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
        await this.#patience.waitForTrash();
        return;
      case 'recycle_dead':
        await this.#givingUp.deadSegment();
        return;
      case 'recycle':
        await this.#givingUp.oldestSegment(step);
        return;
      case 'evict_file':
        await this.#givingUp.file();
        if (this.#givingUp.fileFailure !== undefined) this.#report(this.#givingUp.fileFailure.cause);
        return;
      case 'give_up_upload':
        await this.#patience.patiently(uploads.giveUpOldest());
        return;
      case 'all_leased':
        await this.#breakPromises();
        return;
      default:
        assertNever(step);
    }
  }

  #report(thrown: unknown): void {
    if (!this.#closed && this.#reports.next() !== undefined) this.#ports.log.error('no room can be made: giving up what is stored failed', thrown);
  }

  /** @throws what removing a file has failed with: as long as that lasts, nothing is known to be promised. */
  async #breakPromises(): Promise<void> {
    const { fileFailure } = this.#givingUp;
    if (fileFailure !== undefined) throw fileFailure.cause;
    if (await this.#patience.breakPromises()) this.#givingUp.wonRoom();
  }

  /** While there is little room each time, else every five seconds. */
  async #lookAtDisk(): Promise<void> {
    if (this.#isDiskKnown && !this.#pressure.isLow() && this.#line.count === 0) return;
    this.#isDiskKnown = true;
    this.#ports.ledger.setFree(await this.#patience.patiently(this.#ports.freeBytes()), this.#pressure.fixedBytes());
  }
}
