// Puts, removals and reads of few large files at the same time, over many lives of one disk: what crash points are tried on,
// and ways to break each promise that large files rest on.
import { CacheError } from '../base/cache-error.ts';
import type { LogFileSystem } from '../base/log-files.ts';
import { Digest } from '../digest/digest.ts';
import type { CrashFacts, CrashProgram } from './crash-points.ts';
import { openSimulatedFiles } from './simulated-files.ts';
import type { SimulatedFiles, SpoiltFiles } from './simulated-files.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import { replacing, spoiltSyncs } from './spoiled-ports.ts';

/** Which blobs must be there: those that were acknowledged or shown, until their removal begins. */
export class FileFacts implements CrashFacts<FileFacts> {
  readonly #told: { readonly key: string; readonly isThere: boolean }[];

  constructor(told: { readonly key: string; readonly isThere: boolean }[] = []) {
    this.#told = told;
  }

  get mark(): number {
    return this.#told.length;
  }

  afterCrash(mark: number): FileFacts {
    return new FileFacts(this.#told.slice(0, mark));
  }

  tell(key: string, isThere: boolean): void {
    this.#told.push({ key, isThere });
  }

  mustBeThere(key: string): boolean {
    return this.#told.findLast((one) => one.key === key)?.isThere ?? false;
  }
}

const blobs = [1, 2, 3].map((number) => {
  const bytes = Buffer.alloc(4_096 * number - 100, `blob ${number} `);
  return { bytes, digest: Digest.of(bytes) };
});
const workers = 4;
const stepsOfWorker = 5;

/** How often the disk refuses something, of what it is asked while it has faults. */
const shareOfFaults = 0.03;

/** `hasFaults`: while it works, the disk refuses some of what concerns the files, but for the log. */
export function fileProgram(spoilt: (machine: SimulatedMachine) => SpoiltFiles = () => ({}), { hasFaults = false } = {}): CrashProgram<FileFacts> {
  return {
    facts: () => new FileFacts(),
    async live(machine, facts, work) {
      const store = await openSimulatedFiles(machine, spoilt(machine));
      check(store);
      for (const { digest } of blobs) await look(store, facts, digest);
      if (!work) {
        await store.trash.idle();
        return;
      }
      const { disk, random } = machine;
      if (hasFaults) disk.fault = (_operation, path) => (!path.startsWith('/data/log') && random.fraction() < shareOfFaults ? 'EIO' : undefined);
      const evictions = new Map<string, number>();
      const step = async (): Promise<void> => {
        const { bytes, digest } = machine.random.pick(blobs);
        const choice = machine.random.fraction();
        if (choice < 0.5) {
          const before = evictions.get(digest.key);
          await store.files.put(digest, piecesOf(bytes));
          // Else it may be on its way out again by now.
          if (evictions.get(digest.key) === before) facts.tell(digest.key, true);
          if (evictions.get(digest.key) === before && !store.has(digest)) throw new Error(`${digest.key} was put and is gone`);
        } else if (choice < 0.9) {
          if (store.has(digest)) facts.tell(digest.key, false);
          evictions.set(digest.key, (evictions.get(digest.key) ?? 0) + 1);
          await store.evict(digest);
        } else if (store.has(digest)) {
          const found = await store.read(digest);
          if (found !== undefined && !found.equals(bytes)) throw new Error(`${digest.key} was read with other bytes`);
        }
      };
      await Promise.all(
        Array.from({ length: workers }, async () => {
          for (let count = 0; count < stepsOfWorker; count += 1) await step().catch((thrown: unknown) => expect(thrown, hasFaults));
        }),
      );
      disk.fault = () => undefined;
      for (; store.files.usage.pendingRemovals > 0; machine.clock.advance(1_000)) await machine.turns.nextTurn();
      await store.close();
      check(store);
      const [left] = store.leftBehind();
      if (left !== undefined && !hasFaults) throw new Error(`${left} was left behind`);
    },
  };
}

function expect(thrown: unknown, hasFaults: boolean): void {
  if (!hasFaults || !(thrown instanceof CacheError) || thrown.code !== 'unavailable') throw thrown;
}

async function look(store: SimulatedFiles, facts: FileFacts, digest: Digest): Promise<void> {
  const bytes = blobs.find((blob) => blob.digest === digest)?.bytes;
  const found = await store.read(digest);
  if (found === undefined && facts.mustBeThere(digest.key)) throw new Error(`${digest.key} was acknowledged and is gone`);
  if (found !== undefined && bytes?.equals(found) !== true) throw new Error(`${digest.key} has other bytes`);
  if (found !== undefined) facts.tell(digest.key, true);
}

/** Of a start, and of an end: nothing is under way. */
function check(store: SimulatedFiles): void {
  const wrong = store.audit();
  if (wrong !== undefined) throw new Error(wrong);
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes.subarray(0, 3_000);
  yield bytes.subarray(3_000);
}

const inObjects = /\/data\/objects\/\w+\/\w\w$/;

/** What is left out, or done too early. */
export const brokenFiles: Readonly<Record<string, (machine: SimulatedMachine) => SpoiltFiles>> = {
  'bytes are not synced': ({ disk }) => ({ largeSyncs: (syncs) => spoiltSyncs(syncs, 'dropped', () => true, (fd) => disk.pathOf(fd)) }),
  'the directory of a new name is not synced': ({ disk }) => ({ smallSyncs: (syncs) => spoiltSyncs(syncs, 'dropped', (path) => inObjects.test(path), (fd) => disk.pathOf(fd)) }),
  'a commit is written while the directory is synced': ({ disk }) => ({
    files: (files) => replacing<LogFileSystem>(files, { openDirectory: async (path) => ({ fd: (await disk.openDirectory(path)).fd, async [Symbol.asyncDispose]() {} }) }),
    smallSyncs: (syncs) => spoiltSyncs(syncs, 'told_early', (path) => inObjects.test(path), (fd) => disk.pathOf(fd)),
  }),
  'a file gets its name before its intent is durable': () => ({ toldEarly: ({ kind }) => kind === 'intent' }),
  'a put is told before its commit is durable': () => ({ toldEarly: ({ kind }) => kind === 'commit' }),
  'a file leaves its name before its tombstone is durable': () => ({ toldEarly: ({ kind }) => kind === 'tombstone' }),
  'a start overlooks intents': () => ({ overlooked: ({ head }) => head.kind === 'intent' }),
  'a start overlooks tombstones': () => ({ overlooked: ({ entry }) => entry.target === 'commit' && !entry.isGone }),
  'a start serves what it has not synced': () => ({ startsUnsynced: true }),
};
