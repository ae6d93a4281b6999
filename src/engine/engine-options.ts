// What the segment engine is told and given. Plain values and ports; where they come from is not its business.
import type { ByteBudget } from '../base/byte-budget.ts';
import type { NextTurn, MonotonicClock, Timers, WallClock } from '../base/clock.ts';
import type { HashPort, LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import type { HintScans } from './hint-scan.ts';

export interface EngineOptions {
  /** Absolute; an existing data directory of format 2 that this process owns. */
  readonly directory: string;
  /** What everything in the directory may take on disk. Undefined: a share of the disk. */
  readonly maxBytes: number | undefined;
  /** Of each new segment: a power of two from 64 KiB to 64 MiB. Undefined: as fits `maxBytes`. */
  readonly segmentBytes: number | undefined;
  /** Blobs up to here are records, larger ones files. */
  readonly smallBytesMax: number;
  /** How long what is reported present stays, at least. */
  readonly leaseMs: number;
  /** Where leases would take more than half of `maxBytes`: the oldest end earlier, or new writes are refused. */
  readonly leases: 'shorten' | 'strict';
  /** `relaxed`: acknowledged once the system has the bytes, before they are synced. */
  readonly durability: 'durable' | 'relaxed';
  /** Kept free ahead of writes, as a share of `maxBytes`. Undefined: a 64th, and never more than a few large uploads. */
  readonly lowWatermarkShare: number | undefined;
  /** What was not used for so long goes, room or not. 0: no limit. */
  readonly ageMaxMs: number;
  /** 0: no limit. */
  readonly countMax: number;
  /** What the system's page cache can be expected to hold of the log; a wrong guess costs slow reads. */
  readonly pageCacheBytes: number;
  /** Memory for records that are read again and again. Default: none. */
  readonly hotRecordBytes?: number | undefined;
  /** Large files open for reading at the same time. */
  readonly openReadsMax: number;
  /** Large files being written at the same time. */
  readonly openWritesMax: number;
  /** Left free on the disk whoever else writes to it. */
  readonly diskFloorBytes: number;
}

export interface EnginePorts {
  readonly files: LogFileSystem;
  /** For the log and for directories: nothing else may stand in their way. */
  readonly smallSyncs: SyncPort;
  /** For the bytes of large files. */
  readonly largeSyncs: SyncPort;
  readonly hashes: HashPort<DigestFunctionName>;
  readonly scans: HintScans;
  readonly monotonicClock: MonotonicClock;
  /** For when things were used; may stand still during a turn of the loop. Default: `monotonicClock`. */
  readonly turnClock?: MonotonicClock | undefined;
  readonly wallClock: WallClock;
  readonly timers: Timers;
  readonly random: Random;
  readonly nextTurn: NextTurn;
  readonly log: Log;
  readonly meter: Meter;
  /** Of what is in memory while it is read or written; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
}
