// The store of segments, as the model of a store opens it.
import { EngineStore } from '../blob/engine-store.ts';
import type { EngineStoreOptions, EngineStorePorts } from '../blob/segment-store-options.ts';
import { noMeter } from '../base/metrics.ts';
import type { StoreModelOptions } from './engine-model.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import type { ModelledStore } from './store-client.ts';

const directory = '/data';
const blockBytes = 4_096;

/** The shortest segments there are, and everything else as short, so that a start is quick and a few puts fill the store. */
const sizes: Omit<EngineStoreOptions, 'directory'> = { segmentBytes: 65_536, smallBytesMax: 8_192, hotBytesMax: 100_000, pageCacheBytes: 1 << 20 };

/** Records of all lengths, files, and values of both kinds. */
export const segmentModel: StoreModelOptions = {
  open: (machine, { maxBytes }) => openModelledSegmentStore(machine, { maxBytes }),
  blobSizes: [1, 90, 700, 4_096, 9_000, 20_000, 30_000],
  valuesCount: 3,
  valueSizes: [40, 900, 10_000],
  steps: 14,
  clients: 3,
  roomyBytes: 1 << 26,
};

/** Twice as much as there is room for in every other life. */
export const tightSegmentModel: StoreModelOptions = {
  ...segmentModel,
  blobSizes: Array.from({ length: 60 }, (_, index) => index + ([90, 3_000, 8_000, 20_000, 60_000][index % 5] ?? 0)),
  steps: 40,
  tightBytes: 1_000_000,
};

/** `spoilt`: ports that stand in the place of the machine's. */
export async function openModelledSegmentStore(machine: SimulatedMachine, options: Omit<EngineStoreOptions, 'directory'>, spoilt: Partial<EngineStorePorts> = {}): Promise<ModelledStore> {
  const { disk, clock, log, turns, random } = machine;
  const store = await EngineStore.open(
    { directory, ...sizes, ...options },
    {
      files: disk,
      smallSyncs: machine.smallSyncs,
      largeSyncs: machine.largeSyncs,
      hashes: machine.hashes,
      scans: machine.scans,
      monotonicClock: clock,
      wallClock: clock,
      timers: clock,
      random,
      nextTurn: turns.nextTurn,
      log,
      meter: noMeter,
      lock: async () => ({ async [Symbol.asyncDispose]() {} }),
      ...spoilt,
    },
  );
  return {
    blobs: store.blobs,
    values: store.values,
    close: () => store.close(),
    async audit() {
      let takenBytes = 0;
      for (const [path, sizeBytes] of disk.fileSizes()) takenBytes += takenBy(path, sizeBytes);
      const { usedBytes, reservedBytes } = store.usage;
      return usedBytes === takenBytes ? undefined : `${usedBytes} bytes are counted, ${reservedBytes} reserved, and files take ${takenBytes}`;
    },
  };
}

/** As the ledger counts: segments have their length, of other files all blocks count, and what marks the directory does not. */
function takenBy(path: string, sizeBytes: number): number {
  const [, folder] = /^\/data\/([a-z]+)\//.exec(path) ?? [];
  if (folder === 'segments') return sizeBytes;
  return folder === undefined ? 0 : Math.max(1, Math.ceil(sizeBytes / blockBytes)) * blockBytes;
}
