// The log as it is written, cut at every change of the disk: nothing that was told is lost, nothing comes back that went.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SyncPort, SyncTarget } from '../base/log-files.ts';
import { CrashPoints, tryCrashPoints } from '../testing/crash-points.ts';
import { logWriterProgram } from '../testing/log-writer-program.ts';
import type { SpoiltWriterPorts } from '../testing/log-writer-program.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SimulatedMachine } from '../testing/simulated-machine.ts';
import { replacing, spoiltSyncs } from '../testing/spoiled-ports.ts';

const limits = { pointsMin: 120, lives: 4, statesPerCut: 1, cutsMax: 20 };

describe('a log that is written and cut', () => {
  it('K1-03: loses nothing that was told', (t) => tryCrashPoints(t, logWriterProgram(), limits));
  it('K1-03, K1-08: loses nothing that was told on a disk that fails', (t) => tryCrashPoints(t, logWriterProgram({ shareOfFaults: 0.04 }), limits));

  const spoilt: Readonly<Record<string, (machine: SimulatedMachine) => SpoiltWriterPorts>> = {
    'records are not synced': (machine) => ({ smallSyncs: dropped(machine, (isFirst, target) => target === 'data' && !isFirst) }),
    'the block of a segment is not synced': (machine) => ({ smallSyncs: dropped(machine, (isFirst, target) => target === 'data' && isFirst) }),
    'names are not synced': (machine) => ({ smallSyncs: dropped(machine, (_isFirst, target) => target === 'names') }),
  };
  for (const [what, spoil] of Object.entries(spoilt)) {
    it(`catches it when ${what}`, async (t) => {
      const { failure, points } = await new CrashPoints(logWriterProgram({ spoilt: spoil }), { ...limits, pointsMin: 5_000, firstSeed: seededRandom(t).seed }).try();
      assert.ok(failure !== undefined, `${points} points found nothing`);
      t.diagnostic(`after ${points} points`);
    });
  }
});

/** Such syncs are told as done and never are. `isFirst`: of that descriptor; of a segment it is that of its block. */
function dropped(machine: SimulatedMachine, which: (isFirst: boolean, target: SyncTarget) => boolean): SyncPort {
  const synced = new Set<number>();
  const never = spoiltSyncs(machine.smallSyncs, 'dropped', () => true, (fd) => machine.disk.pathOf(fd));
  return replacing(machine.smallSyncs, {
    sync: (fd, target) => {
      const isFirst = !synced.has(fd);
      synced.add(fd);
      return which(isFirst, target) ? never.sync(fd, target) : machine.smallSyncs.sync(fd, target);
    },
  });
}
