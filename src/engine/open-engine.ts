// Puts the engine together, in the order in which its parts need each other, and makes it ready: the log is read and mended,
// what uploads and removals left in the middle is settled, and only then anything is served.
import { join } from 'node:path';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Digest } from '../digest/digest.ts';
import type { Slot } from './blob-index.ts';
import { CutNames } from './cut-names.ts';
import { digestText } from './digest-text.ts';
import { layGround } from './engine-ground.ts';
import type { EngineGround } from './engine-ground.ts';
import type { EngineOptions, EnginePorts } from './engine-options.ts';
import type { EngineParts } from './engine-parts.ts';
import { defaultStoreBytes, lowWatermarkBytesOf, segmentBytesOf, valueRecordBytesMax } from './engine-sizes.ts';
import { EvictionJournal } from './eviction-journal.ts';
import { Evictor } from './evictor.ts';
import { FileHistory } from './file-history.ts';
import { FileVictims } from './file-victims.ts';
import { takeInFiles } from './found-files.ts';
import { HintWriter } from './hint-writer.ts';
import { HotRecords } from './hot-records.ts';
import { KeyWords, blobTag } from './key-words.ts';
import { LargeFiles } from './large-files.ts';
import { LeaseBook } from './lease-book.ts';
import { recoverLog } from './log-recovery.ts';
import type { RecoveredLog } from './log-recovery.ts';
import { LogWriter } from './log-writer.ts';
import { settleOrphans } from './settle-orphans.ts';
import { PageCacheGuess } from './page-cache-guess.ts';
import { Quarantine } from './quarantine.ts';
import { RecordQuarantine } from './record-quarantine.ts';
import { RecordReads } from './record-reads.ts';
import { RoomMaker } from './room-maker.ts';
import type { StreamName } from './segment-format.ts';
import { SegmentRecycler } from './segment-recycler.ts';
import { SegmentStore } from './segment-store.ts';
import { SegmentSupply } from './segment-supply.ts';
import { SequenceNumbers } from './sequence-numbers.ts';
import { SmallPuts } from './small-puts.ts';
import type { SpaceReservation } from './space-ledger.ts';
import { io } from './storage-error.ts';
import { Trash } from './trash.ts';
import { uploadsDirectoryName } from './upload-names.ts';
import { takeInUnnamed } from './unnamed-files.ts';
import { UnsettledMark } from './unsettled-mark.ts';
import { Uploads, uploadIdleMsMaxDefault, uploadIdleShareDefault } from './uploads.ts';
import { UseLog } from './use-log.ts';
import { ValuePuts } from './value-puts.ts';

/** A tenth of the store may be ruins. */
const quarantineShare = 0.1;
/** Of the store, for segments of values, while there is something else to evict. */
const valueShare = 0.1;
/** Calls in line for a permit; beyond that the server is busy. */
const waitersMax = 10_000;
/** Segments that stay open: all of a store of 64 GiB. */
const openSegmentsMax = 1_024;
/** Reads of the log that may go to the disk, at the same time. */
const recordReadsMax = 64;
/** What is left of a claim for the head of a record, so that a blob of the largest size fits. */
const recordHeadRoom = 256;

/** @throws as `StoreEngine.open`. */
export async function openEngine(options: EngineOptions, ports: EnginePorts): Promise<EngineParts> {
  await using opening = new AsyncDisposableStack();
  const ground = layGround(options, ports);
  const found = await readLog(options, ports, ground);
  const leases = openLeases(options, ports, ground);
  const log = await openLog(options, ports, { ground, found, end: opening });
  const files = await openFiles(options, ports, { ground, found, leases, log, end: opening });
  const upkeep = openUpkeep(options, ports, { ground, found, leases, log, files, end: opening });
  log.supply.prepare();
  upkeep.evictor.start();
  ground.names.serve();
  return assemble(options, ports, { ground, found, leases, log, files, upkeep, end: opening });
}

/** What the start has found, and where it keeps what is wrong. */
interface Found {
  readonly quarantine: Quarantine;
  readonly recovered: RecoveredLog;
  readonly unsettled: UnsettledMark;
  /** As a start before has left it. */
  readonly wasUnsettled: boolean;
  readonly maxBytes: number;
}

async function readLog({ directory, maxBytes }: EngineOptions, { files, smallSyncs, log }: EnginePorts, ground: EngineGround): Promise<Found> {
  const { directories, ledger, entries, table, nowS } = ground;
  const { freeBytes } = await files.space(directory);
  const bytesMax = Math.floor((maxBytes ?? defaultStoreBytes(freeBytes, 0)) * quarantineShare);
  const quarantine = await Quarantine.open({ files, directories, ledger }, join(directory, 'quarantine'), { bytesMax });
  const unsettled = new UnsettledMark({ files, directories, log }, directory);
  const wasUnsettled = await unsettled.isSet();
  const recovered = await recoverLog(
    { entries, segments: table, ledger },
    { files, syncs: smallSyncs, directories, damage: quarantine, onLoss: () => unsettled.set(), log },
    { directory: segmentsOf(directory), nowS: nowS() },
  );
  takeInFiles(entries, ledger, ground.sieve);
  if (maxBytes === undefined) ledger.setMax(defaultStoreBytes(freeBytes, ledger.usedBytes));
  const { report } = recovered;
  if (!report.wasClosed) log.info('the store was not closed the last time; what was not acknowledged then is gone', { segments: report.segments, scannedBytes: report.scannedBytes, cutBytes: report.cutBytes });
  return { quarantine, recovered, unsettled, wasUnsettled, maxBytes: ledger.maxBytes };
}

function openLeases({ leases }: EngineOptions, { monotonicClock, log }: EnginePorts, { ages, ledger, uses, entries, nowS }: EngineGround): LeaseBook {
  return new LeaseBook({ ages, ledger, monotonicClock, log }, { leases, onUnpinned: ({ words, tag }) => uses.noteKey(entries.blobs, words, tag, nowS()) });
}

/** Who writes and reads the log. */
interface OpenedLog {
  readonly hints: HintWriter;
  readonly store: SegmentStore;
  readonly hot: HotRecords;
  readonly trash: Trash;
  readonly supply: SegmentSupply;
  readonly writers: Readonly<Record<StreamName, LogWriter>>;
  readonly smallPuts: SmallPuts;
  /** Of blobs that are records. */
  readonly smallBytesMax: number;
  /** Makes room, once it is there: it needs everything else. */
  readonly room: RoomMaker;
}

interface Opening {
  readonly ground: EngineGround;
  readonly found: Found;
  readonly end: AsyncDisposableStack;
}

async function openLog({ directory, durability, pageCacheBytes, hotRecordBytes = 0, segmentBytes, smallBytesMax }: EngineOptions, ports: EnginePorts, { ground, found, end }: Opening): Promise<OpenedLog> {
  const { files, scans, monotonicClock: clock, timers, log } = ports;
  const { directories, ledger, entries, table, largeSyncs, pacer, nowS } = ground;
  const { recovered, maxBytes } = found;
  const segments = segmentsOf(directory);
  const hot = new HotRecords(hotRecordBytes);
  const store = end.use(
    new SegmentStore(
      { files, clock, guess: new PageCacheGuess(pageCacheBytes), hot },
      { table, entries },
      { directory: segments, openFilesMax: openSegmentsMax, readsMax: recordReadsMax, waitingReadsMax: waitersMax },
    ),
  );
  const hints = end.use(new HintWriter({ files, scans, clock, timers, log }, ledger, segments));
  hints.begin(recovered);
  const trash = await Trash.open(directory, { files, directories, ledger, largeSyncs, timers, log });
  end.defer(() => trash.close());
  const room = new RoomMaker();
  const sequences = new SequenceNumbers(Math.max(1, recovered.nextSequence));
  const supply = await SegmentSupply.open({ directory: segments, segmentBytes: segmentBytes ?? segmentBytesOf(maxBytes) }, { table, ledger, sequences, room, largeSyncs, trash }, ports);
  end.defer(() => supply.close());
  for (const { number, bytes } of recovered.free) supply.adopt(number, bytes);
  const writerOf = (stream: StreamName): LogWriter =>
    new LogWriter({ table, supply, sequences }, ports, {
      stream,
      durability,
      onSync: (microseconds) => pacer.smallSync(microseconds),
      onWritten: (row, records) => hints.written(row, records),
      onGrown: (row) => hints.grown(row),
      onSealed: (row) => hints.sealed(row),
    });
  const writers = { blob: writerOf('blob'), value: writerOf('value'), touch: writerOf('touch') };
  end.defer(async () => {
    await Promise.all(Object.values(writers).map((writer) => writer.close()));
    await hints.finish();
  });
  return {
    hints, store, hot, trash, supply, writers, room,
    smallPuts: new SmallPuts({ entries, writer: writers.blob, nowS, written: store.written.bind(store) }),
    smallBytesMax: Math.min(smallBytesMax, writers.blob.claimBytesMax - recordHeadRoom),
  };
}

/** Who has the large files. */
interface OpenedFiles {
  readonly large: LargeFiles;
  readonly uploads: Uploads;
  readonly writes: Semaphore;
}

async function openFiles({ directory, openReadsMax, openWritesMax }: EngineOptions, ports: EnginePorts, { ground, found, leases, log, end }: Opening & { readonly leases: LeaseBook; readonly log: OpenedLog }): Promise<OpenedFiles> {
  const { files, hashes, timers, smallSyncs } = ports;
  const { directories, entries, uses, table, ledger, layout, sieve, intents, largeSyncs, nowS, time } = ground;
  const { store, trash, writers, room, smallPuts, smallBytesMax } = log;
  const { orphans, report } = found.recovered;
  const history = new FileHistory(writers.blob, nowS);
  const orphanParts = { directories, layout, entries, history, ledger, sieve, nowS };
  const isDamaged = found.wasUnsettled || report.isBlobStreamDamaged || report.hasLostSegments;
  await settleOrphans(orphans, isDamaged, { files, hashes, log: ports.log }, orphanParts);
  if (isDamaged) {
    await takeInUnnamed({ files, log: ports.log }, orphanParts);
    await found.unsettled.clear();
  }
  const writes = new Semaphore('open files to write', { permitsMax: openWritesMax, waitersMax });
  const reserve = (bytes: number, options?: CallOptions): MaybePromise<SpaceReservation> => room.reserve(bytes, options);
  const large = new LargeFiles(
    { files, hashes, timers, log: ports.log },
    {
      uploadsDirectory: join(directory, uploadsDirectoryName),
      layout,
      entries,
      segments: table,
      blobLog: writers.blob,
      records: store,
      ledger,
      directories,
      trash,
      quarantine: found.quarantine,
      largeSyncs,
      sieve,
      intents,
      writes,
      reserve,
      touch: (slot) => uses.note(entries.blobs, slot, nowS()),
      nowS,
    },
    { openMax: openReadsMax, waitersMax },
  );
  end.defer(() => large.close());
  const key = new KeyWords();
  const slotOf = (digest: Digest): Slot => (key.setHash(blobTag(digest.function.wireValue), digest.hash) ? entries.blobs.find(key) : -1);
  const uploads = await Uploads.open(
    directory,
    { idleBytesMax: Math.floor(found.maxBytes * uploadIdleShareDefault), idleMsMax: uploadIdleMsMaxDefault },
    { files, directories, smallSyncs, largeSyncs, hashes, time, timers, log: ports.log },
    {
      ledger,
      trash,
      publisher: large.publisher,
      writes,
      reserve,
      isStored: (digest) => slotOf(digest) !== -1,
      admit: (bytes) => leases.admit(bytes, nowS()),
      smallBytesMax,
      budget: ports.budget ?? unboundedByteBudget(),
      async putSmall(digest, bytes, putOptions) {
        const slot = slotOf(digest);
        if (slot !== -1) return uses.note(entries.blobs, slot, nowS());
        if (ledger.isFloorLost) await room.checkFloor(putOptions);
        return smallPuts.put(digest, bytes, putOptions);
      },
    },
  );
  end.defer(() => uploads.close());
  return { large, uploads, writes };
}

/** Who makes room. */
interface Upkeep {
  readonly evictions: EvictionJournal;
  readonly evictor: Evictor;
  readonly recycler: SegmentRecycler;
  readonly valuePuts: ValuePuts;
}

function openUpkeep(options: EngineOptions, ports: EnginePorts, { ground, found, leases, log, files, end }: Opening & { readonly leases: LeaseBook; readonly log: OpenedLog; readonly files: OpenedFiles }): Upkeep {
  const { ledger, table, entries, uses, sieve, intents, layout, nowS } = ground;
  const { store, supply, writers, trash, room } = log;
  const { monotonicClock, timers, nextTurn } = ports;
  const evictions = new EvictionJournal({ monotonicClock, log: ports.log, nowS });
  const valuePuts = new ValuePuts({ entries, writer: writers.value, nowS, written: store.written.bind(store) });
  const recycler = new SegmentRecycler({
    ...log,
    table,
    logs: writers,
    entries,
    intents,
    isBeingPut: (key) => valuePuts.isKeyUnderWay(key),
    names: new CutNames(ports.files, layout),
    leases,
    damage: found.quarantine,
    onDropped: ({ head, bytes, usedAtS }) => evictions.evicted(head.kind === 'blob' ? 'blob' : 'value', bytes, usedAtS, () => digestText(head.functionNumber, Buffer.from(head.hash).toString('hex'))),
    nowS,
    nextTurn,
    log: ports.log,
  });
  const useLog = new UseLog({ writer: writers.touch, table, recycler, entries, nowS, timers, nextTurn, log: ports.log });
  uses.begin(useLog);
  const evictor = new Evictor(
    {
      ledger,
      table,
      entries,
      victims: new FileVictims({ order: sieve, entries, files: files.large, leases, nowS, nextTurn }),
      leases,
      journal: evictions,
      supply,
      recycler,
      writers,
      trash,
      uploads: files.uploads,
      freeBytes: async () => (await io('look how much of the disk is free', ports.files.space(options.directory))).freeBytes,
      nowS,
      monotonicClock,
      timers,
      nextTurn,
      log: ports.log,
    },
    { lowWatermarkBytes: lowWatermarkBytesOf(found.maxBytes, options.lowWatermarkShare), ageMaxMs: options.ageMaxMs, countMax: options.countMax, valueShare },
  );
  room.begin(evictor);
  // As long as anybody writes, room is made; and what has to be written down to make it needs the log.
  end.defer(() => evictor.close());
  end.defer(() => useLog.close());
  end.defer(() => files.uploads.close());
  return { evictions, evictor, recycler, valuePuts };
}

interface Opened extends Opening {
  readonly leases: LeaseBook;
  readonly log: OpenedLog;
  readonly files: OpenedFiles;
  readonly upkeep: Upkeep;
}

function assemble({ leaseMs }: EngineOptions, { hashes, log }: EnginePorts, opened: Opened): EngineParts {
  const { ledger, table, entries, uses, nowS, time, renewAfterS } = opened.ground;
  const { store, hot, supply, writers, smallPuts, smallBytesMax } = opened.log;
  const { quarantine } = opened.found;
  const { large, uploads, writes } = opened.files;
  const { valuePuts } = opened.upkeep;
  const recordQuarantine = new RecordQuarantine({ entries, table, store, writers, keeping: quarantine, nowS, log });
  const useValue = (slot: Slot): void => uses.note(entries.values, slot, nowS());
  return {
    ...opened.upkeep,
    leases: opened.leases,
    smallBytesMax,
    valueRecordBytesMax: Math.min(valueRecordBytesMax, writers.value.claimBytesMax),
    leaseMs,
    renewAfterMs: renewAfterS * 1_000,
    ledger,
    table,
    entries,
    uses,
    store,
    supply,
    writers,
    smallPuts,
    hot,
    reads: new RecordReads({ entries, store, hot, quarantine: recordQuarantine, smallPuts, valuePuts, useValue }),
    files: large,
    uploads,
    writes,
    quarantine,
    recordQuarantine,
    corruptFiles: { count: 0 },
    lostAtStart: opened.found.recovered.report.lostCount,
    hashes,
    time,
    nowS,
    log,
    end: opened.end.move(),
  };
}

function segmentsOf(directory: string): string {
  return join(directory, 'segments');
}
