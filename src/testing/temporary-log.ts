// What a stream is written with, over watched files in a directory of its own: table, ledger and supply are the real ones;
// who makes room is whoever the test says.
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallOptions } from '../base/call-options.ts';
import type { SyncPort } from '../base/log-files.ts';
import { LogWriter } from '../engine/log-writer.ts';
import type { AppendRequest } from '../engine/append-request.ts';
import type { LogWriterOptions } from '../engine/log-writer.ts';
import { bytesOfRecord } from '../engine/record-gather.ts';
import { RecordScan } from '../engine/record-scan.ts';
import type { ScanEnd } from '../engine/record-scan.ts';
import { classifySegmentFile, decodeSegmentHeader, nonceCrc, segmentHeaderBytes } from '../engine/segment-format.ts';
import { SegmentSupply } from '../engine/segment-supply.ts';
import { SegmentTable } from '../engine/segment-table.ts';
import { SequenceNumbers } from '../engine/sequence-numbers.ts';
import { SpaceLedger } from '../engine/space-ledger.ts';
import type { SpaceReservation } from '../engine/space-ledger.ts';
import type { Taken } from '../engine/trash.ts';
import { nextTurn } from '../platform/clocks.ts';
import { systemRandom } from '../platform/random.ts';
import { ManualClock } from './manual-clock.ts';
import { RecordedLog } from './recorded-log.ts';
import { HeldSyncs, WatchedLogFiles } from './watched-log-files.ts';

/** The shortest there are. */
export const shortSegmentBytes = 2 ** 20;

/** A record as a scan of its segment finds it. */
export interface FoundRecord {
  readonly segmentId: number;
  readonly offset: number;
  readonly kind: string;
  readonly sequence: number;
  readonly payload: string;
  readonly durableMark: number;
}

/** Of one segment: all of its records, durable or not. */
export interface ScannedSegment {
  readonly name: string;
  readonly id: number;
  readonly firstSequence: number;
  readonly records: readonly FoundRecord[];
  readonly end: ScanEnd;
}

export interface TemporaryLog extends AsyncDisposable {
  readonly directory: string;
  readonly files: WatchedLogFiles;
  readonly syncs: HeldSyncs;
  readonly clock: ManualClock;
  readonly log: RecordedLog;
  readonly table: SegmentTable;
  readonly sequences: SequenceNumbers;
  readonly ledger: SpaceLedger;
  readonly supply: SegmentSupply;
  /** Names of files that were thrown away. */
  readonly trashed: string[];
  /** What makes room: at first, what is free in the supply or in the ledger, else nothing. */
  freeSegment: (options?: CallOptions) => Promise<SpaceReservation | 'free'>;
  /** How often it was asked to look what is missing. */
  trims: number;
  /** Syncs a file that is made ahead: at once, at first. */
  syncAhead: (options?: CallOptions) => Promise<void>;
  /** Of blobs; over `syncs`, unless others are given. */
  writer(options?: Partial<LogWriterOptions>, smallSyncs?: SyncPort): LogWriter;
  /** What is in the directory, sorted. */
  names(): Promise<readonly string[]>;
  /** What a start would find, by id. */
  scan(): Promise<readonly ScannedSegment[]>;
}

export async function openTemporaryLog(options: { readonly maxBytes?: number; readonly segmentBytes?: number } = {}): Promise<TemporaryLog> {
  const root = await mkdtemp(join(tmpdir(), 'kiln-log-'));
  const directory = join(root, 'segments');
  await mkdir(directory);
  const files = new WatchedLogFiles();
  const [syncs, clock, log, table, sequences] = [new HeldSyncs(files), new ManualClock(1_700_000_000_000), new RecordedLog(), new SegmentTable(), new SequenceNumbers(1)];
  const ledger = new SpaceLedger({ maxBytes: options.maxBytes ?? 64 * shortSegmentBytes, diskFloorBytes: 0 });
  const segmentBytes = options.segmentBytes ?? shortSegmentBytes;
  const trashed: string[] = [];
  const trash = {
    take: async ({ path, allocatedBytes }: { readonly path: string; readonly allocatedBytes: number }): Promise<Taken> => {
      trashed.push(path.slice(directory.length + 1));
      const wasThere = await files.remove(path);
      ledger.remove('trash', allocatedBytes);
      return { wasThere, unsynced: undefined };
    },
  };
  const parts = { table, ledger, sequences, trash, room: { freeSegment: (asked?: CallOptions) => opened.freeSegment(asked), trim: () => void (opened.trims += 1) }, largeSyncs: { syncAhead: (_file: { readonly fd: number }, _bytes: number, asked?: CallOptions) => opened.syncAhead(asked) } };
  const supply = await SegmentSupply.open({ directory, segmentBytes }, parts, { files, smallSyncs: syncs, random: systemRandom, wallClock: clock, monotonicClock: clock, log });
  const opened: TemporaryLog = {
    directory, files, syncs, clock, log, table, sequences, ledger, supply, trashed,
    trims: 0,
    syncAhead: () => Promise.resolve(),
    freeSegment: async () => {
      if (supply.freeCount > 0) return 'free';
      const room = ledger.tryReserve(segmentBytes);
      if (room === undefined) throw new Error('the test has no more room');
      return room;
    },
    writer: (writerOptions, smallSyncs = syncs) =>
      new LogWriter({ table, supply, sequences }, { smallSyncs, timers: clock, nextTurn, log }, { stream: 'blob', durability: 'durable', ...writerOptions }),
    names: async () => (await readdir(directory)).toSorted(),
    scan: () => scanAll(directory),
    async [Symbol.asyncDispose]() {
      await files[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
  return opened;
}

/** A blob with that payload. */
export function blobRecord(payload: string | Uint8Array): AppendRequest {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return { kind: 'blob', functionNumber: 1, hash: new Uint8Array(32).fill(bytes.byteLength), instance: '', logicalBytes: bytes.byteLength, usedAtS: 1_700_000_000, payload: bytes };
}

export function bytesOfBlob(payload: string | Uint8Array): number {
  return bytesOfRecord(blobRecord(payload));
}

async function scanAll(directory: string): Promise<readonly ScannedSegment[]> {
  const found: ScannedSegment[] = [];
  for (const name of (await readdir(directory)).toSorted()) {
    if (classifySegmentFile(name).kind !== 'segment') continue;
    const bytes = await readFile(join(directory, name));
    const decoded = decodeSegmentHeader(bytes);
    if (decoded.kind !== 'segment') throw new Error(`${name} has no header: ${decoded.kind}`);
    const { id, nonce, segmentBytes, firstSequence } = decoded.header;
    const scan = new RecordScan({ offset: segmentHeaderBytes, endOffset: segmentBytes, nonceCrc: nonceCrc(nonce), recordsBefore: 0 });
    const records: FoundRecord[] = [];
    for (const event of scan.push(bytes.subarray(segmentHeaderBytes))) {
      if (event.kind !== 'record') throw new Error(`${name} has ${event.kind}`);
      const { offset, kind, sequence, durableMark } = event.head;
      records.push({ segmentId: id, offset, kind, sequence, payload: event.payload.toString('latin1'), durableMark });
    }
    found.push({ name, id, firstSequence, records, end: scan.end() });
  }
  return found;
}
