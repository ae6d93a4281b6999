// Cuts puts and removals of large files before every change of the disk, kills and power cuts, starts that are cut again: what
// was acknowledged is there and right, everything else is there and right or nowhere, and the books are exact. The same with
// each promise broken, which must be found out.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CrashPoints, tryCrashPoints } from '../testing/crash-points.ts';
import { brokenFiles, fileProgram } from '../testing/file-program.ts';

describe('large files over crashes', () => {
  it('K1-01, K1-03, K1-06: nothing acknowledged is lost, nothing wrong is served, nothing is left over', { timeout: 120_000 }, async (t) => {
    await tryCrashPoints(t, fileProgram(), { pointsMin: 700, lives: 4, statesPerCut: 1 });
  });

  it('K1-08: the same on a disk that refuses some of what it is asked', { timeout: 120_000 }, async (t) => {
    await tryCrashPoints(t, fileProgram(undefined, { hasFaults: true }), { pointsMin: 700, lives: 4, statesPerCut: 1 });
  });

  for (const [what, spoilt] of Object.entries(brokenFiles)) {
    it(`finds out when ${what}`, { timeout: 120_000 }, async () => {
      const outcome = await new CrashPoints(fileProgram(spoilt), { firstSeed: 1, pointsMin: 20_000, lives: 4, statesPerCut: 1 }).try();
      assert.ok(outcome.failure !== undefined, `nothing was found in ${outcome.points} points`);
    });
  }
});
