// As crash-points.test.ts, of what writes the log and large files, and of the small programs that the points are proved with.
import { describe, it } from 'node:test';
import { longRun, tryCrashPoints } from '../../src/testing/crash-points.ts';
import { fileProgram } from '../../src/testing/file-program.ts';
import { logWriterProgram } from '../../src/testing/log-writer-program.ts';
import { smallFilesProgram } from '../../src/testing/small-files.ts';
import { smallLogProgram } from '../../src/testing/small-log.ts';

describe('crash points of parts', () => {
  it('K1-03: the log that the points are proved with', (t) => tryCrashPoints(t, smallLogProgram(), { ...longRun, firstSeed: 1835258777, pointsMin: 25_000 }));
  it('K1-03: the files that the points are proved with', (t) => tryCrashPoints(t, smallFilesProgram(), { ...longRun, firstSeed: 168721594, pointsMin: 25_000 }));
  it('K1-03, K1-08: the writer of the log', (t) => tryCrashPoints(t, logWriterProgram(), { ...longRun, firstSeed: 641510761, pointsMin: 15_000 }));
  it('K1-03, K1-08: the writer of the log, on a disk that fails', (t) => tryCrashPoints(t, logWriterProgram({ shareOfFaults: 0.04 }), { ...longRun, firstSeed: 369217538, pointsMin: 8_000 }));
  it('K1-03, K1-06: large files', (t) => tryCrashPoints(t, fileProgram(), { ...longRun, firstSeed: 937919849, pointsMin: 10_000 }));
});
