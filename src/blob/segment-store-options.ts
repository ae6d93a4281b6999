// What a store of segments is opened with, and what is taken where nothing is said.
import type { EngineOptions, EnginePorts } from '../engine/engine-options.ts';

/** Everything has a default, but where the store is. */
type Defaulted = { readonly [Name in Exclude<keyof EngineOptions, 'directory'>]?: EngineOptions[Name] | undefined };

export interface EngineStoreOptions extends Defaulted {
  /** Absolute. Created if need be. */
  readonly directory: string;
  /** Largest blob taken. Default: whatever fits. */
  readonly blobBytesMax?: number | undefined;
  /** Largest value taken; a value is held in memory while it is put, and a long one while it is read. Default: 64 MiB. */
  readonly valueBytesMax?: number | undefined;
  /** Memory for blobs that were used lately: half of it for records, half for files of up to 1 MiB. Default: 128 MiB. */
  readonly hotBytesMax?: number | undefined;
}

export interface EngineStorePorts extends EnginePorts {
  /** Takes sole ownership of the directory, until disposed. @throws CacheError `failed_precondition` that names the owner. */
  readonly lock: (directory: string) => Promise<AsyncDisposable>;
}

/** Every option that the stores themselves go by. */
export interface StoreLimits {
  readonly blobBytesMax: number;
  readonly valueBytesMax: number;
  /** Of files of up to 1 MiB that were used lately. */
  readonly hotFileBytesMax: number;
}

/** ccache keeps whole compilation results as values; larger ones are rare enough to miss. */
const valueBytesMaxDefault = 64 * 1024 * 1024;
const hotBytesMaxDefault = 128 * 1024 * 1024;
/** Of what is kept in memory, for records; the rest is for files. */
const hotRecordShare = 1 / 2;
/** As a share of the machine's memory that is not ours; the default fits a small machine. */
const pageCacheBytesDefault = 1024 * 1024 * 1024;
/** Together well below the 1,048,576 descriptors a Linux process may usually have, and the 10,240 of macOS. */
const openReadsMaxDefault = 512;
const openWritesMaxDefault = 256;
const smallBytesMaxDefault = 64 * 1024;
const leaseMsDefault = 3 * 60 * 60 * 1_000;
/** K1-07. */
const diskFloorBytesDefault = 500 * 1024 * 1024;

/** The options of the engine, with what is taken where nothing is said. */
export function engineOptions(options: EngineStoreOptions): EngineOptions {
  return {
    directory: options.directory,
    maxBytes: options.maxBytes,
    segmentBytes: options.segmentBytes,
    smallBytesMax: options.smallBytesMax ?? smallBytesMaxDefault,
    leaseMs: options.leaseMs ?? leaseMsDefault,
    leases: options.leases ?? 'shorten',
    durability: options.durability ?? 'durable',
    lowWatermarkShare: options.lowWatermarkShare,
    ageMaxMs: options.ageMaxMs ?? 0,
    countMax: options.countMax ?? 0,
    hotRecordBytes: options.hotRecordBytes ?? Math.floor(hotBytesOf(options) * hotRecordShare),
    pageCacheBytes: options.pageCacheBytes ?? pageCacheBytesDefault,
    openReadsMax: options.openReadsMax ?? openReadsMaxDefault,
    openWritesMax: options.openWritesMax ?? openWritesMaxDefault,
    diskFloorBytes: options.diskFloorBytes ?? diskFloorBytesDefault,
  };
}

function hotBytesOf({ hotBytesMax = hotBytesMaxDefault }: EngineStoreOptions): number {
  return hotBytesMax;
}

/** See `engineOptions`. */
export function storeLimits(options: EngineStoreOptions): StoreLimits {
  return {
    blobBytesMax: options.blobBytesMax ?? Number.MAX_SAFE_INTEGER,
    valueBytesMax: options.valueBytesMax ?? valueBytesMaxDefault,
    hotFileBytesMax: Math.ceil(hotBytesOf(options) * (1 - hotRecordShare)),
  };
}
