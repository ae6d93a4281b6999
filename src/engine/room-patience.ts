// What becomes of those who wait for room while what would make it takes its time, and when nothing may go any more: they are kept
// waiting as long as something comes free by itself, promises are broken where that is allowed, and in the end they are told why.
import type { CacheError } from '../base/cache-error.ts';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import { BoundedWaits } from './bounded-waits.ts';
import type { LeaseBook } from './lease-book.ts';
import type { RoomLine } from './room-line.ts';
import { closing, deletionsHang, floorIsLost, hardToGiveUp, heldByWrites, storeIsFull, tooLargeForDisk } from './room-refusals.ts';
import type { SpaceLedger } from './space-ledger.ts';
import type { StorePressure } from './store-pressure.ts';

export interface RoomPatiencePorts {
  readonly ledger: SpaceLedger;
  readonly leases: LeaseBook;
  /** See SegmentSupply, Trash. */
  readonly supply: { readonly keptBytes: number };
  readonly trash: { onFreed(freed: () => void): Disposable };
  readonly nowS: () => number;
  readonly monotonicClock: MonotonicClock;
  readonly timers: Timers;
}

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

export class RoomPatience {
  readonly #ports: RoomPatiencePorts;
  readonly #line: RoomLine;
  readonly #pressure: StorePressure;
  readonly #waits: BoundedWaits;
  readonly #closing = new AbortController();
  /** How often deletions were waited for since the disk has given anything back, or somebody was refused. */
  #trashWaits = 0;
  /** How often it was waited for what comes free by itself since somebody was served, or refused. */
  #busyWaits = 0;
  #servedBefore = 0;
  /** Leases are shortened until then; Infinity: they are not. */
  #shortUntilMs = Infinity;

  constructor(ports: RoomPatiencePorts, line: RoomLine, pressure: StorePressure) {
    this.#ports = ports;
    this.#line = line;
    this.#pressure = pressure;
    this.#waits = new BoundedWaits(ports.timers);
  }

  /** Aborted at the end. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Refuses who waits, and ends every wait. */
  close(): void {
    this.#closing.abort();
    this.#waits.close();
    this.refuseAll(closing());
  }

  /** Whoever waits for room is not kept waiting by a read, a removal or a disk that does not end. Settles as `giving`. */
  async patiently<T>(giving: Promise<T>): Promise<T> {
    let isDone = false;
    const mark = (): void => void (isDone = true);
    const done = giving.then(mark, mark); // what it failed with is told by `giving` alone
    for (;;) {
      await this.#waits.pass(patienceMs, done);
      if (isDone || this.#closing.signal.aborted) return giving;
      this.refuseAll(hardToGiveUp());
    }
  }

  async waitForTrash(): Promise<void> {
    const freed = Promise.withResolvers<void>();
    this.#trashWaits += 1;
    using _heard = this.#ports.trash.onFreed(() => {
      this.#trashWaits = 0;
      freed.resolve();
    });
    await this.#waits.pass(trashWaitMs, freed.promise);
    if (this.#trashWaits >= trashWaitsMax) this.refuseAll(deletionsHang(this.#ports));
  }

  /**
   * All that is left is promised. What is deleted and still read comes free by itself: that is waited for first, for a while. True:
   * leases are shorter now. Else it was waited, or whoever waits was refused.
   */
  async breakPromises(): Promise<boolean> {
    const { leases, nowS } = this.#ports;
    const missingBytes = this.#missingBytes();
    if (missingBytes > 0 && missingBytes <= this.#deletedBytes() && (await this.#waitABit())) return false;
    if (!leases.shorten(nowS())) {
      await this.#refuse();
      return false;
    }
    this.#shortUntilMs = this.#ports.monotonicClock.nowMs() + shortLeasesMs;
    return true;
  }

  /** Leases that had to be made short are as long again as they were promised. */
  restoreLeases(): void {
    this.#shortUntilMs = Infinity;
    this.#ports.leases.restore();
  }

  /** As `restoreLeases`, once they have been short for a while. */
  restoreDueLeases(): void {
    if (this.#ports.monotonicClock.nowMs() >= this.#shortUntilMs) this.restoreLeases();
  }

  refuseAll(reason: CacheError): void {
    // Who comes next is waited for as long.
    this.#busyWaits = 0;
    this.#trashWaits = 0;
    this.#line.refuseAll(reason);
  }

  /** The disk may have less room than the store may take: then all of it could go, and who is first would still not fit. */
  refuseTooLarge(): void {
    const { ledger } = this.#ports;
    if (ledger.isFloorLost) this.refuseAll(floorIsLost(ledger));
    // What writes under way have written is missing in the bound until it is settled.
    const mostBytes = Math.max(0, ledger.boundBytes + ledger.reservedBytes - this.#pressure.fixedBytes());
    for (let bytes = this.#line.firstFileBytes; bytes > mostBytes; bytes = this.#line.firstFileBytes) {
      this.#line.refuseFirstFile(tooLargeForDisk(bytes, ledger));
    }
  }

  /** Nothing more can go. What comes free by itself is waited for, for a while. */
  async #refuse(): Promise<void> {
    const missingBytes = this.#missingBytes();
    if (missingBytes > this.#deletedBytes()) this.refuseAll(storeIsFull(this.#ports));
    else if (!(await this.#waitABit())) this.refuseAll(missingBytes > 0 ? deletionsHang(this.#ports) : heldByWrites());
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
}
