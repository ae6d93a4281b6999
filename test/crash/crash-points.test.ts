// The long proof by simulated power cuts and kills: 100,000 points by default, each of them a start that is checked. All
// print how many there were, and from which seed. The same ones each time: KILN_TEST_SEED tries others, from that seed on.
// KILN_CRASH_POINTS sets the number for each test, and KILN_CRASH_POINT repeats one point of one test.
import { describe, it } from 'node:test';
import { tryCrashPoints } from '../../src/testing/crash-points.ts';
import type { CrashPointsOptions } from '../../src/testing/crash-points.ts';
import { storeModel } from '../../src/testing/engine-model.ts';
import { fileProgram } from '../../src/testing/file-program.ts';
import { logWriterProgram } from '../../src/testing/log-writer-program.ts';
import { recoveryProgram } from '../../src/testing/recovery-program.ts';
import { segmentModel, tightSegmentModel } from '../../src/testing/segment-store-model.ts';
import { smallFilesProgram } from '../../src/testing/small-files.ts';
import { smallLogProgram } from '../../src/testing/small-log.ts';

const limits: Omit<CrashPointsOptions, 'firstSeed' | 'pointsMin'> = { lives: 5, statesPerCut: 2, cutsMax: 60 };

describe('crash points', () => {
  it('K1-03: the log that the points are proved with', (t) => tryCrashPoints(t, smallLogProgram(), { ...limits, firstSeed: 1835258777, pointsMin: 25_000 }));
  it('K1-03: the files that the points are proved with', (t) => tryCrashPoints(t, smallFilesProgram(), { ...limits, firstSeed: 168721594, pointsMin: 25_000 }));
  it('K1-03, K1-08: the writer of the log', (t) => tryCrashPoints(t, logWriterProgram(), { ...limits, firstSeed: 641510761, pointsMin: 15_000 }));
  it('K1-03, K1-08: the writer of the log, on a disk that fails', (t) => tryCrashPoints(t, logWriterProgram({ shareOfFaults: 0.04 }), { ...limits, firstSeed: 369217538, pointsMin: 8_000 }));
  it('K1-03, K1-06: the start of the log', (t) => tryCrashPoints(t, recoveryProgram(), { ...limits, firstSeed: 2001602758, pointsMin: 8_000 }));
  it('K1-03, K1-06: large files', (t) => tryCrashPoints(t, fileProgram(), { ...limits, firstSeed: 937919849, pointsMin: 10_000 }));
  it('K1-03, K1-06, K1-11: the store of segments, with room for everything', (t) => tryCrashPoints(t, storeModel(segmentModel), { ...limits, firstSeed: 1862781531, pointsMin: 8_000 }));
  it('K1-02, K1-03, K1-08: the store of segments, evicting, on failing disks, with rot', (t) =>
    tryCrashPoints(t, storeModel({ ...tightSegmentModel, hasFaults: true, hasRot: true }), { ...limits, firstSeed: 1299889010, pointsMin: 3_000 }));
});
