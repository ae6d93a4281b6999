// The start of the log: reads hints and segments, fills the indexes, and then ends every segment that was being written, so
// that whatever was found is durable before anybody is told of it. Nothing on disk is changed before all was read, and a
// second start finds nothing to do. docs/formats/segments.md, "Damage, and what a start does"
import { join } from 'node:path';
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import type { DurableDirectories } from './durable-directories.ts';
import { hintEntryBytes } from './hint-format.ts';
import type { LiveEntries } from './live-entries.ts';
import { orphanedFiles } from './orphaned-files.ts';
import type { OrphanedFile } from './orphaned-files.ts';
import { readAhead } from './read-ahead.ts';
import { recordFixedBytes } from './record-codec.ts';
import { RecoveryFold } from './recovery-fold.ts';
import { findSegment, openFound } from './segment-finding.ts';
import type { FoundSegment } from './segment-finding.ts';
import { freeFileName, hintFileName, segmentBytesMost, segmentHeaderBytes } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import { listSegments } from './segment-listing.ts';
import type { ListedSegment, SegmentListing } from './segment-listing.ts';
import { SegmentMending, lacksRecords } from './segment-mending.ts';
import type { DamageKeeping, FreeFile, ReadSegment, WrongSegment } from './segment-mending.ts';
import { SegmentReader } from './segment-reader.ts';
import type { DamagedRange, ReadableSegment } from './segment-reader.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';
import type { SpaceLedger } from './space-ledger.ts';
import { io } from './storage-error.ts';

/** What is filled. Empty before; of no use when the start fails. */
export interface RecoveredParts {
  readonly entries: LiveEntries;
  readonly segments: SegmentTable;
  /** Segments are placed here; free files and hints by who owns them from then on. */
  readonly ledger: SpaceLedger;
}

export interface RecoveryPorts {
  readonly files: Pick<LogFileSystem, 'openLog' | 'list' | 'status' | 'rename' | 'remove'>;
  /** For the log. */
  readonly syncs: SyncPort;
  readonly directories: DurableDirectories;
  readonly damage: DamageKeeping;
  /** Awaited before anything is changed on disk, where commits may be lost: once it is set apart, a later start does not find the damage again. */
  readonly onLoss?: () => Promise<void>;
  readonly log: Log;
}

export interface RecoveryOptions {
  /** `segments/` of the data directory. */
  readonly directory: string;
  /** Now, in seconds since 1970. */
  readonly nowS: number;
}

export interface RecoveryReport {
  readonly segments: number;
  /** Segments that were not read, or not from the beginning, since a hint told of them. */
  readonly hints: number;
  readonly scannedBytes: number;
  /** Records, tombstones included. */
  readonly records: number;
  /** Of torn tails. */
  readonly cutBytes: number;
  /** Whole segments too: from 0 on. Of what was cut off: from there on. */
  readonly damaged: readonly (DamagedRange & { readonly segmentId: number; readonly stream: StreamName })[];
  /** Records that this start has found to be lost, as far as it can tell; segments that cannot be told at all count as one. */
  readonly lostCount: number;
  /** A commit may be what is damaged, so files named by intents alone are looked at before they go, and others looked for. */
  readonly isBlobStreamDamaged: boolean;
  /** Segments seem to be gone, and commits with them: somebody has removed them, or a power cut has brought back the hint of one that was given up. */
  readonly hasLostSegments: boolean;
  /** All segments were ended. */
  readonly wasClosed: boolean;
  /** Nothing was changed on disk. */
  readonly isClean: boolean;
}

export interface RecoveredLog {
  /** Above all that are in use. */
  readonly nextSequence: number;
  /** Files that may become segments. */
  readonly free: readonly FreeFile[];
  /** Names of `objects/` to be settled before anything is served. */
  readonly orphans: readonly OrphanedFile[];
  readonly hints: readonly { readonly row: SegmentRow; readonly bytes: number }[];
  /** Segments that should have a hint, or one that tells of their seal. */
  readonly unhinted: readonly SegmentRow[];
  readonly report: RecoveryReport;
}

/**
 * Reads the log and makes it ready to go on. Everything in the indexes is durable when it resolves.
 * @throws CacheError `failed_precondition` (a newer Kiln wrote here, or the directory was put together by hand; nothing was
 *   changed), `unavailable`, `disk_full`.
 */
export async function recoverLog(parts: RecoveredParts, ports: RecoveryPorts, options: RecoveryOptions): Promise<RecoveredLog> {
  return new LogRecovery(parts, ports, options).run();
}

/** What is kept of what was found: hints themselves are long. */
interface HintState {
  /** Undefined: it has none that can be believed. */
  readonly hint: { readonly bytes: number; readonly isSealed: boolean } | undefined;
  readonly wrongHint: string | undefined;
}

type FoundState = Pick<RecoveryReport, 'isClean' | 'hasLostSegments'>;

/** An entry, and a block, for each of the shortest records that the longest segment can have. */
const hintBytesMost = 2 * hintEntryBytes * Math.ceil(segmentBytesMost / recordFixedBytes);
const noMemory = Buffer.alloc(0);
/** Hints that are looked at together before any is read. */
const looksAhead = 16;
/** Segments whose hints are in memory: one is taken in while the next is on its way. */
const segmentsAhead = 2;

class LogRecovery {
  readonly #parts: RecoveredParts;
  readonly #ports: RecoveryPorts;
  readonly #options: RecoveryOptions;
  readonly #fold: RecoveryFold;
  readonly #read: (ReadSegment & HintState)[] = [];
  readonly #wrong: WrongSegment[] = [];
  /** Of those that were read. */
  readonly #cut: ReadSegment[] = [];
  #unsealed = 0;

  constructor(parts: RecoveredParts, ports: RecoveryPorts, options: RecoveryOptions) {
    this.#parts = parts;
    this.#ports = ports;
    this.#options = options;
    this.#fold = new RecoveryFold(parts.entries, parts.segments);
  }

  async run(): Promise<RecoveredLog> {
    const { directories, files, log } = this.#ports;
    const { directory, nowS } = this.#options;
    await directories.ensure(directory);
    // After a kill the names may be in the page cache alone, and what is counted on must not go back to what it was.
    await directories.sync(directory);
    const listing = listSegments((await io(`list ${directory}`, files.list(directory))) ?? []);
    if (listing.foreign.length > 0) log.warn(`${directory} has files that are not Kiln's; they are left alone`, { count: listing.foreign.length, first: listing.foreign[0] });
    await this.#readAll(listing);
    const free = await this.#freeFiles(listing);
    const hasLostSegments = listing.hasLoneHints || !listing.segments.some(({ stream }) => stream === 'blob');
    if (hasLostSegments || this.#isBlobStreamDamaged()) await this.#ports.onLoss?.();
    const mending = new SegmentMending(this.#ports, directory);
    const blanks = await mending.setApart(this.#wrong, (listing.free.at(-1) ?? -1) + 1);
    await mending.keepDamage(this.#read);
    for (const segment of this.#read) {
      if (segment.end.sealSequence !== undefined) continue;
      this.#unsealed += 1;
      if (segment.end.isCut) this.#cut.push(segment);
      const sequence = this.#fold.sequenceMax + 1;
      if (await mending.seal(segment, { sequence, nowS })) this.#fold.noteSequence(sequence);
    }
    await mending.remove([...listing.leftovers, ...this.#uselessHints()]);
    if (mending.haveNamesChanged) await directories.sync(directory);
    return this.#recovered([...free, ...blanks], { isClean: mending.isClean, hasLostSegments });
  }

  /** Changes nothing on disk. */
  async #readAll({ segments }: SegmentListing): Promise<void> {
    const { files } = this.#ports;
    const { directory, nowS } = this.#options;
    const hintBytesMax = await this.#beginFill(segments);
    // The one that was read before the last is done with when the next is asked for.
    const memories = Array.from({ length: segmentsAhead }, () => Buffer.allocUnsafeSlow(hintBytesMax));
    let asked = 0;
    const find = (listed: ListedSegment): Promise<FoundSegment> => findSegment(files, { directory, hintMemory: memories[asked++ % segmentsAhead] ?? noMemory }, listed);
    const { blobs, values } = this.#parts.entries;
    const reader = new SegmentReader(this.#fold, this.#parts.entries, nowS);
    for await (const found of readAhead(segments, segmentsAhead, find)) {
      if (found.kind === 'wrong') {
        this.#wrong.push(found);
        this.#parts.segments.skipIds(Math.max(found.listed.id, found.foundId ?? 0) + 1);
        continue;
      }
      const row = this.#addRow(found);
      const end = await reader.read(found, row, () => openFound(files, join(directory, found.listed.name), 'read'));
      row.endOffset = end.endOffset;
      row.durableOffset = end.endOffset;
      row.records = end.records;
      row.sealSequence = end.sealSequence;
      const { listed, hint, wrongHint } = found;
      this.#read.push({ listed, row, sizeBytes: found.sizeBytes, end, wrongHint, hint: hint === undefined ? undefined : { bytes: hint.bytes, isSealed: hint.sealSequence !== undefined } });
    }
    blobs.endFill();
    values.endFill();
  }

  /** By the lengths of the hints: a table that grows under way copies each entry several times. What is not there any more is in them too. @returns the length of the longest. */
  async #beginFill(segments: readonly ListedSegment[]): Promise<number> {
    const { files } = this.#ports;
    const entries = { blob: 0, value: 0, touch: 0 };
    let bytesMax = 0;
    const look = async ({ id, stream }: ListedSegment): Promise<void> => {
      const status = await io('look at hints', files.status(join(this.#options.directory, hintFileName(id))));
      const bytes = status?.sizeBytes ?? 0;
      if (bytes > hintBytesMost) return; // of no segment
      entries[stream] += Math.floor(bytes / hintEntryBytes);
      bytesMax = Math.max(bytesMax, bytes);
    };
    const hinted = segments.filter(({ hasHint }) => hasHint);
    for await (const _looked of readAhead(hinted, looksAhead, look));
    this.#parts.entries.blobs.beginFill(entries.blob);
    this.#parts.entries.values.beginFill(entries.value);
    return bytesMax;
  }

  #addRow({ header }: ReadableSegment): SegmentRow {
    const { id, stream, nonce, segmentBytes, begunMs } = header;
    this.#parts.ledger.place('segments', segmentBytes);
    const begunS = Math.min(this.#options.nowS, Math.floor(begunMs / 1000));
    return this.#parts.segments.add({ id, stream, nonce, segmentBytes, begunS, state: 'sealed', endOffset: segmentHeaderBytes, records: 0, sealSequence: undefined });
  }

  async #freeFiles({ free }: SegmentListing): Promise<readonly FreeFile[]> {
    const found: FreeFile[] = [];
    for (const number of free) {
      const status = await io('look at free segments', this.#ports.files.status(join(this.#options.directory, freeFileName(number))));
      if (status !== undefined) found.push({ number, bytes: status.sizeBytes });
    }
    return found;
  }

  #uselessHints(): readonly string[] {
    const useless: string[] = [];
    for (const { listed, wrongHint } of this.#read) {
      if (wrongHint === undefined) continue;
      this.#ports.log.debug(`the hint of segments/${listed.name} is of no use, and the segment was read`, { reason: wrongHint });
      useless.push(hintFileName(listed.id));
    }
    for (const { listed } of this.#wrong) if (listed.hasHint) useless.push(hintFileName(listed.id));
    return useless;
  }

  async #recovered(free: readonly FreeFile[], state: FoundState): Promise<RecoveredLog> {
    const hints: { row: SegmentRow; bytes: number }[] = [];
    const unhinted: SegmentRow[] = [];
    for (const { hint, row } of this.#read) {
      if (hint !== undefined) hints.push({ row, bytes: hint.bytes });
      if (hint?.isSealed !== true && row.stream !== 'touch') unhinted.push(row);
    }
    const orphans = await orphanedFiles(this.#ports, this.#options.directory, this.#fold.orphans());
    return { nextSequence: this.#fold.sequenceMax + 1, free, orphans, hints, unhinted, report: this.#report(hints.length, state) };
  }

  #isBlobStreamDamaged(): boolean {
    const isWrong = ({ row, end }: ReadSegment): boolean => row.stream === 'blob' && (end.damage.length > 0 || end.isCut || end.hasGap || lacksRecords(end));
    return this.#wrong.some(({ listed }) => listed.stream === 'blob') || this.#read.some(isWrong);
  }

  #report(hints: number, { isClean, hasLostSegments }: FoundState): RecoveryReport {
    const damaged = [
      ...this.#wrong.map(({ listed, sizeBytes }) => ({ segmentId: listed.id, stream: listed.stream, from: 0, to: sizeBytes })),
      ...this.#read.flatMap(({ row, end }) => end.damage.map(({ from, to }) => ({ segmentId: row.id, stream: row.stream, from, to }))),
      ...this.#cut.map(({ row, sizeBytes }) => ({ segmentId: row.id, stream: row.stream, from: sizeBytes, to: row.segmentBytes })),
    ];
    return {
      segments: this.#read.length,
      hints,
      scannedBytes: sum(this.#read, ({ end }) => end.scannedBytes),
      records: this.#fold.taken,
      cutBytes: sum(this.#read, ({ end }) => end.cutBytes),
      damaged,
      lostCount: sum(this.#read, ({ end }) => Math.max(end.damage.length, lacksRecords(end) ? (end.sealedRecords ?? 0) - end.records : 0)) + this.#wrong.length + this.#cut.length,
      isBlobStreamDamaged: this.#isBlobStreamDamaged(),
      hasLostSegments,
      wasClosed: this.#unsealed === 0,
      isClean,
    };
  }
}

function sum(read: readonly ReadSegment[], bytesOf: (one: ReadSegment) => number): number {
  return read.reduce((total, one) => total + bytesOf(one), 0);
}
