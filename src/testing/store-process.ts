// A process of its own that writes to a store of segments until it is killed, and says what it begins and what was
// acknowledged: for tests of kill -9. Arguments: the directory, and a number that tells this run from others.
import { byteSourceOf } from '../base/byte-source.ts';
import type { EngineStore } from '../blob/engine-store.ts';
import { Digest } from '../digest/digest.ts';
import { SyncThread } from '../platform/sync-thread.ts';
import { contentOf, killedStoreOptions, valueKeyOf, valuesMax } from './killed-store.ts';
import { openEngineStore } from './temporary-engine-store.ts';

const writers = 12;
const [directory = '', run = ''] = process.argv.slice(2);
let count = 0;

async function write(store: EngineStore): Promise<never> {
  for (;;) {
    count += 1;
    const name = `${run}/${count}`;
    const bytes = contentOf(name);
    if (count % 4 === 0) {
      const which = (count / 4) % valuesMax;
      // One line each, and a pipe is written at once: what was said has been said when the process is killed.
      process.stdout.write(`begun ${which} ${name}\n`);
      await store.values.put(valueKeyOf(which), byteSourceOf(bytes));
      process.stdout.write(`value ${which} ${name}\n`);
    } else {
      await store.blobs.put(Digest.of(bytes), byteSourceOf(bytes));
      process.stdout.write(`blob ${name}\n`);
    }
  }
}

setInterval(() => undefined, 1_000); // a server has sockets that keep it alive
const store = await openEngineStore(directory, killedStoreOptions, { syncs: new SyncThread('test') });
await Promise.all(Array.from({ length: writers }, () => write(store)));
