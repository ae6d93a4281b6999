// What is said of the time that a store takes: how long operations stood in line, and which writes were slow for what reason.
import type { MonotonicClock } from '../base/clock.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { Histogram, Meter, MetricDefinition } from '../base/metrics.ts';
import { ReportLimit } from '../base/report-limit.ts';
import { judgeStep, receiveStep, workStep } from './step-timing.ts';

export interface StoreJournalPorts {
  readonly log: Log;
  readonly meter: Meter;
  readonly clock: MonotonicClock;
}

const waitMetric: MetricDefinition = {
  name: 'kiln_store_wait_seconds',
  help: 'Time that store operations stood in line: for a permit to open a file, for room, for another write of the same key, for the shared sync of a directory.',
};

/** Steps in which an operation does nothing but wait for its turn, and what it waits for. */
const waits: Readonly<Record<string, Reason>> = {
  permit: 'permit',
  room: 'room',
  'wait for room': 'room',
  'room in the log': 'room',
  lock: 'lock',
  'directory sync': 'directory_sync',
};
const reasons = ['permit', 'room', 'lock', 'directory_sync'] as const;
type Reason = (typeof reasons)[number];

/** A step of the disk is slow above this, and those that grow with the bytes above what a disk may take that is not new (K11-09). */
const slowStepMs = 50;
const slowBytesPerMs = 20_000;
const stepsOfBytes: ReadonlySet<string> = new Set([workStep, 'sync']);
/** Steps whose slowness is not the disk's. */
const stepsOfOthers: ReadonlySet<string> = new Set([receiveStep, judgeStep, 'permit', 'room', 'wait for room', 'room in the log', 'lock']);
const reportPeriodMs = 60_000;

export class StoreJournal {
  readonly #log: Log;
  readonly #readPermit: Histogram;
  readonly #writeWaits: Readonly<Record<Reason, Histogram>>;
  readonly #reports: ReportLimit;

  constructor({ log, meter, clock }: StoreJournalPorts) {
    this.#log = log;
    this.#readPermit = meter.histogram(waitMetric, { operation: 'read', reason: 'permit' });
    const write = (reason: Reason): Histogram => meter.histogram(waitMetric, { operation: 'write', reason });
    this.#writeWaits = { permit: write('permit'), room: write('room'), lock: write('lock'), directory_sync: write('directory_sync') };
    this.#reports = new ReportLimit(clock, reportPeriodMs);
  }

  /** A file was opened to be read, or could not be, after it had stood in line for so long. */
  readWaited(durationMs: number): void {
    this.#readPermit.record(durationMs / 1_000);
  }

  /** A write of so many bytes ended, well or not, and spent that much time in each step. `fields` say what it was; asked for when it is told. */
  writeEnded(sizeBytes: number, stepsMs: ReadonlyMap<string, number>, fields: () => LogFields): void {
    const waitedMs: Partial<Record<Reason, number>> = {};
    let isSlow = false;
    for (const [step, durationMs] of stepsMs) {
      const reason = waits[step];
      if (reason !== undefined) waitedMs[reason] = (waitedMs[reason] ?? 0) + durationMs;
      isSlow ||= !stepsOfOthers.has(step) && durationMs > slowStepMs + (stepsOfBytes.has(step) ? sizeBytes / slowBytesPerMs : 0);
    }
    for (const reason of reasons) {
      const durationMs = waitedMs[reason];
      if (durationMs !== undefined) this.#writeWaits[reason].record(durationMs / 1_000);
    }
    if (isSlow) this.#tellSlow(stepsMs, fields);
  }

  #tellSlow(stepsMs: ReadonlyMap<string, number>, fields: () => LogFields): void {
    const heldBack = this.#reports.next();
    if (heldBack === undefined) return;
    const steps: Record<string, number> = {};
    let tookMs = 0;
    for (const [step, durationMs] of stepsMs) {
      tookMs += durationMs;
      steps[`${step.replaceAll(/ (\w)/g, (_, letter: string) => letter.toUpperCase())}Ms`] = rounded(durationMs);
    }
    this.#log.info('a write to the data directory was slow', { ...fields(), tookMs: rounded(tookMs), ...steps, othersSince: heldBack === 0 ? undefined : heldBack });
  }
}

function rounded(durationMs: number): number {
  return Math.round(durationMs * 10) / 10;
}
