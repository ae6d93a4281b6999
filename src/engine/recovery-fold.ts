// What the log says, record by record in its order: the entries of both indexes, and which files nothing speaks for. Hints
// and scans feed it alike. Pure: it reads no file and changes none. docs/formats/segments.md, "What counts"
import { assert } from '../base/assert.ts';
import type { Slot } from './blob-index.ts';
import type { NewEntry } from './entry-codec.ts';
import type { HintEntry } from './hint-format.ts';
import { KeyWords } from './key-words.ts';
import { blobRecordBytes } from './live-entries.ts';
import type { LiveEntries } from './live-entries.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';

/** The record by which a file under a name of `objects/` must go, if it is there. */
export interface OrphanRecord {
  /** `intent`: its upload may have come as far as the name; `tombstone`: its removal may not have. */
  readonly reason: 'intent' | 'tombstone';
  readonly row: SegmentRow;
  readonly offset: number;
  /** Of the whole record. */
  readonly bytes: number;
  /** Of the intent, which its end must name; of the tombstone its own. */
  readonly sequence: number;
}

interface OpenRecord extends OrphanRecord {
  readonly words: Uint32Array;
  readonly tag: number;
}

/** What an index entry has room for. */
const logicalBytesMax = 2 ** 42;

export class RecoveryFold {
  readonly #entries: LiveEntries;
  readonly #segments: SegmentTable;
  /** Intents without an end so far, by number. No more than the log has. */
  readonly #intents = new Map<number, OpenRecord>();
  /** The last tombstone of a file that is not said to be gone, by key. No more than the log has. */
  readonly #removals = new Map<string, OpenRecord>();
  /** Number of the last tombstone of a value, by key: what is copied behind it has a lower one. No more than the log has. */
  readonly #removedValues = new Map<string, number>();
  #sequenceMax = 0;
  #taken = 0;

  constructor(entries: LiveEntries, segments: SegmentTable) {
    this.#entries = entries;
    this.#segments = segments;
  }

  /** The highest of all that were taken or noted. */
  get sequenceMax(): number {
    return this.#sequenceMax;
  }

  /** Records taken. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Segments of a stream in the order of their ids, records in that of the segment; the streams in any order. The key is read
   * before this returns. False: no writer of this version wrote such a record, and it counts for nothing.
   */
  take(row: SegmentRow, key: KeyWords, entry: HintEntry): boolean {
    this.noteSequence(entry.sequence);
    if (!(row.stream === 'value' ? this.#takeValue(row, key, entry) : this.#takeBlob(row, key, entry))) return false;
    this.#taken += 1;
    if (entry.kind === 'tombstone') this.#segments.addTombstone(row.ordinal);
    return true;
  }

  /** The commit of a file may be the end of something. Otherwise it is like a blob: where no index has its key, all there is to do is put it there. */
  get hasOpenFiles(): boolean {
    return this.#intents.size > 0 || this.#removals.size > 0;
  }

  /** A value may be one that was removed. Otherwise as blobs are. */
  get hasRemovedValues(): boolean {
    return this.#removedValues.size > 0;
  }

  /** So many records, for which nothing else was to be done, were put into an index by who reads them. */
  noteTaken(count: number): void {
    this.#taken += count;
  }

  /** A number that is in use on disk beside those of the records. */
  noteSequence(sequence: number): void {
    this.#sequenceMax = Math.max(this.#sequenceMax, sequence);
  }

  /** What has a key that begins so was used then. After all records; in any order, since the latest counts. */
  touch(low: number, high: number, usedAtS: number, nowS: number): void {
    if (usedAtS > nowS) return;
    const { blobs, values } = this.#entries;
    const slot = blobs.findPrefix(low, high);
    if (slot !== -1) {
      this.#entries.use(blobs, slot, usedAtS);
      return; // a value whose key begins alike would have to be made, and all it lost were an age
    }
    const value = values.findPrefix(low, high);
    if (value !== -1) this.#entries.use(values, value, usedAtS);
  }

  /** After all records: one per key, the last one, in the order of the log. */
  orphans(): readonly OrphanRecord[] {
    const [key, last] = [new KeyWords(), new Map<string, OpenRecord>()];
    const inOrder = [...this.#intents.values(), ...this.#removals.values()].toSorted((a, b) => a.row.id - b.row.id || a.offset - b.offset);
    for (const open of inOrder) {
      key.words.set(open.words);
      key.tag = open.tag;
      const slot = this.#entries.blobs.find(key);
      if (slot !== -1 && this.#entries.blobs.isFile(slot)) continue;
      last.delete(nameOf(key));
      last.set(nameOf(key), open);
    }
    return [...last.values()].map(({ reason, row, offset, bytes, sequence }) => ({ reason, row, offset, bytes, sequence }));
  }

  /** The last record of a key decides. */
  #takeBlob(row: SegmentRow, key: KeyWords, entry: HintEntry): boolean {
    const { kind, target, sequence } = entry;
    if (kind === 'blob') return this.#putBlob(row, key, entry, { isFile: false });
    if (kind === 'commit') return this.#takeCommit(row, key, entry);
    if (kind === 'intent') {
      this.#intents.set(sequence, openRecord('intent', row, key, entry));
      return true;
    }
    if (kind !== 'tombstone') return false;
    if (target === 'intent') this.#intents.delete(sequence);
    else if (target === 'blob') this.#remove(key, { isFile: false });
    else if (target === 'commit') this.#takeFileTombstone(row, key, entry);
    else return false;
    return true;
  }

  #takeCommit(row: SegmentRow, key: KeyWords, entry: HintEntry): boolean {
    if (!this.#putBlob(row, key, entry, { isFile: true })) return false;
    this.#intents.delete(entry.sequence);
    if (this.#removals.size > 0) this.#removals.delete(nameOf(key));
    return true;
  }

  #takeFileTombstone(row: SegmentRow, key: KeyWords, entry: HintEntry): void {
    if (entry.isGone) this.#removals.delete(nameOf(key));
    else this.#removals.set(nameOf(key), openRecord('tombstone', row, key, entry));
    this.#remove(key, { isFile: true });
  }

  #putBlob(row: SegmentRow, key: KeyWords, entry: HintEntry, { isFile }: { readonly isFile: boolean }): boolean {
    if (entry.logicalBytes >= logicalBytesMax || entry.isPointer || entry.bytes !== blobRecordBytes(key.tag, isFile ? 0 : entry.logicalBytes)) return false;
    const { blobs } = this.#entries;
    this.#entries.put(blobs, key, newEntry(row, entry, { isFile, sizeBytes: entry.logicalBytes }));
    return true;
  }

  /** A tombstone removes only what it says: a small blob may have been put while the file of its key was being removed. */
  #remove(key: KeyWords, { isFile }: { readonly isFile: boolean }): void {
    const { blobs } = this.#entries;
    const slot = blobs.find(key);
    if (slot !== -1 && blobs.isFile(slot) === isFile) this.#entries.remove(blobs, slot);
  }

  /** The highest number decides; of equal ones, which are copies, the last. */
  #takeValue(row: SegmentRow, key: KeyWords, entry: HintEntry): boolean {
    const { values } = this.#entries;
    const isRemoval = entry.kind === 'tombstone';
    const about = isRemoval ? entry.target : entry.kind;
    if (about !== 'actionResult' && about !== 'opaque') return false;
    const slot: Slot = values.find(key);
    if (slot !== -1 && entry.sequence < values.sequenceOf(slot)) return true;
    if (isRemoval) {
      if (slot !== -1) this.#entries.remove(values, slot);
      const name = nameOf(key);
      this.#removedValues.set(name, Math.max(entry.sequence, this.#removedValues.get(name) ?? 0));
      return true;
    }
    if (this.#removedValues.size > 0 && entry.sequence < (this.#removedValues.get(nameOf(key)) ?? 0)) return true;
    this.#entries.put(values, key, newEntry(row, entry, { isFile: false, sizeBytes: entry.bytes }));
    return true;
  }
}

function newEntry({ ordinal }: SegmentRow, { offset, usedAtS, sequence, isPointer }: HintEntry, { isFile, sizeBytes }: { readonly isFile: boolean; readonly sizeBytes: number }): NewEntry {
  return { segment: ordinal, offset, sizeBytes, usedAtS, sequence, isFile, isPointer, isVerified: false };
}

function openRecord(reason: OrphanRecord['reason'], row: SegmentRow, key: KeyWords, { offset, bytes, sequence }: HintEntry): OpenRecord {
  assert(row.stream === 'blob', 'the history of files stands in the blob stream');
  return { reason, row, offset, bytes, sequence, words: key.words.slice(), tag: key.tag };
}

function nameOf(key: KeyWords): string {
  return `${key.tag}-${key.hex()}`;
}
