// What becomes of entries whose records are damaged or cannot be read any more, when the segment that has them is given up: the
// next read would find them out, and the segment goes now. Files are right whatever became of the record that says so: it is
// written anew, from what the index knows.
import type { NextTurn } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { digestFunctionNumbered } from '../digest/digest-function.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import type { CutNames } from './cut-names.ts';
import { KeyWords, functionNumberOf, keyBytes } from './key-words.ts';
import type { LeaseBook } from './lease-book.ts';
import type { LiveEntries } from './live-entries.ts';
import type { LogWriter } from './log-writer.ts';
import { recordBytes } from './record-codec.ts';
import type { SegmentRow } from './segment-table.ts';

export interface LostRecordsPorts {
  readonly entries: LiveEntries;
  readonly names: Pick<CutNames, 'find'>;
  readonly logs: { readonly blob: Pick<LogWriter, 'claim' | 'append' | 'durable'> };
  readonly leases: Pick<LeaseBook, 'isPinned' | 'leaseFloorS'>;
  readonly nowS: () => number;
  readonly nextTurn: NextTurn;
  readonly log: Log;
}

/** Of an entry, by itself. */
interface EntryKey {
  readonly words: Uint32Array;
  readonly tag: number;
}

/** Of one segment. */
interface Losses {
  entries: number;
  /** Of them, those that were leased or pinned. */
  promised: number;
  /** Whose records were written anew. */
  files: number;
}

const nothing = Buffer.alloc(0);

export class LostRecords {
  readonly #ports: LostRecordsPorts;
  readonly #key = new KeyWords();
  #count = 0;

  constructor(ports: LostRecordsPorts) {
    this.#ports = ports;
  }

  /** Entries that were lost since the start. */
  get count(): number {
    return this.#count;
  }

  /**
   * Resolves when no entry points into the segment any more, but for those that something else happens to.
   * @throws CacheError `unavailable`: the log cannot be written.
   */
  async letGo(row: SegmentRow): Promise<void> {
    const { entries, nextTurn, log, logs } = this.#ports;
    const index = row.stream === 'blob' ? entries.blobs : entries.values;
    const losses: Losses = { entries: 0, promised: 0, files: 0 };
    for (let chunk = 0; chunk < index.chunkCount; chunk += 1) {
      for (const key of this.#keysIn(index, chunk, row.ordinal)) await this.#letGo(index, row, key, losses);
      await nextTurn();
    }
    if (losses.files > 0) await logs.blob.durable();
    this.#count += losses.entries;
    const { id: segment, stream } = row;
    if (losses.files > 0) log.warn('a segment is damaged: what it said of files that are right was written anew', { segment, files: losses.files });
    if (losses.entries > 0) log.error('a segment is damaged: entries of it are lost and count as absent', undefined, { segment, stream, entries: losses.entries, leasedOrPinned: losses.promised });
  }

  async #letGo(index: BlobIndex, row: SegmentRow, key: EntryKey, losses: Losses): Promise<void> {
    const slot = this.#slotIn(index, row, key);
    if (slot === -1) return;
    if (index.isFile(slot) && (await this.#commitAnew(row, key))) {
      losses.files += 1;
      return;
    }
    const now = this.#slotIn(index, row, key);
    if (now === -1) return;
    const { leases, nowS, entries } = this.#ports;
    losses.entries += 1;
    if (leases.isPinned(this.#key) || index.usedAtS(now) >= leases.leaseFloorS(nowS())) losses.promised += 1;
    entries.remove(index, now);
  }

  /** False: its name is longer than its key, only the record had all of it, and there is no such file, or one too many. */
  async #commitAnew(row: SegmentRow, key: EntryKey): Promise<boolean> {
    const { logs, entries, nowS } = this.#ports;
    const { blobs } = entries;
    const hash = await this.#hashOf(row, key);
    if (hash === undefined) return false;
    using claim = await logs.blob.claim(recordBytes(hash.byteLength, 0, 0), 'internal');
    // As with a copy: the entry is looked at and the record appended in one turn, so whatever becomes of it later stands behind.
    const slot = this.#slotIn(blobs, row, key);
    if (slot === -1) return true;
    const offset = blobs.offsetOf(slot);
    const request = { kind: 'commit' as const, functionNumber: functionNumberOf(key.tag), hash, instance: '', logicalBytes: blobs.sizeOf(slot), usedAtS: Math.min(nowS(), blobs.usedAtS(slot)), payload: nothing };
    const to = logs.blob.append(claim, request, (outcome) => {
      const now = outcome.kind === 'durable' ? this.#slotIn(blobs, row, key) : -1;
      if (now !== -1 && blobs.offsetOf(now) === offset) entries.moveTo(blobs, now, to.segment, to.offset);
    });
    return true;
  }

  /** The whole hash of a file. */
  async #hashOf(row: SegmentRow, key: EntryKey): Promise<Uint8Array | undefined> {
    const { names, entries } = this.#ports;
    const slot = this.#slotIn(entries.blobs, row, key);
    const hashBytes = digestFunctionNumbered(functionNumberOf(key.tag))?.hashBytes;
    if (slot === -1 || hashBytes === undefined) return undefined;
    if (hashBytes <= keyBytes) return this.#key.bytes().subarray(0, hashBytes);
    const digest = await names.find(this.#key, entries.blobs.sizeOf(slot));
    return digest && Buffer.from(digest.hash, 'hex');
  }

  /** -1: it is gone, or elsewhere by now. `this.#key` is that of the entry afterwards. */
  #slotIn(index: BlobIndex, { ordinal }: SegmentRow, { words, tag }: EntryKey): Slot {
    this.#key.words.set(words);
    this.#key.tag = tag;
    const slot = index.find(this.#key);
    return slot !== -1 && index.segmentOf(slot) === ordinal ? slot : -1;
  }

  /** Of the entries of one chunk that stand in that segment. */
  #keysIn(index: BlobIndex, chunk: number, ordinal: number): readonly EntryKey[] {
    const keys: EntryKey[] = [];
    for (const slot of index.slotsOf(chunk)) {
      if (index.segmentOf(slot) !== ordinal) continue;
      index.keyOf(slot, this.#key);
      keys.push({ words: this.#key.words.slice(), tag: this.#key.tag });
    }
    return keys;
  }
}
