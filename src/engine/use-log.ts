// Remembers on disk when entries were used, so that a start knows leases and the order of use. What is noted is written each
// second, and nobody waits for it: a kill loses no more than that second, a power cut what was not synced by then, and neither
// anything but ages. When the log of uses has grown out of proportion, all of them are written anew and the segments before go.
import { assert } from '../base/assert.ts';
import type { NextTurn, Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { BlobIndex } from './blob-index.ts';
import { KeyWords } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { RoomClaim } from './log-claims.ts';
import type { LogWriter } from './log-writer.ts';
import { recordBytes } from './record-codec.ts';
import { encodeTouches } from './record-payloads.ts';
import type { Touch } from './record-payloads.ts';
import type { SegmentRecycler } from './segment-recycler.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';

export interface UseLogPorts {
  /** Of the touch stream. */
  readonly writer: Pick<LogWriter, 'claim' | 'append' | 'durable' | 'seal'>;
  readonly table: SegmentTable;
  readonly recycler: Pick<SegmentRecycler, 'giveUp'>;
  readonly entries: LiveEntries;
  readonly nowS: () => number;
  readonly timers: Timers;
  readonly nextTurn: NextTurn;
  readonly log: Log;
}

const flushMs = 1_000;
/** 48 KiB of payload. */
const recordTouchesMax = 4_096;
/** Noted and not written: 768 KiB. What comes then is written no more; the entry has its time, and compaction writes it down. */
const notedMax = 65_536;
/** What is written since the last compaction before the next one, at least, in segments; and as a multiple of what that wrote. */
const compactSegments = 1;
const compactRatio = 2;

export class UseLog {
  readonly #ports: UseLogPorts;
  #noted: Touch[] = [];
  /** Since the last compaction. */
  #writtenBytes = 0;
  #compactedBytes = 0;
  #timer: Disposable | undefined;
  #writing: Promise<void> | undefined;
  #closed = false;
  readonly #key = new KeyWords();

  constructor(ports: UseLogPorts) {
    this.#ports = ports;
    // What a start found is not known to be worth its room.
    this.#writtenBytes = ports.table.bytesOf('touch');
  }

  /** The entry whose key begins so was used; times are seconds since 1970. Written within a second. */
  note(low: number, high: number, usedAtS: number): void {
    if (this.#closed || this.#noted.length >= notedMax) return;
    this.#noted.push({ low, high, usedAtS });
    this.#flushLater();
  }

  /** Appends what was noted, without waiting for anything. Each second by itself. */
  flush(): void {
    if (this.#writing === undefined && this.#noted.length > 0) void this.#start(() => this.#write());
  }

  /**
   * Writes the uses of all entries anew, and gives up the segments before. By itself when more was written since the last time than
   * twice what that took. Never rejects.
   */
  async compact(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#start(() => this.#compact());
  }

  /** Writes what was noted, durably if it can; nothing is noted afterwards. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    await this.#start(async () => {
      await this.#write();
      await this.#ports.writer.durable();
    });
  }

  /** One at a time. Ages are all that a failure costs. */
  #start(work: () => Promise<void>): Promise<void> {
    assert(this.#writing === undefined, 'uses are written by one at a time');
    this.#writing = this.#try(work).finally(() => {
      this.#writing = undefined;
      if (this.#noted.length > 0) this.#flushLater(); // came meanwhile, and found that there was no turn for it
    });
    return this.#writing;
  }

  #flushLater(): void {
    if (this.#closed) return;
    this.#timer ??= this.#ports.timers.after(flushMs, () => {
      this.#timer = undefined;
      this.flush();
    });
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      this.#ports.log.warn('uses could not be written down; after a restart the cache may evict in another order', { cause: String(thrown) });
    }
  }

  async #write(): Promise<void> {
    while (this.#noted.length > 0) {
      const noted = this.#noted;
      this.#noted = [];
      for (let first = 0; first < noted.length; first += recordTouchesMax) await this.#append(noted.slice(first, first + recordTouchesMax));
    }
    if (!this.#closed && this.#writtenBytes > Math.max(compactSegments * this.#segmentBytes(), compactRatio * this.#compactedBytes)) await this.#compact();
  }

  async #append(touches: readonly Touch[]): Promise<void> {
    const payload = encodeTouches(touches);
    const { writer, nowS } = this.#ports;
    const bytes = recordBytes(0, 0, payload.byteLength);
    const claimed = writer.claim(bytes, 'external');
    using claim: RoomClaim = isPromise(claimed) ? await claimed : claimed;
    // What is lost here is told by its outcome to nobody: the entry has its time, and so will compaction.
    writer.append(claim, { kind: 'touches', functionNumber: 0, hash: new Uint8Array(0), instance: '', logicalBytes: touches.length, usedAtS: nowS(), payload });
    this.#writtenBytes += bytes;
  }

  async #compact(): Promise<void> {
    const { writer, table, recycler, entries } = this.#ports;
    await writer.seal();
    const before: readonly SegmentRow[] = [...table.of('touch')].filter(({ state }) => state === 'sealed' || state === 'failed');
    this.#writtenBytes = 0;
    for (const index of [entries.blobs, entries.values]) await this.#writeAll(index);
    await writer.durable();
    this.#compactedBytes = this.#writtenBytes;
    this.#writtenBytes = 0;
    for (const row of before) await recycler.giveUp(row);
  }

  /** Of each entry whose record tells an older time. A chunk of the index, at most some ten thousand entries, in one turn, a record in another. */
  async #writeAll(index: BlobIndex): Promise<void> {
    let touches: Touch[] = [];
    for (let chunk = 0; chunk < index.chunkCount; chunk += 1) {
      for (const slot of index.slotsOf(chunk)) {
        if (!index.wasTouched(slot)) continue;
        index.keyOf(slot, this.#key);
        touches.push({ low: this.#key.words[0] ?? 0, high: this.#key.words[1] ?? 0, usedAtS: index.usedAtS(slot) });
      }
      await this.#ports.nextTurn();
      for (; touches.length >= recordTouchesMax; touches = touches.slice(recordTouchesMax)) {
        await this.#append(touches.slice(0, recordTouchesMax));
        await this.#ports.nextTurn();
      }
    }
    if (touches.length > 0) await this.#append(touches);
  }

  #segmentBytes(): number {
    return this.#ports.table.oldest('touch')?.segmentBytes ?? 0;
  }
}
