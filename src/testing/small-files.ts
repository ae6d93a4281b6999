// Values in files that replace each other by a rename, and ways to break that: what the crash points are proved with.
import type { CrashProgram } from './crash-points.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import { StoreFacts } from './store-facts.ts';

/** What is left out or done in the wrong order. */
export type SmallFilesFault = 'no_data_sync' | 'renamed_before_data_sync' | 'no_directory_sync' | 'written_in_place' | 'told_before_directory_sync' | 'serves_unsynced';

const directory = '/files';
const keys = ['a', 'b', 'c'];
const sizes = [40, 700, 5_000];

/** Two writers with keys of their own. */
export function smallFilesProgram(fault?: SmallFilesFault): CrashProgram<StoreFacts> {
  return {
    facts: () => new StoreFacts(0),
    async live(machine, facts, work) {
      const { disk, random } = machine;
      await disk.makeDirectory(directory);
      await disk.syncDirectory('/');
      for (const { name } of (await disk.list(directory)) ?? []) if (name.endsWith('.partial')) await disk.remove(`${directory}/${name}`);
      if (fault !== 'serves_unsynced') await disk.syncDirectory(directory);
      for (const key of keys) facts.read(key, 0)(await shown(machine, key));
      if (!work) return;
      const write = async (key: string): Promise<void> => {
        for (let step = 0; step < 5; step += 1) {
          const bytes = Buffer.alloc(random.pick(sizes), `version ${facts.mark};`);
          const end = facts.begin(key, bytes.toString());
          await put(machine, { key, bytes, fault }, () => end('acknowledged'));
        }
      };
      await Promise.all([write('a'), write('b')]);
    },
  };
}

async function put({ disk, smallSyncs }: SimulatedMachine, { key, bytes, fault }: { readonly key: string; readonly bytes: Buffer; readonly fault: SmallFilesFault | undefined }, told: () => void): Promise<void> {
  const path = `${directory}/${key}`;
  const partial = fault === 'written_in_place' ? path : `${path}.partial`;
  if (fault === 'written_in_place') await disk.remove(path);
  const file = await disk.createLog(partial, 0o600);
  await file.write(bytes, 0);
  if (fault === 'renamed_before_data_sync') await disk.rename(partial, path);
  if (fault !== 'no_data_sync') await smallSyncs.sync(file.fd, 'data');
  if (fault !== 'renamed_before_data_sync') await disk.rename(partial, path);
  if (fault === 'told_before_directory_sync') told();
  if (fault !== 'no_directory_sync') await disk.syncDirectory(directory);
  if (fault !== 'told_before_directory_sync') told();
  await file[Symbol.asyncDispose]();
}

async function shown({ disk }: SimulatedMachine, key: string): Promise<string | undefined> {
  const file = await disk.openLog(`${directory}/${key}`, 'read');
  if (file === undefined) return undefined;
  await using _open = file;
  const bytes = Buffer.alloc((await file.status()).sizeBytes);
  await file.read(bytes, 0);
  return bytes.toString();
}
