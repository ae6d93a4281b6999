// Takes records out of service whose bytes are wrong: absent at once, a copy in quarantine for whoever wants to find out why,
// and a tombstone, so that the next start does not find them again.
import type { Log } from '../base/log.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import { keepDamaged } from './damaged-bytes.ts';
import type { LiveEntries } from './live-entries.ts';
import type { LogWriter } from './log-writer.ts';
import type { Quarantine } from './quarantine.ts';
import { recordBytes } from './record-codec.ts';
import { encodeTombstone } from './record-payloads.ts';
import type { SegmentStore } from './segment-store.ts';
import type { SegmentTable } from './segment-table.ts';
import { storageError } from './storage-error.ts';

/** The blob or value of a record. */
export interface RecordSubject {
  readonly kind: 'blob' | 'actionResult' | 'opaque';
  readonly functionNumber: number;
  readonly hash: Buffer;
  readonly instance: string;
  readonly logicalBytes: number;
  /** What people know it by: `sha256/e3b0...`. */
  readonly label: string;
  /** Somebody has put it anew, or is about to: a tombstone would remove that. */
  readonly isBack: () => boolean;
}

export interface RecordQuarantineParts {
  readonly entries: LiveEntries;
  readonly table: Pick<SegmentTable, 'addTombstone'>;
  readonly store: Pick<SegmentStore, 'open'>;
  readonly writers: Readonly<Record<'blob' | 'value', Pick<LogWriter, 'claim' | 'append' | 'durable'>>>;
  readonly keeping: Pick<Quarantine, 'keep'>;
  readonly nowS: () => number;
  readonly log: Log;
}

interface Place {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

export class RecordQuarantine {
  readonly #parts: RecordQuarantineParts;
  #count = 0;

  constructor(parts: RecordQuarantineParts) {
    this.#parts = parts;
  }

  /** Records taken out of service so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * The record of that entry is wrong: the entry is gone before this returns. Resolves when everything else was tried; what
   * fails of that is told to the log alone, since the record is out of service in any case.
   */
  take(index: BlobIndex, slot: Slot, subject: RecordSubject, reason: string): Promise<void> {
    const { entries, table } = this.#parts;
    const place = { segment: index.segmentOf(slot), offset: index.offsetOf(slot), bytes: entries.recordBytes(index, slot) };
    this.#count += 1;
    const copied = this.#copy(place); // counts as a read of the segment from here on
    entries.remove(index, slot);
    // Until a tombstone is durable, which may fail, it is this record that tells a start of no older value: so its segment does
    // not go before those that are older.
    table.addTombstone(place.segment);
    return this.#finish(copied, subject, reason);
  }

  async #finish(copied: Promise<boolean>, subject: RecordSubject, reason: string): Promise<void> {
    const { log } = this.#parts;
    const fields = { digest: subject.label, sizeBytes: subject.logicalBytes, reason };
    try {
      const isKept = await copied;
      log.warn('a stored record is corrupt and counts as absent', { ...fields, fate: isKept ? 'kept' : 'not kept' });
      await this.#bury(subject);
    } catch (thrown) {
      log.error('a corrupt record, which counts as absent, could not be moved to quarantine', thrown, fields);
    }
  }

  async #copy({ segment, offset, bytes }: Place): Promise<boolean> {
    const { store, keeping, log } = this.#parts;
    using open = await store.open(segment);
    const content = Buffer.alloc(bytes);
    try {
      const count = await open.file.read(content, offset);
      return await keepDamaged({ keeping, log }, { segmentId: open.row.id, offset, bytes: content.subarray(0, count) });
    } catch (thrown) {
      throw storageError('copy a corrupt record', thrown);
    }
  }

  async #bury({ kind, functionNumber, hash, instance, logicalBytes, isBack }: RecordSubject): Promise<void> {
    const { writers, nowS } = this.#parts;
    const writer = kind === 'blob' ? writers.blob : writers.value;
    const payload = encodeTombstone({ removed: kind, isGone: false });
    using claim = await writer.claim(recordBytes(hash.byteLength, Buffer.byteLength(instance), payload.byteLength), 'internal');
    if (isBack()) return;
    writer.append(claim, { kind: 'tombstone', functionNumber, hash, instance, logicalBytes, usedAtS: nowS(), payload });
    await writer.durable();
  }
}
