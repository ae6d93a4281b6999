// The long proof by simulated power cuts and kills. KILN_CRASH_POINTS sets the number of points of each test,
// KILN_TEST_SEED the first seed, so that runs can share the work, and KILN_CRASH_POINT repeats one point of one test.
import { describe, it } from 'node:test';
import { tryCrashPoints } from '../../src/testing/crash-points.ts';
import type { CrashPointsOptions } from '../../src/testing/crash-points.ts';
import { storeModel } from '../../src/testing/engine-model.ts';
import type { StoreModelOptions } from '../../src/testing/engine-model.ts';
import { openModelledFileStore } from '../../src/testing/file-store-model.ts';
import { segmentModel, tightSegmentModel } from '../../src/testing/segment-store-model.ts';
import { smallLogProgram } from '../../src/testing/small-log.ts';

const limits: Omit<CrashPointsOptions, 'firstSeed' | 'pointsMin'> = { lives: 5, statesPerCut: 2, cutsMax: 60 };
const base: Omit<StoreModelOptions, 'open'> = {
  blobSizes: [1, 90, 700, 4_096, 9_000, 70_000, 70_001],
  valuesCount: 4,
  valueSizes: [40, 900, 20_000],
  steps: 15,
  clients: 3,
  roomyBytes: 1 << 26,
};

describe('crash points', () => {
  it('K1-03: the log that the points are proved with', (t) => tryCrashPoints(t, smallLogProgram(), { ...limits, pointsMin: 20_000 }));
  it('K1-03, K1-06, K1-11: the store of files, evicting, on failing disks, with rot', (t) =>
    tryCrashPoints(t, storeModel({ ...base, open: (machine, { maxBytes }) => openModelledFileStore(machine, maxBytes), tightBytes: 200_000, hasFaults: true, hasRot: true }), { ...limits, pointsMin: 10_000 }));
  it('K1-03, K1-06, K1-11: the store of segments, with room for everything', (t) => tryCrashPoints(t, storeModel(segmentModel), { ...limits, pointsMin: 10_000 }));
  it('the store of segments, evicting, on failing disks', (t) => tryCrashPoints(t, storeModel({ ...tightSegmentModel, hasFaults: true }), { ...limits, pointsMin: 5_000 }));
});
