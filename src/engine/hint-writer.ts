// Sees to it that segments have hints, so that a start need not read them: of what is written now they come from its records, block by
// block; of what a start has found without one, or where that failed, from the segment, one at a time and at leisure. A hint that is
// not written costs the next start some time and nothing else, so nothing here fails anybody. docs/formats/hints.md
import { join } from 'node:path';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import { GrowingHints } from './growing-hints.ts';
import { HintFiles } from './hint-files.ts';
import type { HintFilesPorts } from './hint-files.ts';
import type { HintScans } from './hint-scan.ts';
import type { PlacedRecord } from './record-gather.ts';
import { segmentFileName, segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';
import type { SpaceLedger } from './space-ledger.ts';

export interface HintWriterPorts extends HintFilesPorts {
  readonly scans: HintScans;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
}

/** Between two segments that are read it rests as long as the last one took: after a start many may be without a hint. */
const restShare = 1;
/** At the end no other segment is read after this: the next start reads those that have no hint. */
const finishMsMax = 10_000;

export class HintWriter implements AsyncDisposable {
  readonly #ports: HintWriterPorts;
  readonly #directory: string;
  readonly #files: HintFiles;
  readonly #growing: GrowingHints;
  /** To be read; at most all segments. */
  readonly #wanted = new Set<SegmentRow>();
  /** To be given up: no hint of them comes to be any more. */
  readonly #dropped = new WeakSet<SegmentRow>();
  #running: Promise<void> | undefined;
  /** The segment that is being read. */
  #current: { readonly row: SegmentRow; readonly done: Promise<void> } | undefined;
  #endRest: (() => void) | undefined;
  /** Since the end is near. */
  #hurriedUntilMs: number | undefined;
  #isClosed = false;
  #hasFailed = false;

  /** @param directory `segments/` of the data directory. */
  constructor(ports: HintWriterPorts, ledger: SpaceLedger, directory: string) {
    this.#ports = ports;
    this.#directory = directory;
    this.#files = new HintFiles(ports, ledger, directory);
    this.#growing = new GrowingHints({
      files: this.#files,
      onLost: (row) => this.#want(row),
      onFailed: (row, reason) => this.#failed(row, reason),
      onWritten: () => (this.#hasFailed = false),
    });
  }

  /** What a start found; hints are placed in the ledger from here on. Once, before everything else. */
  begin(found: { readonly hints: readonly { readonly row: SegmentRow; readonly bytes: number }[]; readonly unhinted: readonly SegmentRow[] }): void {
    for (const { row, bytes } of found.hints) this.#files.found(row, bytes);
    for (const row of found.unhinted) this.#want(row);
  }

  /** The next records of the segment were written, and are not durable yet. */
  written(row: SegmentRow, records: readonly PlacedRecord[]): void {
    if (!this.#isClosed) this.#growing.written(row, records);
  }

  /** More of an open segment is durable. Costs nothing as long as it is little. */
  grown(row: SegmentRow): void {
    if (!this.#isClosed) this.#growing.grown(row);
  }

  /** The segment was sealed, durably. */
  sealed(row: SegmentRow): void {
    if (!this.#isClosed && !this.#dropped.has(row)) this.#growing.sealed(row);
  }

  /**
   * The segment is to be given up. Resolves when it has no hint and none will come: one that stayed would be found without
   * its segment, or beside another one's name. @throws CacheError `unavailable`.
   */
  async drop(row: SegmentRow): Promise<void> {
    this.#dropped.add(row);
    this.#wanted.delete(row);
    await this.#growing.drop(row);
    if (this.#current?.row === row) await this.#current.done;
    await this.#files.remove(row);
  }

  /** At a clean end: what is on its way is written, and segments without a hint are read without rests, for some seconds. Never rejects. */
  async finish(): Promise<void> {
    this.#hurriedUntilMs = this.#ports.clock.nowMs() + finishMsMax;
    this.#endRest?.();
    await this.idle();
  }

  /** Resolves when no hint is wanted. */
  async idle(): Promise<void> {
    await this.#growing.idle();
    while (this.#running !== undefined) await this.#running;
  }

  /** Ends the hint under way and makes no other. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#wanted.clear();
    this.#growing.end();
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
      if (await this.#scan(row)) this.#hasFailed = false;
    } catch (thrown) {
      this.#failed(row, thrown);
    }
  }

  /** Said once: a disk that is full or sick says so with every segment. */
  #failed(row: SegmentRow, reason: unknown): void {
    if (!this.#hasFailed) this.#ports.log.warn('the hint of a segment could not be written; the next start takes longer', { segment: row.id, reason: String(reason) });
    this.#hasFailed = true;
  }

  async #scan(row: SegmentRow): Promise<boolean> {
    const { id, stream, nonce, segmentBytes, sealSequence, endOffset, durableOffset } = row;
    if (stream === 'touch') return false;
    // A seal that is not durable yet may not be there after a power cut.
    const isSealed = sealSequence !== undefined && durableOffset >= endOffset;
    if (!isSealed && durableOffset === segmentHeaderBytes) return false;
    const path = join(this.#directory, segmentFileName(id, stream));
    const hint = await this.#ports.scans.hintOf(path, { segment: { id, stream, nonce, segmentBytes }, endOffset: durableOffset, ...(isSealed && { sealSequence }) });
    if (hint === undefined) throw new Error('it does not end where it should');
    return this.#files.replace(row, hint);
  }
}
