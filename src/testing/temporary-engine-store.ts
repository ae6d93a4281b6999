// A store of segments in a directory of its own, for tests: real files, syncs on the pool of the runtime, hashes and scans in
// line, real time; when things were used goes by a clock that a test moves by hand, if it has one.
import { fdatasync, fsync } from 'node:fs';
import { promisify } from 'node:util';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { Timers } from '../base/clock.ts';
import type { BodyHasher, HashPort, LogFileSystem, SyncPort, SyncTarget } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import { noMeter } from '../base/metrics.ts';
import { EngineStore } from '../blob/engine-store.ts';
import type { EngineStoreOptions, EngineStorePorts } from '../blob/segment-store-options.ts';
import { digestFunctionNamed } from '../digest/digest-function.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import { hintOf } from '../engine/hint-scan.ts';
import type { HintRequest, HintScans } from '../engine/hint-scan.ts';
import { monotonicClock, nextTurn, timers as realTimers, wallClock } from '../platform/clocks.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { systemRandom } from '../platform/random.ts';
import type { ManualClock } from './manual-clock.ts';
import { RememberingLog } from './remembering-log.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const syncs = { data: promisify(fdatasync), names: promisify(fsync) };

/** One sync per call. */
export class PoolSyncs implements SyncPort {
  readonly #running = new Set<Promise<unknown>>();

  async sync(fd: number, target: SyncTarget): Promise<number> {
    const sync = syncs[target](fd);
    this.#running.add(sync);
    try {
      await sync;
    } finally {
      this.#running.delete(sync);
    }
    return 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}

class PlainHashes implements HashPort<DigestFunctionName> {
  begin(functionName: DigestFunctionName): BodyHasher {
    const hasher = digestFunctionNamed(functionName)?.createHasher();
    if (hasher === undefined) throw new Error(`${functionName} is served`);
    return {
      update(bytes) {
        hasher.update(bytes);
        return undefined;
      },
      hex: async () => hasher.hex(),
      [Symbol.dispose]() {},
    };
  }
}

class PlainScans implements HintScans {
  readonly #files: LogFileSystem;

  constructor(files: LogFileSystem) {
    this.#files = files;
  }

  async hintOf(path: string, request: HintRequest): Promise<Uint8Array | undefined> {
    await using file = await this.#files.openLog(path, 'read');
    return file && hintOf((into, position) => file.readNow(into, position), request);
  }
}

export interface TestPorts {
  readonly files?: LogFileSystem;
  readonly syncs?: SyncPort;
  /** By which things were used. */
  readonly clock?: ManualClock;
  /** Default: real ones. */
  readonly timers?: Timers;
  readonly log?: Log;
  readonly budget?: ByteBudget;
}

/** Everything a store needs of the machine. Syncs are the caller's to end, if they are given. */
export function enginePorts({ files = new NodeLogFileSystem(), syncs: port = new PoolSyncs(), clock, timers = realTimers, log = new RememberingLog(), budget }: TestPorts = {}): EngineStorePorts {
  return {
    files,
    smallSyncs: port,
    largeSyncs: port,
    hashes: new PlainHashes(),
    scans: new PlainScans(files),
    monotonicClock,
    turnClock: clock ?? monotonicClock,
    wallClock: clock ?? wallClock,
    timers,
    random: systemRandom,
    nextTurn,
    log,
    meter: noMeter,
    budget,
    lock: async () => ({ async [Symbol.asyncDispose]() {} }),
  };
}

/** Without a lock of the operating system, and whatever is free on the disk of this machine. */
export function openEngineStore(directory: string, options: Partial<EngineStoreOptions> = {}, ports: TestPorts = {}): Promise<EngineStore> {
  return EngineStore.open({ maxBytes: 256 << 20, diskFloorBytes: 0, ...options, directory }, enginePorts(ports));
}

/** A store in a fresh directory that goes with it. */
export async function temporaryEngineStore(options: Partial<EngineStoreOptions> = {}, ports: TestPorts = {}): Promise<{ readonly store: EngineStore; readonly directory: string } & AsyncDisposable> {
  const directory = await temporaryDirectory();
  const store = await openEngineStore(directory.path, options, ports);
  return {
    store,
    directory: directory.path,
    async [Symbol.asyncDispose]() {
      await store.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}
