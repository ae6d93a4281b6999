// The store of one file per blob, as the model of a store opens it.
import type { FileSystem } from '../base/file-system.ts';
import { replacing } from './spoiled-ports.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import type { ModelledStore } from './store-client.ts';
import { openFileStore } from './temporary-file-store.ts';

const directory = '/data';
const blockBytes = 4_096;

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
