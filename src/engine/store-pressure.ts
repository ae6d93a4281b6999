// How full the store is, and of what: the figures by which eviction decides, taken where they are kept.
import type { EvictionState, StreamState } from './eviction-policy.ts';
import type { LeaseBook } from './lease-book.ts';
import type { LiveEntries } from './live-entries.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';
import type { SpaceLedger } from './space-ledger.ts';

export interface EvictionLimits {
  /** Kept free ahead of writes. */
  readonly lowWatermarkBytes: number;
  /** What was not used for so long goes, room or not. 0: no limit. */
  readonly ageMaxMs: number;
  /** Entries. 0: no limit. */
  readonly countMax: number;
  /** What segments of values may take while there is something else to evict, as a share of the store. */
  readonly valueShare: number;
}

export interface PressureParts {
  readonly ledger: SpaceLedger;
  readonly table: SegmentTable;
  readonly entries: Pick<LiveEntries, 'count' | 'meanUseS'>;
  readonly leases: Pick<LeaseBook, 'leasedBytes'>;
  /** See SegmentSupply, Trash, Uploads. */
  readonly supply: { readonly freeCount: number; readonly segmentBytes: number; readonly keptBytes: number; readonly stock: { readonly wantedCount: number; readonly missingCount: number } };
  readonly trash: { readonly comingBytes: number };
  readonly uploads: { readonly idleBytes: number };
  readonly nowS: () => number;
}

/** What is known to whoever evicts. */
export interface EvictionView extends Pick<EvictionState, 'leaseFloorS' | 'isFruitless'> {
  readonly candidateUseS: number | undefined;
  /** As many segments as there are were given up for the number of entries, and all of them are promised. */
  readonly isCountFruitless: boolean;
}

/** Once there are too many entries, so much more of them go at once: each time costs copies of part of a segment. */
const countSlackShare = 1 / 16;

export class StorePressure {
  readonly #parts: PressureParts;
  readonly #limits: EvictionLimits;

  constructor(parts: PressureParts, limits: EvictionLimits) {
    this.#parts = parts;
    this.#limits = limits;
  }

  /** @param firstBytes what the first in line waits for, who has no use for free files if they are there; undefined: nobody waits. */
  state(firstBytes: number | undefined, { leaseFloorS, candidateUseS, isFruitless, isCountFruitless }: EvictionView): EvictionState {
    const { ledger, supply, leases, trash, uploads, nowS } = this.#parts;
    return {
      neededBytes: this.#neededBytes(firstBytes),
      excessCount: isCountFruitless ? 0 : this.excessCount(),
      leaseFloorS,
      ageFloorS: this.ageFloorS(nowS()),
      blob: this.#stream('blob'),
      value: this.#stream('value'),
      valueBytesMax: this.#limits.valueShare * ledger.boundBytes,
      files: { bytes: ledger.bytesOf('files'), candidateUseS },
      leasedBytes: leases.leasedBytes(nowS()),
      // As long as the store keeps to its bound, free files are kept for the log; and those that it will need soon, whoever waits.
      spareSegments: this.#isOver() ? supply.freeCount : firstBytes === undefined ? 0 : this.#surplusSegments(),
      stockSegments: firstBytes === undefined ? 0 : supply.freeCount,
      hasDeadSegment: this.deadSegment() !== undefined,
      trashBytes: firstBytes === undefined ? 0 : trash.comingBytes,
      idleUploadBytes: uploads.idleBytes,
      isFruitless,
    };
  }

  /** Whether a file may have to go, so that it is worth looking for one. */
  needsFile(firstBytes: number | undefined): boolean {
    return this.#neededBytes(firstBytes) > 0 || this.excessCount() > 0 || this.#limits.ageMaxMs > 0;
  }

  /** There is less room than is kept free ahead of writes. */
  isLow(): boolean {
    return this.#neededBytes(undefined) > 0;
  }

  /** What was not used since is too old. */
  ageFloorS(nowS: number): number {
    return this.#limits.ageMaxMs === 0 ? -Infinity : nowS - Math.ceil(this.#limits.ageMaxMs / 1_000);
  }

  /** How many entries must go now that there are too many; 0: there are not. */
  excessCount(): number {
    const { countMax } = this.#limits;
    const { count } = this.#parts.entries;
    return countMax === 0 || count <= countMax ? 0 : count - Math.ceil(countMax * (1 - countSlackShare));
  }

  /** A segment that nobody needs any more: a removal that it is part of may take as long as the disk is sick. */
  deadSegment(): SegmentRow | undefined {
    const row = this.#parts.table.dead();
    return row?.removals === 0 ? row : undefined;
  }

  /** What no eviction frees: the quarantine, segments that are written to, times of use, and room for a segment without which nothing goes. */
  fixedBytes(): number {
    const { ledger, table, supply } = this.#parts;
    let bytes = ledger.bytesOf('quarantine') + table.bytesOf('touch') + supply.keptBytes;
    bytes += Math.max(0, ledger.bytesOf('free') - supply.freeCount * supply.segmentBytes);
    for (const stream of ['blob', 'value'] as const) for (const row of table.of(stream)) if (row.state === 'open') bytes += row.segmentBytes;
    return bytes;
  }

  #neededBytes(firstBytes: number | undefined): number {
    const { ledger, supply } = this.#parts;
    // Free files are room for the log, and become room for anything at once; but they take their place on the disk.
    const missingSegments = this.#isOver() ? 0 : supply.stock.missingCount - this.#surplusSegments();
    const ahead = this.#limits.lowWatermarkBytes + missingSegments * supply.segmentBytes;
    const overBytes = ledger.usedBytes - ledger.boundBytes;
    // Ahead of writes nothing goes in place of what comes free some time; who waits does not wait for what somebody reads.
    return firstBytes === undefined ? overBytes + ahead - ledger.bytesOf('trash') : overBytes + firstBytes;
  }

  /** Free files beyond those that the log will need soon. */
  #surplusSegments(): number {
    const { freeCount, stock } = this.#parts.supply;
    return Math.max(0, freeCount - stock.wantedCount);
  }

  /** `max-size` was lowered, or the disk fills up. */
  #isOver(): boolean {
    const { ledger } = this.#parts;
    return ledger.usedBytes > ledger.boundBytes;
  }

  #stream(stream: 'blob' | 'value'): StreamState {
    const { table, entries } = this.#parts;
    let sealedCount = 0;
    for (const { state } of table.of(stream)) if (state !== 'open') sealedCount += 1;
    const { begunS, ordinal, records } = table.oldest(stream) ?? { begunS: 0, ordinal: -1, records: 0 };
    const oldest = records === 0 ? undefined : { begunS, meanUseS: entries.meanUseS(ordinal) ?? begunS };
    return { bytes: table.bytesOf(stream), liveBytes: table.liveBytesOf(stream), sealedCount, oldest };
  }
}
