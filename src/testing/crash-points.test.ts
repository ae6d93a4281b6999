// Proves the crash points themselves: two small programs that are right stay right at every point, and each way to break
// them is found.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CrashPoints, tryCrashPoints, wordsOf } from './crash-points.ts';
import type { CrashPointsOptions, CrashProgram } from './crash-points.ts';
import { seededRandom } from './seeded-random.ts';
import { smallFilesProgram } from './small-files.ts';
import type { SmallFilesFault } from './small-files.ts';
import { smallLogProgram } from './small-log.ts';
import type { SmallLogFault } from './small-log.ts';
import { replacing, spoiltSyncs } from './spoiled-ports.ts';
import type { StoreFacts } from './store-facts.ts';

const limits: Omit<CrashPointsOptions, 'firstSeed'> = { pointsMin: 1_000, lives: 3, statesPerCut: 2 };
/** Enough for the rarest of the faults below, many times over. */
const patience: Omit<CrashPointsOptions, 'firstSeed'> = { ...limits, pointsMin: 60_000 };

describe('crash points of small programs', () => {
  it('a log that syncs before it tells loses nothing', (t) => tryCrashPoints(t, smallLogProgram(), limits));
  it('files that are synced, renamed and synced in their directory lose nothing', (t) => tryCrashPoints(t, smallFilesProgram(), limits));

  const logFaults: readonly SmallLogFault[] = ['told_before_sync', 'no_directory_sync', 'constant_nonce', 'serves_unsynced', 'used_again_before_directory_sync'];
  for (const fault of logFaults) {
    it(`catches a log with a fault: ${fault}`, async (t) => {
      const outcome = await new CrashPoints(smallLogProgram(fault), { ...patience, firstSeed: seededRandom(t).seed }).try();
      assert.ok(outcome.failure !== undefined, `${outcome.points} points found nothing`);
      t.diagnostic(`after ${outcome.points} points`);
    });
  }

  const fileFaults: readonly SmallFilesFault[] = ['no_data_sync', 'renamed_before_data_sync', 'no_directory_sync', 'written_in_place', 'told_before_directory_sync', 'serves_unsynced'];
  for (const fault of fileFaults) {
    it(`catches files with a fault: ${fault}`, async (t) => {
      const outcome = await new CrashPoints(smallFilesProgram(fault), { ...patience, firstSeed: seededRandom(t).seed }).try();
      assert.ok(outcome.failure !== undefined, `${outcome.points} points found nothing`);
      t.diagnostic(`after ${outcome.points} points`);
    });
  }

  it('catches a right program on a port that breaks its promise', async (t) => {
    for (const how of ['dropped', 'told_early'] as const) {
      const right = smallLogProgram();
      const spoilt: CrashProgram<StoreFacts> = {
        ...right,
        live: (machine, facts, work) =>
          right.live(replacing(machine, { smallSyncs: spoiltSyncs(machine.smallSyncs, how, (path) => path.startsWith('/log/'), (fd) => machine.disk.pathOf(fd)) }), facts, work),
      };
      const outcome = await new CrashPoints(spoilt, { ...patience, firstSeed: seededRandom(t).seed }).try();
      assert.ok(outcome.failure !== undefined, `${how}: ${outcome.points} points found nothing`);
    }
  });

  it('repeats the point that failed from its name alone, and says what led to it', async (t) => {
    const points = (): CrashPoints<StoreFacts> => new CrashPoints(smallLogProgram('told_before_sync'), { ...patience, firstSeed: seededRandom(t).seed });
    const { failure } = await points().try();
    assert.ok(failure !== undefined);
    const again = await points().repeat(failure.point);
    assert.deepEqual(again.failure?.trace, failure.trace);
    assert.equal(again.failure?.point, failure.point);
    assert.match(wordsOf(failure), /KILN_CRASH_POINT=\d+(\.\d+)+/);
    assert.ok(again.points < 4, 'nothing else is tried');
  });
});
