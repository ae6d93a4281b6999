// Gives up segments: what is to stay of one is copied to the end of its stream, and its file becomes a free one. The order of
// steps is what keeps the log right at every cut: docs/formats/segments.md, "given up".
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';
import { unlessCancelled } from '../base/unless-cancelled.ts';
import type { CutNames } from './cut-names.ts';
import { keepDamaged } from './damaged-bytes.ts';
import { KeyedLock } from './keyed-lock.ts';
import type { LeaseBook } from './lease-book.ts';
import { LostRecords } from './lost-records.ts';
import { readAround } from './read-around.ts';
import { CopyAllowance } from './recycle-step.ts';
import type { GivenUp, GiveUpLimits } from './recycle-step.ts';
import { RecyclePass } from './recycle-pass.ts';
import type { PassBudget, RecyclePorts, RecycleTotals, UnreadRange } from './recycle-pass.ts';
import type { StreamName } from './segment-format.ts';
import type { SegmentStore } from './segment-store.ts';
import type { SegmentRow } from './segment-table.ts';

export interface RecyclerPorts extends Omit<RecyclePorts, 'store' | 'isPinned'> {
  readonly store: Pick<SegmentStore, 'open' | 'forget'>;
  /** See HintWriter, SegmentSupply, DamageKeeping. */
  readonly hints: { drop(row: SegmentRow): Promise<void> };
  readonly supply: { giveBack(row: SegmentRow): Promise<void> };
  readonly damage: { keep(name: string, bytes: Uint8Array): Promise<unknown> };
  readonly leases: Pick<LeaseBook, 'isPinned' | 'leaseFloorS'>;
  readonly names: Pick<CutNames, 'find'>;
  readonly nowS: () => number;
  readonly log: Log;
}

/** Passes over one segment: the second finds what came back during the first, more are a mistake somewhere. */
const passesMax = 8;
/** Kept in one file of the quarantine. */
const keptPieceBytes = 1_048_576;
/** What a disk does not give for so long is lost. Before, a cable may be loose, and an error of the disk is no absence. */
const lostAfterS = 10;

export class SegmentRecycler {
  readonly #ports: RecyclerPorts;
  /** By stream: segments go oldest first, each durably before the next. */
  readonly #turns = new KeyedLock();
  readonly #allowances: Readonly<Record<StreamName, CopyAllowance>> = { blob: new CopyAllowance(), value: new CopyAllowance(), touch: new CopyAllowance() };
  readonly #lost: LostRecords;
  /** By id of a segment: since when something of it cannot be read. No more than there are segments. */
  readonly #unreadSinceS = new Map<number, number>();

  constructor(ports: RecyclerPorts) {
    this.#ports = ports;
    this.#lost = new LostRecords(ports);
  }

  /** Entries whose records were damaged, or could not be read, when their segment was given up. */
  get lostCount(): number {
    return this.#lost.count;
  }

  /**
   * Gives up one segment that is not written to any more, the oldest of its stream or one in which nothing counts. Resolves when
   * its name is durably gone and its file is free. Of one stream one at a time, in the order of asking.
   * @throws CacheError `unavailable` (the disk fails), `cancelled`: what was copied until then counts, the segment stays.
   */
  giveUp(row: SegmentRow, limits: GiveUpLimits = {}): Promise<GivenUp> {
    return this.#turns.run(row.stream, () => this.#giveUp(row, limits));
  }

  async #giveUp(row: SegmentRow, limits: GiveUpLimits): Promise<GivenUp> {
    const { table, hints, store, supply } = this.#ports;
    assert(row.state === 'sealed' || row.state === 'failed', 'a segment is given up when nothing is written to it any more');
    assert(table.oldest(row.stream) === row || (row.liveCount === 0 && row.tombstones === 0), 'segments of a stream go oldest first');
    const totals: RecycleTotals = { copiedBytes: 0, droppedBytes: 0, droppedCount: 0 };
    const allowance = this.#allowances[row.stream];
    const copiedBytesMax = allowance.begin(row.segmentBytes);
    try {
      // What a removal could not remove comes back to where it was.
      do {
        row.state = 'recycling';
        await this.#empty(row, { ...this.#keeping(limits), copiedBytesMax }, totals);
        row.state = 'draining';
        await unlessCancelled(table.whenUnused(row.ordinal), 'those who still use a segment were waited for', limits);
      } while (row.liveCount > 0);
      await hints.drop(row);
      await store.forget(row.ordinal);
      await supply.giveBack(row);
      this.#unreadSinceS.delete(row.id);
    } catch (thrown) {
      row.state = row.hasFailed ? 'failed' : 'sealed';
      throw thrown;
    } finally {
      // Segments that are given up for another reason than room owe nothing.
      allowance.end(limits.dropsMax === undefined && limits.keepFromS === undefined ? totals.copiedBytes : 0, table.bytesOf(row.stream));
    }
    return totals;
  }

  /** Until nothing in it counts. */
  async #empty(row: SegmentRow, budget: PassBudget, totals: RecycleTotals): Promise<void> {
    let inVain = 0;
    for (let passes = 0; row.liveCount > 0; passes += 1) {
      if (passes === passesMax) throw new CacheError('internal', `${row.liveCount} records of segment ${row.id} count, and nothing says which`);
      const bytesBefore = totals.copiedBytes + totals.droppedBytes;
      const pass = new RecyclePass(row, { ...this.#ports, isPinned: (key) => this.#ports.leases.isPinned(key) }, budget, totals);
      await pass.run();
      if (pass.lostBytes === 0) this.#unreadSinceS.delete(row.id);
      else row.hasFailed = true; // a file with such places is not written again
      if (totals.copiedBytes + totals.droppedBytes > bytesBefore || pass.postponedCount > 0) continue;
      inVain += 1;
      // Twice nothing was found by reading, so nothing came back meanwhile either.
      if (inVain < 2) continue;
      if (pass.lostBytes > 0) this.#believe(row, pass.lostBytes);
      await this.#keepDamage(row, pass.unread);
      await this.#lost.letGo(row);
    }
  }

  /** @throws CacheError `unavailable`: what cannot be read may come back, and its segment stays as long. */
  #believe(row: SegmentRow, lostBytes: number): void {
    const nowS = this.#ports.nowS();
    const sinceS = this.#unreadSinceS.get(row.id) ?? nowS;
    this.#unreadSinceS.set(row.id, sinceS);
    if (nowS - sinceS < lostAfterS) throw new CacheError('unavailable', `${lostBytes} bytes of segment ${row.id} cannot be read; what they hold counts as lost if that lasts for ${lostAfterS} seconds`);
  }

  #keeping({ dropsMax = Infinity, keepFromS = Infinity }: GiveUpLimits) {
    const { leases, nowS } = this.#ports;
    return { keepFromS: Math.min(keepFromS, leases.leaseFloorS(nowS())), dropsMax };
  }

  async #keepDamage(row: SegmentRow, unread: readonly UnreadRange[]): Promise<void> {
    const { store, damage: keeping, log } = this.#ports;
    using opened = await store.open(row.ordinal);
    for (const { from, to } of unread) {
      for (let at = from; at < to; at += keptPieceBytes) {
        const bytes = Buffer.allocUnsafe(Math.min(keptPieceBytes, to - at));
        const { count, lostBytes } = await readAround(opened.file, bytes, at);
        if (count > lostBytes) await keepDamaged({ keeping, log }, { segmentId: row.id, offset: at, bytes: bytes.subarray(0, count) });
      }
    }
  }
}
