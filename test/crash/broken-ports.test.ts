// The store of segments on ports that break one promise each, or leave out one step of its own: the crash points must find
// every one of them, or their silence about the store as it is would mean little. How many points each took is printed. A
// start that seals before it syncs takes thousands of them here; engine/log-recovery.test.ts finds it in a log by itself.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SyncTarget } from '../../src/base/log-files.ts';
import type { EngineStorePorts } from '../../src/blob/segment-store-options.ts';
import { CrashPoints } from '../../src/testing/crash-points.ts';
import type { CrashPointsOptions } from '../../src/testing/crash-points.ts';
import { storeModel } from '../../src/testing/engine-model.ts';
import { seededRandom } from '../../src/testing/seeded-random.ts';
import { openModelledSegmentStore, segmentModel, tightSegmentModel } from '../../src/testing/segment-store-model.ts';
import type { SimulatedMachine } from '../../src/testing/simulated-machine.ts';
import { replacing, spoiltSyncs } from '../../src/testing/spoiled-ports.ts';
import type { SpoiltSync } from '../../src/testing/spoiled-ports.ts';

/** Many times what the rarest took. */
const limits: Omit<CrashPointsOptions, 'firstSeed'> = { pointsMin: 10_000, lives: 4, statesPerCut: 2, cutsMax: 60 };

/** What stands before the ports of one start. `start.isOver` once the store is open. */
type Spoil = (machine: SimulatedMachine, start: { isOver: boolean }) => Partial<EngineStorePorts>;

interface Variant {
  readonly name: string;
  readonly spoil: Spoil;
  /** Shows only where segments are given up. */
  readonly isTight?: boolean;
}

/** Both kinds of syncs. */
function syncs(machine: SimulatedMachine, how: SpoiltSync, which: (path: string, target: SyncTarget) => boolean): Partial<EngineStorePorts> {
  const { disk, smallSyncs, largeSyncs } = machine;
  const pathOf = (fd: number): string | undefined => disk.pathOf(fd);
  return { smallSyncs: spoiltSyncs(smallSyncs, how, which, pathOf), largeSyncs: spoiltSyncs(largeSyncs, how, which, pathOf) };
}

const isSegment = (path: string, target: SyncTarget): boolean => target === 'data' && path.startsWith('/data/segments/');
const areNamesOf = (folder: string) => (path: string, target: SyncTarget): boolean => target === 'names' && (path === folder || path.startsWith(`${folder}/`));

const variants: readonly Variant[] = [
  { name: 'what is appended is told before it is synced', spoil: (machine) => syncs(machine, 'told_early', isSegment) },
  { name: 'what is appended is never synced', spoil: (machine) => syncs(machine, 'dropped', isSegment) },
  { name: 'the names of segments are never synced', spoil: (machine) => syncs(machine, 'dropped', areNamesOf('/data/segments')) },
  { name: 'the names of large files are never synced', spoil: (machine) => syncs(machine, 'dropped', areNamesOf('/data/objects')) },
  { name: 'the bytes of large files are never synced', spoil: (machine) => syncs(machine, 'dropped', (path, target) => target === 'data' && path.startsWith('/data/uploads/')) },
  { name: 'a start serves what it found without a sync', spoil: (machine, start) => syncs(machine, 'dropped', (path, target) => !start.isOver && isSegment(path, target)) },
  { name: 'a nonce that never changes', spoil: () => ({ random: { bytes: (length) => new Uint8Array(length).fill(7) } }), isTight: true },
  {
    name: 'what a file is renamed to is told before it is done',
    spoil: ({ disk }) => ({ files: replacing(disk, { rename: async (from: string, to: string) => void disk.rename(from, to).catch(() => undefined) }) }),
  },
];

describe('the store of segments on broken ports', () => {
  for (const { name, spoil, isTight = false } of variants) {
    it(`is caught: ${name}`, async (t) => {
      const model = isTight ? tightSegmentModel : segmentModel;
      const program = storeModel({
        ...model,
        async open(machine, { maxBytes }) {
          const start = { isOver: false };
          const store = await openModelledSegmentStore(machine, { maxBytes }, spoil(machine, start));
          start.isOver = true;
          return store;
        },
      });
      // A sync that comes late may find its file closed: that is the spoilt port's doing, and not what is to be caught.
      const live: typeof program.live = async (machine, facts, work) => {
        await program.live(machine, facts, work);
        machine.disk.violations.length = 0;
      };
      const outcome = await new CrashPoints({ ...program, live }, { ...limits, firstSeed: seededRandom(t).seed }).try();
      assert.ok(outcome.failure !== undefined, `${outcome.points} points found nothing`);
      t.diagnostic(`after ${outcome.points} points: ${String(outcome.failure.cause).slice(0, 120)}`);
    });
  }
});
