// Large files on a simulated machine, with a start that finds again what was there: everything real but the log, whose simple
// form is enough to say what files there are. With ways to break each of their promises.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import { Semaphore } from '../base/semaphore.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctionNumbered, sha256 } from '../digest/digest-function.ts';
import { BlobIndex } from '../engine/blob-index.ts';
import { DirectorySyncs } from '../engine/directory-syncs.ts';
import { DurableDirectories } from '../engine/durable-directories.ts';
import { FileHistory } from '../engine/file-history.ts';
import { KeyWords, blobTag } from '../engine/key-words.ts';
import { LargeFiles } from '../engine/large-files.ts';
import { LargeSyncs } from '../engine/large-syncs.ts';
import { LiveEntries } from '../engine/live-entries.ts';
import type { AppendRequest } from '../engine/append-request.ts';
import { ObjectLayout } from '../engine/object-layout.ts';
import { settleOrphans } from '../engine/settle-orphans.ts';
import type { OrphanedFile } from '../engine/orphaned-files.ts';
import { Quarantine } from '../engine/quarantine.ts';
import { RecoveryFold } from '../engine/recovery-fold.ts';
import { RunningIntents } from '../engine/running-intents.ts';
import { SegmentTable } from '../engine/segment-table.ts';
import { SieveOrder } from '../engine/sieve-order.ts';
import { SpaceLedger } from '../engine/space-ledger.ts';
import { SyncPacer } from '../engine/sync-pacer.ts';
import { Trash } from '../engine/trash.ts';
import { UseAges } from '../engine/use-ages.ts';
import { emptyDisk } from './disk-image.ts';
import type { DiskImage } from './disk-image.ts';
import { systemError } from './faulty-file-system.ts';
import { SimpleFileLog } from './simple-file-log.ts';
import type { FoundHistory } from './simple-file-log.ts';
import { SimulatedMachine } from './simulated-machine.ts';

const root = '/data';
const blockBytes = 4_096;
const leaseS = 10_800;

/** What is spoilt; all undefined: nothing. */
export interface SpoiltFiles {
  readonly files?: (disk: LogFileSystem) => LogFileSystem;
  readonly smallSyncs?: (syncs: SyncPort) => SyncPort;
  readonly largeSyncs?: (syncs: SyncPort) => SyncPort;
  /** Records that are told as durable when they are not. */
  readonly toldEarly?: (request: AppendRequest) => boolean;
  /** What a start does not see. */
  readonly overlooked?: (found: FoundHistory) => boolean;
  /** A start that does not sync what it found. */
  readonly startsUnsynced?: true;
}

export interface SimulatedFiles {
  readonly files: LargeFiles;
  readonly log: SimpleFileLog;
  readonly entries: LiveEntries;
  readonly table: SegmentTable;
  readonly ledger: SpaceLedger;
  readonly intents: RunningIntents;
  readonly sieve: SieveOrder;
  readonly trash: Trash;
  readonly quarantine: Quarantine;
  readonly layout: ObjectLayout;
  /** Uses of entries that were told. */
  readonly touched: string[];
  /** What the start removed. */
  readonly removedOrphans: number;
  has(digest: Digest): boolean;
  /** Removes the file as eviction does. False: it is not there. */
  evict(digest: Digest): Promise<boolean>;
  /** The whole blob, or undefined. @throws when a file is not as long as it should be. */
  read(digest: Digest): Promise<Buffer | undefined>;
  /** What is wrong when nothing is under way: names, ledger, index. */
  audit(): string | undefined;
  /** Files that are nobody's any more, and still there. */
  leftBehind(): readonly string[];
  close(): Promise<void>;
}

export async function openSimulatedFiles(machine: SimulatedMachine, spoilt: SpoiltFiles = {}): Promise<SimulatedFiles> {
  const { clock, hashes, log: words, turns } = machine;
  const disk = spoilt.files?.(machine.disk) ?? machine.disk;
  const smallSyncs = spoilt.smallSyncs?.(machine.smallSyncs) ?? machine.smallSyncs;
  const largeSyncs = spoilt.largeSyncs?.(machine.largeSyncs) ?? machine.largeSyncs;
  const nowS = (): number => Math.floor(clock.nowMs() / 1_000);
  const directories = new DurableDirectories(new DirectorySyncs(disk, smallSyncs), root);
  await makeDirectories(disk, directories);
  const [table, layout, ledger, sieve] = [new SegmentTable(), new ObjectLayout(root), new SpaceLedger({ maxBytes: 1 << 28, diskFloorBytes: 0 }), new SieveOrder()];
  const options = { salt: [1, 2] as const, startS: nowS() };
  const entries = new LiveEntries({ blobs: new BlobIndex({ ...options, hasSequences: false }), values: new BlobIndex({ ...options, hasSequences: true }), segments: table, ages: new UseAges(leaseS), nowS });
  const { log, found } = await SimpleFileLog.open({ files: disk, syncs: smallSyncs, nextTurn: turns.nextTurn }, { directory: `${root}/log`, isUnsynced: spoilt.startsUnsynced === true }, table);
  log.toldEarly = spoilt.toldEarly ?? log.toldEarly;
  const orphans = fold(found.filter((one) => spoilt.overlooked?.(one) !== true), { entries, table, sieve, ledger });
  const pacer = new SyncPacer({ bytesPerSMin: 1 << 20, bytesPerSMax: 1 << 30, targetUs: 1_000 });
  const large = new LargeSyncs({ syncs: largeSyncs, monotonicClock: clock, timers: clock }, pacer);
  const trashPorts = { files: disk, directories, ledger, largeSyncs: large, timers: clock, log: words };
  const trash = await Trash.open(root, trashPorts);
  for (const { name } of (await disk.list(`${root}/uploads`)) ?? []) await disk.remove(`${root}/uploads/${name}`);
  const orphanParts = { directories, layout, entries, history: new FileHistory(log, nowS), ledger, sieve, nowS };
  const settled = await settleOrphans(orphans, false, { files: disk, hashes, log: words }, orphanParts);
  const quarantine = await Quarantine.open({ files: disk, directories, ledger }, join(layout.root, 'quarantine'), { bytesMax: 1 << 24 });
  const intents = new RunningIntents(table);
  const touched: string[] = [];
  const key = new KeyWords();
  const files = new LargeFiles({ files: disk, hashes, timers: clock, log: words }, {
    uploadsDirectory: `${root}/uploads`, layout, entries, segments: table, blobLog: log, ledger, directories, trash, quarantine, sieve, intents, nowS,
    records: { readAt: ({ segment, offset }) => recordAt(found, segment, offset) },
    largeSyncs: large,
    writes: new Semaphore('open files to write', { permitsMax: 100, waitersMax: 100 }),
    reserve: (bytes) => {
      const room = ledger.tryReserve(bytes);
      if (room === undefined) throw systemError('ENOSPC', 'reserve');
      return room;
    },
    touch: (slot) => {
      entries.blobs.keyOf(slot, key);
      touched.push(key.hex());
      entries.use(entries.blobs, slot, nowS());
    },
  }, { openMax: 4, waitersMax: 4 });
  const slotOf = (digest: Digest): number => {
    key.setHash(blobTag(digest.function.wireValue), digest.hash);
    return entries.blobs.find(key);
  };
  return {
    files, log, entries, table, ledger, intents, sieve, trash, quarantine, layout, touched,
    removedOrphans: settled.removed,
    has: (digest) => slotOf(digest) !== -1,
    evict: async (digest) => {
      const slot = slotOf(digest);
      if (slot === -1) return false;
      entries.blobs.clearUsed(slot); // the hand of the order came by
      return await files.remove(slot, 'evicted');
    },
    read: (digest) => readWhole(files, digest),
    leftBehind: () => [...machine.disk.files().keys()].filter((path) => /^\/data\/(uploads|trash)\//.test(path)),
    audit: () => audit(machine, { entries, ledger, layout, files, intents, table, log }),
    async close() {
      await files.close();
      await trash.idle();
      await trash.close();
      await log.close();
    },
  };
}

async function makeDirectories(disk: LogFileSystem, directories: DurableDirectories): Promise<void> {
  await disk.makeDirectory(root);
  await disk.syncDirectory('/');
  for (const name of ['log', 'uploads', 'objects']) await directories.ensure(`${root}/${name}`);
}

interface Folded {
  readonly entries: LiveEntries;
  readonly table: SegmentTable;
  readonly sieve: SieveOrder;
  readonly ledger: SpaceLedger;
}

function fold(found: readonly FoundHistory[], { entries, table, sieve, ledger }: Folded): readonly OrphanedFile[] {
  const records = new RecoveryFold(entries, table);
  const key = new KeyWords();
  for (const { row, head, entry } of found) if (key.setRecord(head, entry.target)) records.take(row, key, entry);
  for (const slot of entries.blobs.slotsOf(0)) {
    entries.blobs.keyOf(slot, key);
    sieve.append(key.words[0] ?? 0, key.words[1] ?? 0);
    ledger.place('files', allocated(entries.blobs.sizeOf(slot)));
  }
  return records.orphans().map(({ reason, row, offset, sequence }) => {
    const head = found.find((one) => one.row === row && one.head.offset === offset)?.head;
    if (head === undefined) throw new Error('an orphan has a record');
    const digestFunction = digestFunctionNumbered(head.functionNumber) ?? sha256;
    return { reason, digestFunction, hash: Buffer.from(head.hash).toString('hex'), sizeBytes: head.logicalBytes, sequence, row };
  });
}

function recordAt(found: readonly FoundHistory[], segment: number, offset: number) {
  const head = found.find((one) => one.row.ordinal === segment && one.head.offset === offset)?.head;
  return head === undefined ? ('wrong' as const) : { head, payload: Buffer.alloc(0) };
}

async function readWhole(files: LargeFiles, digest: Digest): Promise<Buffer | undefined> {
  const opened = await files.openRead(digest);
  if (opened === undefined) return undefined;
  await using file = opened;
  const bytes = Buffer.alloc(digest.sizeBytes);
  const count = await file.read(bytes, 0);
  if (count !== digest.sizeBytes) throw new Error(`${digest.toString()} has ${count} bytes`);
  return bytes;
}

type Audited = Pick<SimulatedFiles, 'entries' | 'ledger' | 'layout' | 'files' | 'intents' | 'table' | 'log'>;

function audit({ disk }: SimulatedMachine, { entries: { blobs }, ledger, layout, files, table, log }: Audited): string | undefined {
  const expected = new Map<string, number>();
  const key = new KeyWords();
  for (const slot of blobs.slotsOf(0)) {
    blobs.keyOf(slot, key);
    expected.set(layout.final(key.hex()), blobs.sizeOf(slot));
  }
  let [bytes, others] = [0, 0];
  for (const [path, content] of disk.files()) {
    if (path.startsWith(`${root}/log`)) continue;
    if (!path.startsWith(`${root}/objects`)) others += allocated(content.byteLength);
    else if (expected.get(path) !== content.byteLength) return `${path} of ${content.byteLength} bytes is in nobody's books`;
    else bytes += allocated(content.byteLength);
    expected.delete(path);
  }
  const [missing] = expected.keys();
  if (missing !== undefined) return `${missing} is in the index and not on the disk`;
  if (ledger.bytesOf('files') !== bytes) return `${ledger.bytesOf('files')} bytes of files are counted, and there are ${bytes}`;
  if (ledger.usedBytes !== bytes + others) return `${ledger.usedBytes} bytes are counted, and there are ${bytes + others}`;
  if (files.usage.pendingRemovals !== 0) return `${files.usage.pendingRemovals} removals are pending`;
  if (log.claims !== 0) return `${log.claims} claims were not given back`;
  const live = Array.from(table.of('blob')).reduce((sum, { liveCount }) => sum + liveCount, 0);
  if (live !== blobs.count) return `${live} records count, and the index has ${blobs.count}`;
  if (Array.from(table.of('blob')).some(({ removals }) => removals !== 0)) return 'a segment is held for a removal';
  return undefined;
}

function allocated(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / blockBytes)) * blockBytes;
}

export interface FilesWorld {
  readonly machine: SimulatedMachine;
  readonly store: SimulatedFiles;
}

const startMs = 1_700_000_000_000;

/** Runs `test` on a machine that finds that disk. */
export async function onMachine(test: (machine: SimulatedMachine) => Promise<void>, image: DiskImage = emptyDisk): Promise<SimulatedMachine> {
  using machine = new SimulatedMachine(1, image, startMs);
  await machine.finish(test(machine));
  assert.deepEqual(machine.disk.violations, []);
  return machine;
}

/** Runs `test` on files of its own; afterwards nothing may be left over. */
export async function onSimulatedFiles(test: (world: FilesWorld) => Promise<void>, spoilt: SpoiltFiles = {}): Promise<void> {
  await onMachine(async (machine) => {
    const store = await openSimulatedFiles(machine, spoilt);
    machine.disk.trace.length = 0;
    await test({ machine, store });
    await store.close();
    assert.equal(store.audit(), undefined);
    assert.deepEqual(store.leftBehind(), []);
    // Also what is counted wrong ends there.
    assert.deepEqual(machine.log.lines.filter((line) => line.startsWith('error a file in the trash')), []);
  });
}

export function blobOf(text: string, sizeBytes = 9_000): { readonly bytes: Buffer; readonly digest: Digest } {
  const bytes = Buffer.alloc(sizeBytes, `${text} `);
  return { bytes, digest: Digest.of(bytes) };
}

export async function* inPieces(bytes: Uint8Array, pieceBytes = 4_000): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < bytes.byteLength; offset += pieceBytes) yield bytes.subarray(offset, offset + pieceBytes);
}

export function keyOf({ function: { wireValue }, hash }: Digest): KeyWords {
  const key = new KeyWords();
  key.setHash(blobTag(wireValue), hash);
  return key;
}
