// A store of some segments and files for tests of eviction: a log in memory, a real ledger, and the real recycler, victims and leases.
import { createHash } from 'node:crypto';
import { EvictionJournal } from '../engine/eviction-journal.ts';
import { Evictor } from '../engine/evictor.ts';
import { FileVictims } from '../engine/file-victims.ts';
import { KeyWords } from '../engine/key-words.ts';
import { LeaseBook } from '../engine/lease-book.ts';
import { SegmentRecycler } from '../engine/segment-recycler.ts';
import { SieveOrder } from '../engine/sieve-order.ts';
import { SpaceLedger } from '../engine/space-ledger.ts';
import type { EvictionLimits } from '../engine/store-pressure.ts';
import { HandSyncedLog } from './hand-synced-log.ts';
import { ManualClock } from './manual-clock.ts';
import { RecordedLog } from './recorded-log.ts';

export const segmentBytes = 65_536;
export const fileBytes = 32_768;
export const leaseS = 3_200;
const noLimits: EvictionLimits = { lowWatermarkBytes: 0, ageMaxMs: 0, countMax: 0, valueShare: 1 };

export function hashOf(name: string): Uint8Array {
  return createHash('sha256').update(name).digest();
}

export function keyOf(name: string): KeyWords {
  const key = new KeyWords();
  key.setBytes(4, hashOf(name));
  return key;
}

export interface EvictionRigOptions {
  readonly maxBytes?: number;
  readonly limits?: Partial<EvictionLimits>;
  readonly leases?: 'shorten' | 'strict';
}

/** A store of some segments and files, whose bytes are counted as those of a real one are. */
export class EvictionRig {
  readonly clock = new ManualClock(1_600_000_000_000);
  readonly log = new HandSyncedLog({ segmentBytes, leaseS, nowS: () => this.nowS });
  readonly lines = new RecordedLog();
  readonly order = new SieveOrder();
  readonly ledger: SpaceLedger;
  readonly leases: LeaseBook;
  readonly journal = new EvictionJournal({ monotonicClock: this.clock, log: this.lines, nowS: () => this.nowS });
  readonly evictor: Evictor;
  freeCount = 0;
  /** Of those that are free, for copies and commits alone. */
  reservedCount = 0;
  /** Files for segments that the log will need soon. */
  stockCount = 0;
  refills = 0;
  /** Of the disk, ours included. */
  diskBytes = Infinity;
  turns = 0;
  deletesAtOnce = true;
  readonly #listeners = new Set<() => void>();
  /** Somebody reads all that is deleted. */
  isTrashRead = false;
  /** Of uploads that nobody writes to, all in one. */
  idleUploadsBytes = 0;
  removeFails = false;
  /** How often a file was to be removed. */
  removals = 0;
  /** What a look at the disk, and the sealing of a segment, wait for. */
  diskAnswers = Promise.resolve();
  sealing = Promise.resolve();

  constructor({ maxBytes = 8 * segmentBytes, limits = {}, leases = 'shorten' }: EvictionRigOptions = {}) {
    this.ledger = new SpaceLedger({ maxBytes, diskFloorBytes: 1_000 });
    this.leases = new LeaseBook({ ages: this.log.ages, ledger: this.ledger, monotonicClock: this.clock, log: this.lines }, { leases });
    const { table, entries, logs, store } = this.log;
    const nowS = () => this.nowS;
    const nextTurn = () => {
      this.turns += 1;
      return new Promise<void>((resolve) => void setImmediate(resolve));
    };
    const victims = new FileVictims({ order: this.order, entries, leases: this.leases, nowS, nextTurn, files: { isHeld: () => false, remove: (slot) => this.#remove(slot) } });
    const wantedCount = () => this.stockCount;
    const freeCount = () => Math.max(0, this.freeCount - this.reservedCount);
    const supply = {
      segmentBytes,
      keptBytes: 0,
      stock: {
        get wantedCount() {
          return wantedCount();
        },
        get missingCount() {
          return Math.max(0, wantedCount() - freeCount());
        },
      },
      refill: () => void (this.refills += 1),
      get freeCount() {
        return freeCount();
      },
      dropFree: () => {
        this.freeCount -= 1;
        this.ledger.remove('free', segmentBytes);
        return true;
      },
    };
    const recycler = new SegmentRecycler({
      table, store, logs, entries, intents: this.log.intents, isBeingPut: () => false, names: { find: async () => undefined }, leases: this.leases, nowS, nextTurn, log: this.lines,
      hints: { drop: () => Promise.resolve() },
      supply: {
        giveBack: async (row) => {
          await this.log.supply.giveBack(row);
          this.ledger.move('segments', 'free', segmentBytes);
          this.freeCount += 1;
        },
      },
      damage: { keep: () => Promise.resolve(true) },
      onDropped: ({ head, bytes, usedAtS }) => this.journal.evicted(head.kind, bytes, usedAtS, () => Buffer.from(head.hash).toString('hex')),
    });
    const sealed = () => this.sealing;
    const writers = { blob: { seal: () => sealed().then(() => logs.blob.seal()) }, value: { seal: () => sealed().then(() => logs.value.seal()) } };
    const ports = { ledger: this.ledger, table, entries, victims, leases: this.leases, journal: this.journal, supply, recycler, writers, nowS, monotonicClock: this.clock, timers: this.clock, nextTurn, log: this.lines };
    // Segments count when they are begun; files that are free are taken first.
    this.log.onBegin = () => {
      if (this.freeCount === 0) {
        this.ledger.place('segments', segmentBytes);
        return;
      }
      this.freeCount -= 1;
      this.ledger.move('free', 'segments', segmentBytes);
    };
    this.evictor = new Evictor({ ...ports, trash: this.#trash(), uploads: this.#uploads(), freeBytes: () => this.diskAnswers.then(() => Math.max(0, this.diskBytes - this.ledger.placedBytes)) }, { ...noLimits, ...limits });
  }

  #trash() {
    const coming = () => (this.isTrashRead ? 0 : this.ledger.bytesOf('trash'));
    return {
      get comingBytes() {
        return coming();
      },
      onFreed: (freed: () => void) => {
        void Promise.resolve().then(() => {
          if (!this.deletesAtOnce) return;
          this.#delete();
          freed();
        });
        this.#listeners.add(freed);
        return { [Symbol.dispose]: () => void this.#listeners.delete(freed) };
      },
    };
  }

  #uploads() {
    const idle = () => this.idleUploadsBytes;
    return {
      get idleBytes() {
        return idle();
      },
      giveUpOldest: async () => {
        this.ledger.remove('uploads', this.idleUploadsBytes);
        this.idleUploadsBytes = 0;
        return true;
      },
    };
  }

  get nowS(): number {
    return Math.floor(this.clock.nowMs() / 1_000);
  }

  #delete(): void {
    this.ledger.remove('trash', this.ledger.bytesOf('trash'));
  }

  #remove(slot: number): Promise<boolean> {
    this.removals += 1;
    if (this.removeFails) return Promise.reject(new Error('EIO'));
    this.ledger.move('files', 'trash', this.log.entries.blobs.sizeOf(slot));
    this.log.entries.remove(this.log.entries.blobs, slot);
    if (this.deletesAtOnce) this.#delete();
    return Promise.resolve(true);
  }

  /** The disk has deleted so much more, or something that it does not tell of. */
  free(bytes: number): void {
    this.ledger.remove('trash', bytes);
    for (const freed of this.#listeners) freed();
  }

  putFile(name: string, usedAtS = this.nowS - 2 * leaseS): void {
    this.log.putFile(hashOf(name), fileBytes, usedAtS);
    this.ledger.place('files', fileBytes);
    const [low = 0, high = 0] = keyOf(name).words;
    this.order.append(low, high);
  }

  putBlob(name: string, usedAtS = this.nowS - 2 * leaseS, bytes = 4_000): void {
    this.log.putBlob(hashOf(name), Buffer.alloc(bytes, name), usedAtS);
  }

  fillSegments(count: number, usedAtS?: number): void {
    for (let number = 0; this.log.table.countOf('blob') <= count; number += 1) this.putBlob(`blob ${number}`, usedAtS);
  }

  /** Time, a tenth of a second at once. */
  async pass(durationMs: number): Promise<void> {
    for (let passedMs = 0; passedMs <= durationMs; passedMs += 100) {
      for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
      if (passedMs < durationMs) this.clock.advance(100);
    }
  }

  has(name: string): boolean {
    return this.log.findBlob(hashOf(name)) !== -1;
  }
}
