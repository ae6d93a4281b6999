// What a store of segments is opened with, and what is taken where nothing is said.
import type { EngineOptions, EnginePorts } from '../engine/engine-options.ts';
import type { ByteBudget } from '../base/byte-budget.ts';

/** Everything has a default, but where the store is. */
type Defaulted = { readonly [Name in Exclude<keyof EngineOptions, 'directory'>]?: EngineOptions[Name] | undefined };

export interface EngineStoreOptions extends Defaulted {
  /** Absolute. Created if need be. */
  readonly directory: string;
  /** Largest blob taken. Default: whatever fits. */
  readonly blobBytesMax?: number | undefined;
  /** Largest value taken; a value is held in memory while it is put or read. Default: 64 MiB. */
  readonly valueBytesMax?: number | undefined;
}

export interface EngineStorePorts extends EnginePorts {
  /** Takes sole ownership of the directory, until disposed. @throws CacheError `failed_precondition` that names the owner. */
  readonly lock: (directory: string) => Promise<AsyncDisposable>;
  /** Of what is in memory while it is read or written; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
}
