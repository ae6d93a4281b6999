// What everything in an open engine stands on: time, space, indexes, and what is known of segments. Nothing here has read or
// written a file.
import { SteadyTime } from './steady-time.ts';
import { BlobIndex } from './blob-index.ts';
import { DirectorySyncs } from './directory-syncs.ts';
import { DurableDirectories } from './durable-directories.ts';
import type { EngineOptions, EnginePorts } from './engine-options.ts';
import { EntryUses, renewAfterS } from './entry-uses.ts';
import { LargeSyncs } from './large-syncs.ts';
import { LiveEntries } from './live-entries.ts';
import { NameSyncs } from './name-syncs.ts';
import { ObjectLayout } from './object-layout.ts';
import { RunningIntents } from './running-intents.ts';
import { SegmentTable } from './segment-table.ts';
import { SieveOrder } from './sieve-order.ts';
import { SpaceLedger } from './space-ledger.ts';
import { SyncPacer } from './sync-pacer.ts';
import { UseAges } from './use-ages.ts';

/** Found to hold small syncs within 5 ms beside any number of uploads (docs/benchmarks.md); a disk slower than the least is slow anyway. */
const paceLimits = { bytesPerSMin: 32 * 2 ** 20, bytesPerSMax: 4 * 2 ** 30, targetUs: 2_500 } as const;

export interface EngineGround {
  readonly time: SteadyTime;
  /** In whole seconds since 1970. */
  readonly nowS: () => number;
  readonly ledger: SpaceLedger;
  readonly names: NameSyncs;
  readonly table: SegmentTable;
  readonly entries: LiveEntries;
  readonly uses: EntryUses;
  readonly ages: UseAges;
  /** A use is noticed when the one before is so old. */
  readonly renewAfterS: number;
  /** Of large files. */
  readonly sieve: SieveOrder;
  readonly intents: RunningIntents;
  readonly layout: ObjectLayout;
  readonly directories: DurableDirectories;
  readonly pacer: SyncPacer;
  readonly largeSyncs: LargeSyncs;
}

export function layGround(options: EngineOptions, ports: EnginePorts): EngineGround {
  const time = new SteadyTime(ports.turnClock ?? ports.monotonicClock, ports.wallClock);
  const nowS = (): number => Math.floor(time.nowMs() / 1_000);
  const leaseS = Math.ceil(options.leaseMs / 1_000);
  const unnoticedS = renewAfterS(leaseS, Math.ceil(options.ageMaxMs / 1_000));
  // From the last use that was noticed on, a lease must last for as long as others may have gone unnoticed beside.
  const ages = new UseAges(leaseS === 0 ? 0 : leaseS + unnoticedS);
  const table = new SegmentTable();
  const salt = new DataView(Uint8Array.from(ports.random.bytes(8)).buffer);
  const indexOptions = { salt: [salt.getUint32(0), salt.getUint32(4)] as const, startS: nowS() };
  const entries = new LiveEntries({
    blobs: new BlobIndex({ ...indexOptions, hasSequences: false }),
    values: new BlobIndex({ ...indexOptions, hasSequences: true }),
    segments: table,
    ages,
    nowS,
  });
  const pacer = new SyncPacer(paceLimits);
  const names = new NameSyncs(ports);
  return {
    time,
    nowS,
    ledger: new SpaceLedger({ maxBytes: options.maxBytes ?? Infinity, diskFloorBytes: options.diskFloorBytes }),
    table,
    entries,
    uses: new EntryUses(entries, unnoticedS),
    ages,
    renewAfterS: unnoticedS,
    sieve: new SieveOrder(),
    intents: new RunningIntents(table),
    layout: new ObjectLayout(options.directory),
    directories: new DurableDirectories(new DirectorySyncs(ports.files, names), options.directory),
    names,
    pacer,
    largeSyncs: new LargeSyncs({ syncs: ports.largeSyncs, monotonicClock: ports.monotonicClock, timers: ports.timers }, pacer),
  };
}
