// The long proof by simulated power cuts and kills, of the start of the log and of whole stores; of the parts that write it is
// crash-points-of-parts.test.ts, which runs beside it. 100,000 points by default in both, each of them a start that is
// checked. All print how many there were, and from which seed. The same ones each time: KILN_TEST_SEED tries others, from
// that seed on. KILN_CRASH_POINTS sets the number for each test, and KILN_CRASH_POINT repeats one point of one test.
import { describe, it } from 'node:test';
import { longRun, tryCrashPoints } from '../../src/testing/crash-points.ts';
import { storeModel } from '../../src/testing/engine-model.ts';
import { recoveryProgram } from '../../src/testing/recovery-program.ts';
import { segmentModel, tightSegmentModel } from '../../src/testing/segment-store-model.ts';

describe('crash points', () => {
  it('K1-03, K1-06: the start of the log', (t) => tryCrashPoints(t, recoveryProgram(), { ...longRun, firstSeed: 2001602758, pointsMin: 8_000 }));
  it('K1-03, K1-06, K1-11: the store of segments, with room for everything', (t) => tryCrashPoints(t, storeModel(segmentModel), { ...longRun, firstSeed: 1862781531, pointsMin: 8_000 }));
  it('K1-02, K1-03, K1-08: the store of segments, evicting, on failing disks, with rot', (t) =>
    tryCrashPoints(t, storeModel({ ...tightSegmentModel, hasFaults: true, hasRot: true }), { ...longRun, firstSeed: 1299889010, pointsMin: 3_000 }));
});
