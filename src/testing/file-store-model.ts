// The store of one file per blob, as the model of a store opens it.
import type { FileSystem } from '../base/file-system.ts';
import type { StoreModelOptions } from './engine-model.ts';
import { replacing } from './spoiled-ports.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import type { ModelledStore } from './store-client.ts';
import { openFileStore } from './temporary-file-store.ts';

const directory = '/data';
const blockBytes = 4_096;

/** Blobs and values of a few lengths, in as many pieces. */
export const fileModel: StoreModelOptions = {
  open: (machine, { maxBytes }) => openModelledFileStore(machine, maxBytes),
  blobSizes: [1, 90, 700, 4_096, 9_000, 70_000],
  valuesCount: 3,
  valueSizes: [40, 900, 20_000],
  steps: 12,
  clients: 3,
  roomyBytes: 1 << 26,
};

/** `spoilt`: of its file system, what is replaced. */
export async function openModelledFileStore(machine: SimulatedMachine, maxBytes: number, spoilt: Partial<FileSystem> = {}): Promise<ModelledStore> {
  const { disk, clock, log } = machine;
  const store = await openFileStore(directory, { maxBytes, hotBytesMax: 10_000 }, { files: replacing<FileSystem>(disk, spoilt), clock, log });
  return {
    blobs: store.blobs,
    values: store.values,
    close: () => store.close(),
    async audit() {
      const stored = [...disk.fileSizes()].filter(([path]) => /^\/data\/(objects|values)\//.test(path));
      const partial = stored.find(([path]) => path.endsWith('.partial'));
      if (partial !== undefined) return `${partial[0]} was left behind`;
      const allocated = stored.reduce((sum, [, sizeBytes]) => sum + Math.max(1, Math.ceil(sizeBytes / blockBytes)) * blockBytes, 0);
      const counted = store.usage.usedBytes - store.usage.quarantinedBytes;
      return counted === allocated ? undefined : `${counted} bytes are counted, and files take ${allocated}`;
    },
  };
}
