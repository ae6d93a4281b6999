// Writes the hints of segments, one at a time and at its leisure, so that a start need not read them. A hint that is not
// written costs the next start some time and nothing else, so nothing here fails anybody. docs/formats/hints.md
import { join } from 'node:path';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { LogFileSystem } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import type { HintScans } from './hint-scan.ts';
import { hintFileName, partialHintFileName, segmentFileName, segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';
import type { SpaceLedger } from './space-ledger.ts';
import { io } from './storage-error.ts';

export interface HintWriterPorts {
  readonly files: Pick<LogFileSystem, 'createExclusive' | 'rename' | 'remove' | 'discard'>;
  readonly scans: HintScans;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
}

/** A hint that is on the disk. */
interface Written {
  readonly bytes: number;
  /** What it tells of ends here. */
  readonly endOffset: number;
}

/** An open segment gets a hint when so much more of it is durable: no start reads more of it. */
const growthBytes = 16_777_216;
/** Between two hints it rests so many times as long as the last one took: after a start many may be missing. */
const restShare = 3;
/** At the end no other hint is begun after this: the next start reads what has none. */
const finishMsMax = 2_000;

export class HintWriter implements AsyncDisposable {
  readonly #ports: HintWriterPorts;
  readonly #ledger: SpaceLedger;
  readonly #directory: string;
  /** At most all segments. */
  readonly #wanted = new Set<SegmentRow>();
  readonly #written = new Map<SegmentRow, Written>();
  /** To be given up: no hint of them comes to be any more. */
  readonly #dropped = new WeakSet<SegmentRow>();
  #running: Promise<void> | undefined;
  /** The hint that is being made. */
  #current: { readonly row: SegmentRow; readonly done: Promise<void> } | undefined;
  #endRest: (() => void) | undefined;
  /** Since the end is near. */
  #hurriedUntilMs: number | undefined;
  #isClosed = false;
  #hasFailed = false;

  /** @param directory `segments/` of the data directory. */
  constructor(ports: HintWriterPorts, ledger: SpaceLedger, directory: string) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#directory = directory;
  }

  /** What a start found; hints are placed in the ledger from here on. Once, before everything else. */
  begin(found: { readonly hints: readonly { readonly row: SegmentRow; readonly bytes: number }[]; readonly unhinted: readonly SegmentRow[] }): void {
    for (const { row, bytes } of found.hints) {
      this.#ledger.place('hints', bytes);
      this.#written.set(row, { bytes, endOffset: row.endOffset });
    }
    for (const row of found.unhinted) this.#want(row);
  }

  /** The segment was sealed, durably. */
  sealed(row: SegmentRow): void {
    this.#want(row);
  }

  /** More of an open segment is durable. Costs nothing as long as it is little. */
  grown(row: SegmentRow): void {
    if (row.durableOffset - (this.#written.get(row)?.endOffset ?? segmentHeaderBytes) >= growthBytes) this.#want(row);
  }

  /**
   * The segment is to be given up. Resolves when it has no hint and none will come: one that stayed would be found without
   * its segment, or beside another one's name. @throws CacheError `unavailable`.
   */
  async drop(row: SegmentRow): Promise<void> {
    this.#dropped.add(row);
    this.#wanted.delete(row);
    if (this.#current?.row === row) await this.#current.done;
    const written = this.#written.get(row);
    if (written === undefined) return;
    await io('remove a hint', this.#ports.files.remove(join(this.#directory, hintFileName(row.id))));
    this.#written.delete(row);
    this.#ledger.remove('hints', written.bytes);
  }

  /** At a clean end, without rests: hints of these segments first, then of others that want one, for a second or two. Never rejects. */
  async finish(rows: readonly SegmentRow[]): Promise<void> {
    const others = [...this.#wanted];
    this.#wanted.clear();
    this.#hurriedUntilMs = this.#ports.clock.nowMs() + finishMsMax;
    for (const row of [...rows, ...others]) this.#want(row);
    this.#endRest?.();
    await this.idle();
  }

  /** Resolves when no hint is wanted. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Ends the hint under way and makes no other. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#wanted.clear();
    this.#endRest?.();
    await this.idle();
  }

  #want(row: SegmentRow): void {
    if (row.stream === 'touch' || this.#isClosed || this.#dropped.has(row)) return;
    this.#wanted.add(row);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    const { clock } = this.#ports;
    for (let row = this.#next(); row !== undefined; row = this.#next()) {
      const beganMs = clock.nowMs();
      this.#current = { row, done: this.#make(row) };
      await this.#current.done;
      this.#current = undefined;
      if (this.#hurriedUntilMs !== undefined && clock.nowMs() >= this.#hurriedUntilMs) this.#wanted.clear();
      else if (this.#wanted.size > 0 && this.#hurriedUntilMs === undefined) await this.#rest((clock.nowMs() - beganMs) * restShare);
    }
    this.#running = undefined;
  }

  #next(): SegmentRow | undefined {
    const row = this.#wanted.values().next().value;
    if (row !== undefined) this.#wanted.delete(row);
    return row;
  }

  async #rest(durationMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _timer = this.#ports.timers.after(durationMs, resolve);
    this.#endRest = resolve;
    await promise;
    this.#endRest = undefined;
  }

  async #make(row: SegmentRow): Promise<void> {
    try {
      await this.#scan(row);
      this.#hasFailed = false;
    } catch (thrown) {
      // Said once: a disk that is full or sick says so with every segment.
      if (!this.#hasFailed) this.#ports.log.warn('the hint of a segment could not be written; the next start takes longer', { segment: row.id, reason: String(thrown) });
      this.#hasFailed = true;
    }
  }

  async #scan(row: SegmentRow): Promise<void> {
    const { id, stream, nonce, segmentBytes, sealSequence, endOffset, durableOffset } = row;
    if (stream === 'touch') return;
    // A seal that is not durable yet may not be there after a power cut.
    const isSealed = sealSequence !== undefined && durableOffset >= endOffset;
    if (!isSealed && durableOffset <= (this.#written.get(row)?.endOffset ?? segmentHeaderBytes)) return;
    const path = join(this.#directory, segmentFileName(id, stream));
    const hint = await this.#ports.scans.hintOf(path, { segment: { id, stream, nonce, segmentBytes }, endOffset: durableOffset, ...(isSealed && { sealSequence }) });
    if (hint === undefined) throw new Error('it does not end where it should');
    await this.#write(row, hint, durableOffset);
  }

  /** Not synced: a power cut takes the hint, or parts of it, and its checksums tell. */
  async #write(row: SegmentRow, hint: Uint8Array, endOffset: number): Promise<void> {
    const { files, log } = this.#ports;
    using room = this.#ledger.tryReserve(hint.byteLength);
    if (room === undefined) {
      log.debug('there is no room for the hint of a segment; the next start takes longer', { segment: row.id, bytes: hint.byteLength });
      return;
    }
    const partial = join(this.#directory, partialHintFileName(row.id));
    await files.discard(partial);
    try {
      await writeFile(files, partial, hint);
      await files.rename(partial, join(this.#directory, hintFileName(row.id)));
    } catch (thrown) {
      await files.discard(partial);
      throw thrown;
    }
    room.settle('hints', hint.byteLength);
    const before = this.#written.get(row);
    this.#written.set(row, { bytes: hint.byteLength, endOffset });
    if (before !== undefined) this.#ledger.remove('hints', before.bytes);
  }
}

async function writeFile(files: HintWriterPorts['files'], path: string, bytes: Uint8Array): Promise<void> {
  await using file = await files.createExclusive(path);
  await file.write(bytes);
}
