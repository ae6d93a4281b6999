// The store of segments, as the model of a store opens it.
import { EngineStore } from '../blob/engine-store.ts';
import type { EngineStoreOptions, EngineStorePorts } from '../blob/segment-store-options.ts';
import { noMeter } from '../base/metrics.ts';
import type { CrashDisk } from './crash-disk.ts';
import type { StoreModelOptions } from './engine-model.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import type { ModelledStore } from './store-client.ts';

const directory = '/data';
const blockBytes = 4_096;
const stepMs = 1_000;
const shrinkMsMax = 60_000;

/** The shortest segments there are, and everything else as short, so that a start is quick and a few puts fill the store. */
const sizes = { segmentBytes: 65_536, smallBytesMax: 8_192, hotBytesMax: 100_000, pageCacheBytes: 1 << 20, leaseMs: 60_000 } as const;

/** Records of all lengths, files, and values of both kinds. */
export const segmentModel: StoreModelOptions = {
  open: (machine, { maxBytes }) => openModelledSegmentStore(machine, { maxBytes }),
  blobSizes: [1, 90, 700, 4_096, 9_000, 20_000, 30_000],
  valuesCount: 3,
  valueSizes: [40, 900, 10_000],
  steps: 14,
  clients: 3,
  roomyBytes: 1 << 26,
  // Segments are given up, and files without a commit removed.
  onceOnly: /^(create|rename|remove|truncate) .*(\/objects\/|\.(blob|value|touch)\b)/,
};

/** Twice as much as there is room for in every other life. */
export const tightSegmentModel: StoreModelOptions = {
  ...segmentModel,
  blobSizes: Array.from({ length: 60 }, (_, index) => index + ([90, 3_000, 8_000, 20_000, 60_000][index % 5] ?? 0)),
  steps: 40,
  tightBytes: 1_000_000,
  promisedShare: 0.25,
};

/** `spoilt`: ports that stand in the place of the machine's. */
export async function openModelledSegmentStore(machine: SimulatedMachine, options: Omit<EngineStoreOptions, 'directory'> & { readonly maxBytes: number }, spoilt: Partial<EngineStorePorts> = {}): Promise<ModelledStore> {
  const { disk, clock, log, turns, random } = machine;
  const { maxBytes, segmentBytes = sizes.segmentBytes } = options;
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
    pin: (digests) => store.pin(digests),
    close: () => store.close(),
    async audit() {
      const bytesMax = maxBytes + segmentBytes;
      // A store that is too large at its start is made smaller bit by bit.
      for (let waitedMs = 0; takenBytes(disk) > bytesMax; waitedMs += stepMs) {
        if (waitedMs === shrinkMsMax) return `files take ${takenBytes(disk)} bytes, and may take ${bytesMax}: ${JSON.stringify(store.usage)} ${log.lines.slice(-8).join(' | ')}`;
        clock.advance(stepMs);
        await turns.idle();
      }
      const { usedBytes, reservedBytes } = store.usage;
      return usedBytes === takenBytes(disk) ? undefined : `${usedBytes} bytes are counted, ${reservedBytes} reserved, and files take ${takenBytes(disk)}`;
    },
  };
}

/** As the ledger counts: segments have their length, of other files all blocks count, and what marks the directory does not. */
function takenBytes(disk: CrashDisk): number {
  let sum = 0;
  for (const [path, sizeBytes] of disk.fileSizes()) {
    const [, folder] = /^\/data\/([a-z]+)\//.exec(path) ?? [];
    if (folder === 'segments') sum += sizeBytes;
    else if (folder !== undefined) sum += Math.max(1, Math.ceil(sizeBytes / blockBytes)) * blockBytes;
  }
  return sum;
}
