// Segments of a log in memory that is synced by hand, and what gives them up.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Digest } from '../digest/digest.ts';
import type { KeyWords } from '../engine/key-words.ts';
import type { GivenUp, GiveUpLimits } from '../engine/recycle-step.ts';
import type { DroppedEntry } from '../engine/recycle-pass.ts';
import { SegmentRecycler } from '../engine/segment-recycler.ts';
import type { SegmentRow } from '../engine/segment-table.ts';
import { HandSyncedLog } from './hand-synced-log.ts';
import { RecordedLog } from './recorded-log.ts';

export const segmentBytes = 65_536;
export const startS = 1_700_000_000;
export const leaseS = 3_600;
export const oldS = startS - 2 * leaseS;

export function hashOf(name: string): Uint8Array {
  return createHash('sha256').update(name).digest();
}

export function payloadOf(name: string, bytes = 1_000): Buffer {
  return Buffer.alloc(bytes, `${name} `);
}

export class RecyclingRig {
  nowS = startS;
  readonly log = new HandSyncedLog({ segmentBytes, leaseS, nowS: () => this.nowS });
  readonly pinned = new Set<string>();
  isPinned = (key: KeyWords): boolean => this.pinned.has(key.hex());
  /** Keys of values of which a put is under way. */
  readonly beingPut = new Set<string>();
  /** How often it is said of any value. */
  putsSeen = 0;
  readonly dropped: DroppedEntry[] = [];
  readonly kept: { readonly name: string; readonly bytes: number }[] = [];
  /** Why nothing more can be kept. */
  keepsNothing: Error | undefined;
  readonly hintsDropped: number[] = [];
  /** What files are called whose hashes are longer than these keys. */
  readonly names = new Map<string, Digest>();
  readonly lines = new RecordedLog();
  /** Segments that were given back and whose files are not to be used again. */
  discarded = 0;
  turns = 0;
  onTurn: () => void = () => undefined;
  readonly recycler = new SegmentRecycler({
    table: this.log.table,
    store: this.log.store,
    logs: this.log.logs,
    entries: this.log.entries,
    intents: this.log.intents,
    hints: { drop: (row) => Promise.resolve(void this.hintsDropped.push(row.id)) },
    supply: {
      giveBack: (row) => {
        if (row.hasFailed) this.discarded += 1;
        return this.log.supply.giveBack(row);
      },
    },
    damage: {
      keep: async (name, bytes) => {
        if (this.keepsNothing !== undefined) throw this.keepsNothing;
        return this.kept.push({ name, bytes: bytes.byteLength }) > 0;
      },
    },
    names: { find: async (key) => this.names.get(key.hex()) },
    leases: { isPinned: (key) => this.isPinned(key), leaseFloorS: (nowS) => nowS - leaseS + 1 },
    isBeingPut: (key) => {
      this.putsSeen -= 1;
      return this.putsSeen >= 0 || this.beingPut.has(key.hex());
    },
    onDropped: (entry) => void this.dropped.push({ ...entry, head: { ...entry.head, hash: Buffer.from(entry.head.hash) } }),
    nowS: () => this.nowS,
    nextTurn: () => {
      this.turns += 1;
      this.onTurn();
      return Promise.resolve();
    },
    log: this.lines,
  });

  putBlob(name: string, usedAtS = oldS, bytes = 1_000) {
    return this.log.putBlob(hashOf(name), payloadOf(name, bytes), usedAtS);
  }

  hasBlob(name: string): boolean {
    return this.log.findBlob(hashOf(name)) !== -1;
  }

  /** The payload at the place that the index has. */
  readBlob(name: string): Buffer | undefined {
    const { blobs } = this.log.entries;
    const slot = this.log.findBlob(hashOf(name));
    if (slot === -1) return undefined;
    const record = this.log.readAt({ segment: blobs.segmentOf(slot), offset: blobs.offsetOf(slot), bytes: this.log.entries.recordBytes(blobs, slot) });
    assert.ok(record !== 'wrong');
    assert.deepEqual(Buffer.from(record.head.hash), Buffer.from(hashOf(name)));
    return record.payload;
  }

  use(name: string, usedAtS: number): void {
    this.log.entries.blobs.setUsed(this.log.findBlob(hashOf(name)), usedAtS);
  }

  oldest(stream: 'blob' | 'value' = 'blob'): SegmentRow {
    const row = this.log.table.oldest(stream);
    assert.ok(row !== undefined);
    return row;
  }

  giveUp(limits?: GiveUpLimits, stream: 'blob' | 'value' = 'blob'): Promise<GivenUp> {
    this.log.seal(stream);
    return this.recycler.giveUp(this.oldest(stream), limits);
  }
}

/** Until nothing more happens by itself. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

export function blobKey(rig: RecyclingRig, name: string) {
  const key = rig.log.valueKey(hashOf(name));
  key.setBytes(4, hashOf(name));
  return key;
}

export function keyHex(rig: RecyclingRig, name: string): string {
  return blobKey(rig, name).hex();
}
