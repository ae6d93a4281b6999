// Stores in this process, on the ports that a server gives them.
import { cpus } from 'node:os';
import type { HashPort } from '../../src/base/log-files.ts';
import type { Log } from '../../src/base/log.ts';
import { noMeter } from '../../src/base/metrics.ts';
import { EngineStore } from '../../src/blob/engine-store.ts';
import type { EngineStoreOptions } from '../../src/blob/segment-store-options.ts';
import type { DigestFunctionName } from '../../src/digest/digest-function.ts';
import { monotonicClock, nextTurn, waitingTimers as timers, wallClock } from '../../src/platform/clocks.ts';
import { NodeLogFileSystem } from '../../src/platform/node-log-files.ts';
import { systemRandom } from '../../src/platform/random.ts';
import { SyncThread } from '../../src/platform/sync-thread.ts';
import { openHashes } from '../../src/wiring/hashes.ts';
import { ThreadHintScans } from '../../src/wiring/scans.ts';
import { MeasuredSyncs } from './measured-syncs.ts';

/** What a benchmark puts in the place of a port. */
export interface ChangedPorts {
  /** Entry of the threads that sync. */
  readonly syncEntry?: URL;
  readonly hashes?: HashPort<DigestFunctionName>;
}

/** Bodies that are hashed on threads at once. */
const ringsMax = 64;

/** What goes wrong belongs to whoever looks at the figures. */
const log: Log = {
  debugEnabled: false,
  debug() {},
  info() {},
  warn: (message, fields) => void process.stderr.write(`warning: ${message} ${JSON.stringify(fields ?? {})}\n`),
  error: (message, cause, fields) => void process.stderr.write(`error: ${message} ${cause instanceof Error ? cause.stack : ''} ${JSON.stringify(fields ?? {})}\n`),
};

const lock = async () => ({ async [Symbol.asyncDispose]() {} });

export interface OpenEngine extends AsyncDisposable {
  readonly store: EngineStore;
  /** Of the log. */
  readonly smallSyncs: MeasuredSyncs;
}

/** Closing it leaves the directory. */
export async function openEngine(options: EngineStoreOptions, { syncEntry, hashes }: ChangedPorts = {}): Promise<OpenEngine> {
  await using opening = new AsyncDisposableStack();
  const smallSyncs = opening.use(new MeasuredSyncs(syncThread('small syncs', syncEntry)));
  const store = opening.use(
    await EngineStore.open(options, {
      files: new NodeLogFileSystem(),
      smallSyncs,
      largeSyncs: opening.use(syncThread('large syncs', syncEntry)),
      hashes: hashes ?? opening.use(openHashes({ threadsMax: Math.max(1, cpus().length - 1), ringsMax })),
      scans: opening.use(new ThreadHintScans()),
      monotonicClock,
      wallClock,
      timers,
      random: systemRandom,
      nextTurn,
      log,
      meter: noMeter,
      lock,
    }),
  );
  const end = opening.move();
  return { store, smallSyncs, [Symbol.asyncDispose]: () => end.disposeAsync() };
}

export function syncThread(name: string, entry?: URL): SyncThread {
  return entry === undefined ? new SyncThread(name) : new SyncThread(name, { entry });
}
