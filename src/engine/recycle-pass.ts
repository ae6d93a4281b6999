// One pass over a segment that is being given up: every record that something counts on is copied to the end of its stream, or
// its entry is dropped. The entry is looked at and the copy appended in one turn, so whatever becomes of the entry later stands
// behind the copy in the log; and a copy lands only where the entry still is when it is durable. A value of which a put is under way is
// not copied: the copy would stand behind what replaces it, and be the newest there is once that is given up.
import { assert, assertNever } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { NextTurn } from '../base/clock.ts';
import type { LogFile } from '../base/log-files.ts';
import type { BlobIndex, Slot } from './blob-index.ts';
import type { SyncOutcome } from './group-sync.ts';
import { KeyWords } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { RoomClaim } from './log-claims.ts';
import type { Appended, AppendRequest } from './append-request.ts';
import type { LogWriter } from './log-writer.ts';
import { readAround } from './read-around.ts';
import { recycleStep } from './recycle-step.ts';
import type { RecycleBudget, RecycledEntry } from './recycle-step.ts';
import { RecordScan } from './record-scan.ts';
import type { ScanEvent } from './record-scan.ts';
import type { RecordHead } from './record-codec.ts';
import type { RunningIntents } from './running-intents.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { SegmentStore } from './segment-store.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';

/** A blob or value that the store forgot. */
export interface DroppedEntry {
  readonly head: RecordHead;
  /** Of its record. */
  readonly bytes: number;
  readonly usedAtS: number;
}

export interface RecyclePorts {
  readonly table: SegmentTable;
  readonly store: Pick<SegmentStore, 'open'>;
  readonly logs: Readonly<Record<'blob' | 'value', Pick<LogWriter, 'claim' | 'claimBytesMax' | 'append' | 'durable'>>>;
  readonly entries: LiveEntries;
  readonly intents: Pick<RunningIntents, 'isAt' | 'moved'>;
  readonly isPinned: (key: KeyWords) => boolean;
  /** Whether a put of that value is appended and not durable. */
  readonly isBeingPut: (key: KeyWords) => boolean;
  /** Told in the turn in which the entry went. Must not throw. */
  readonly onDropped: (entry: DroppedEntry) => void;
  readonly nextTurn: NextTurn;
}

/** What a segment gave, over all passes. */
export interface RecycleTotals {
  copiedBytes: number;
  droppedBytes: number;
  droppedCount: number;
}

export type PassBudget = Omit<RecycleBudget, 'copiedBytes' | 'dropsLeft' | 'recordBytesMax'> & { readonly dropsMax: number };

/** What a pass could not make out. */
export interface UnreadRange {
  readonly from: number;
  readonly to: number;
}

/** Read at once, off the loop. */
const pieceBytes = 262_144;
/** Looked at at once: fewer than 190 records, none of which has less than 88 bytes. */
const partBytes = 16_384;
/** After more than these it is somebody else's turn: with another part there would be more than 256 records. */
const turnRecords = 66;
const turnBytes = 524_288;

/** A copy that is not durable yet. */
interface PendingCopy {
  readonly words: Uint32Array;
  readonly tag: number;
  /** Where the entry pointed when it was made. */
  readonly offset: number;
  to: Appended | undefined;
}

export class RecyclePass {
  /** Without a record that is right, in order. */
  readonly unread: UnreadRange[] = [];
  /** Of them, bytes that the disk did not give, tried twice. */
  lostBytes = 0;
  /** Records that were left for another pass. */
  postponedCount = 0;
  readonly #row: SegmentRow;
  readonly #ports: RecyclePorts;
  readonly #budget: PassBudget;
  readonly #totals: RecycleTotals;
  readonly #log: Pick<LogWriter, 'claim' | 'claimBytesMax' | 'append' | 'durable'>;
  readonly #index: BlobIndex;
  readonly #key = new KeyWords();
  #turnRecords = 0;
  #turnBytes = 0;
  #toldTo = segmentHeaderBytes;

  /** @param row of a blob or value stream; nothing is written to it any more. */
  constructor(row: SegmentRow, ports: RecyclePorts, budget: PassBudget, totals: RecycleTotals) {
    assert(row.stream !== 'touch', 'nothing in a segment of touches is moved on');
    this.#row = row;
    this.#ports = ports;
    this.#budget = budget;
    this.#totals = totals;
    this.#log = ports.logs[row.stream];
    this.#index = row.stream === 'blob' ? ports.entries.blobs : ports.entries.values;
  }

  /** Resolves when all copies are durable and have landed where they could. @throws CacheError `unavailable`. */
  async run(): Promise<void> {
    {
      using opened = await this.#ports.store.open(this.#row.ordinal);
      await this.#scan(opened.file);
    }
    await this.#log.durable();
  }

  async #scan(file: LogFile): Promise<void> {
    const { endOffset, nonceCrc } = this.#row;
    // All of it was durable, so whatever is not right is damage.
    const scan = new RecordScan({ offset: segmentHeaderBytes, endOffset, nonceCrc, recordsBefore: 0, known: { durableMark: endOffset, headsEnd: endOffset } });
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, endOffset));
    for (let at = segmentHeaderBytes; at < endOffset && !scan.isEnded; ) {
      // What is lost comes as zeros: no record begins so, and of one of which it is a part the checksum tells.
      const { count, lostBytes } = await readAround(file, piece.subarray(0, Math.min(pieceBytes, endOffset - at)), at);
      this.lostBytes += lostBytes;
      if (count === 0) break; // shorter than it was
      for (let part = 0; part < count && !scan.isEnded; part += partBytes) {
        await this.#take(scan.push(piece.subarray(part, Math.min(count, part + partBytes))));
        await this.#pause(Math.min(partBytes, count - part));
      }
      at += count;
    }
    if (this.#toldTo < endOffset) this.unread.push({ from: this.#toldTo, to: endOffset });
  }

  async #pause(bytes: number): Promise<void> {
    this.#turnBytes += bytes;
    if (this.#turnRecords <= turnRecords && this.#turnBytes < turnBytes) return;
    [this.#turnRecords, this.#turnBytes] = [0, 0];
    await this.#ports.nextTurn();
  }

  async #take(events: readonly ScanEvent[]): Promise<void> {
    this.#turnRecords += events.length;
    const { claimBytesMax } = this.#log;
    for (let at = 0; at < events.length; ) {
      let neededBytes = 0;
      let end = at;
      for (; end < events.length; end += 1) {
        const event = events[end];
        const bytes = event?.kind === 'record' && event.bytes <= claimBytesMax && this.#counts(event.head) ? event.bytes : 0;
        if (neededBytes > 0 && neededBytes + bytes > claimBytesMax) break; // of short segments a claim is short
        neededBytes += bytes;
      }
      // Room first: between looking at an entry and appending its copy there is no wait.
      using claim = neededBytes === 0 ? undefined : await this.#log.claim(neededBytes, 'internal');
      for (const event of events.slice(at, end)) this.#told(event, claim);
      at = end;
    }
  }

  #told(event: ScanEvent, claim: RoomClaim | undefined): void {
    switch (event.kind) {
      case 'damage':
        this.unread.push({ from: event.from, to: event.to });
        this.#toldTo = event.to;
        return;
      case 'newer':
        throw new CacheError('unavailable', `segment ${this.#row.id} has a record that only a newer Kiln writes (${event.what}), and is left as it is`);
      case 'record':
        this.#toldTo = event.head.offset + event.bytes;
        this.#decide(event, claim);
        return;
      default:
        assertNever(event);
    }
  }

  /** Whether anything counts on the record at this moment. */
  #counts(head: RecordHead): boolean {
    return head.kind === 'intent' ? this.#isUploading(head) : this.#slotOf(head) !== -1;
  }

  #isUploading({ kind, sequence, offset }: RecordHead): boolean {
    return kind === 'intent' && this.#ports.intents.isAt(sequence, this.#row.ordinal, offset);
  }

  /** Of the entry that points to the record; -1: none does. */
  #slotOf(head: RecordHead): Slot {
    if (head.kind === 'intent' || head.kind === 'tombstone' || !this.#key.setRecord(head)) return -1;
    const slot = this.#index.find(this.#key);
    return slot !== -1 && this.#isAt(slot, this.#row.ordinal, head.offset) ? slot : -1;
  }

  #isAt(slot: Slot, segment: number, offset: number): boolean {
    return this.#index.segmentOf(slot) === segment && this.#index.offsetOf(slot) === offset;
  }

  #decide({ head, bytes, payload }: Extract<ScanEvent, { kind: 'record' }>, claim: RoomClaim | undefined): void {
    const { copiedBytes, droppedCount } = this.#totals;
    const slot = this.#slotOf(head);
    const entry = slot === -1 ? undefined : this.#entryAt(slot);
    const budget: RecycleBudget = { ...this.#budget, copiedBytes, dropsLeft: this.#budget.dropsMax - droppedCount, recordBytesMax: this.#log.claimBytesMax };
    const step = recycleStep({ kind: head.kind, bytes, isUploading: this.#isUploading(head) }, entry, budget);
    if (step === 'drop') {
      assert(entry !== undefined, 'only what counts is dropped');
      this.#ports.entries.remove(this.#index, slot);
      this.#totals.droppedBytes += bytes;
      this.#totals.droppedCount += 1;
      this.#ports.onDropped({ head, bytes, usedAtS: entry.usedAtS });
    }
    if (step !== 'copy') return;
    // An entry that came back while room was waited for has none here.
    if (claim === undefined || claim.bytes < bytes || (this.#row.stream === 'value' && this.#ports.isBeingPut(this.#key))) {
      this.postponedCount += 1;
      return;
    }
    this.#totals.copiedBytes += bytes;
    this.#copy(claim, head, payload);
  }

  #entryAt(slot: Slot): RecycledEntry {
    this.#index.keyOf(slot, this.#key);
    const isPinned = this.#ports.isPinned(this.#key); // first: a pin that ends by being asked for is a use
    return { usedAtS: this.#index.usedAtS(slot), wasUsed: this.#index.wasUsed(slot), isPinned };
  }

  /** `this.#key` is that of the record, unless it is an intent. */
  #copy(claim: RoomClaim, head: RecordHead, payload: Uint8Array): void {
    const request = copyOf(head, payload);
    if (head.kind === 'intent') {
      const appended = this.#log.append(claim, request, (outcome) => {
        if (outcome.kind === 'durable') this.#ports.intents.moved(head.sequence, appended);
      });
      return;
    }
    const copy: PendingCopy = { words: this.#key.words.slice(), tag: this.#key.tag, offset: head.offset, to: undefined };
    copy.to = this.#log.append(claim, request, (outcome) => this.#settled(copy, outcome));
  }

  /** A copy that does not count changes nothing: `durable` tells of it. */
  #settled({ words, tag, offset, to }: PendingCopy, outcome: SyncOutcome): void {
    if (outcome.kind === 'failed') return;
    assert(to !== undefined, 'what is durable was appended');
    this.#key.words.set(words);
    this.#key.tag = tag;
    const slot = this.#index.find(this.#key);
    if (slot !== -1 && this.#isAt(slot, this.#row.ordinal, offset)) this.#ports.entries.moveTo(this.#index, slot, to.segment, to.offset);
  }
}

/** Its parts are of its own: where they were read is written again before they are. */
function copyOf(head: RecordHead, payload: Uint8Array): AppendRequest {
  assert(head.kind !== 'seal', 'seals are not moved');
  const { kind, functionNumber, instance, logicalBytes, usedAtS, isPointer, sequence, payloadCrc } = head;
  return { kind, functionNumber, hash: Buffer.from(head.hash), instance, logicalBytes, usedAtS, payload: Buffer.from(payload), isPointer, copyOf: { sequence, payloadCrc } };
}
