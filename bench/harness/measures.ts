// What is measured, in which unit, and which way is better. Tables, ratios and the JSON file go by this list.
import type { Spread } from './statistics.ts';

export interface MeasureInfo {
  /** Head of its column. */
  readonly head: string;
  /** For the JSON file. */
  readonly unit: string;
  /** Absent where it is neither: what says something about the measurement itself. */
  readonly better?: 'more' | 'less';
  readonly digits: number;
}

export const measures = {
  operationsPerSecond: { head: 'ops/s', unit: 'operations per second', better: 'more', digits: 0 },
  bytesPerSecond: { head: 'MB/s', unit: 'megabytes (10^6 bytes) of content per second', better: 'more', digits: 0 },
  cpuPerOperation: { head: 'CPU us/op', unit: 'microseconds of server CPU per operation, all threads and children', better: 'less', digits: 2 },
  generatorCores: { head: 'gen cores', unit: 'cores the generator used; near 1 it was the limit', digits: 2 },
  p50: { head: 'p50 us', unit: 'microseconds from when the call was due', better: 'less', digits: 0 },
  p90: { head: 'p90 us', unit: 'microseconds from when the call was due', better: 'less', digits: 0 },
  p99: { head: 'p99 us', unit: 'microseconds from when the call was due', better: 'less', digits: 0 },
  p999: { head: 'p99.9 us', unit: 'microseconds from when the call was due', better: 'less', digits: 0 },
  worst: { head: 'max us', unit: 'microseconds from when the call was due', better: 'less', digits: 0 },
  sendLagP99: { head: 'gen lag us', unit: 'microseconds the generator itself was late, 99th percentile', digits: 0 },
  syncUs: { head: 'sync us', unit: 'microseconds of one sync of the log in the run, the median', digits: 0 },
  perSync: { head: 'per sync', unit: 'operations acknowledged per sync of the log', digits: 1 },
  limitShare: { head: '% of limit', unit: 'per cent of the operations per second that callers in a closed loop can have: their number over 1.5 times the sync', better: 'more', digits: 0 },
  evictedPerSecond: { head: 'evicted MB/s', unit: 'megabytes (10^6 bytes) evicted per second', digits: 0 },
  readyMs: { head: 'ready ms', unit: 'milliseconds from the start of the process until it serves', better: 'less', digits: 0 },
  openMs: { head: 'open ms', unit: 'milliseconds of opening the store alone', better: 'less', digits: 0 },
  readyCpuMs: { head: 'CPU ms', unit: 'milliseconds of CPU from the start of the process until it serves', better: 'less', digits: 0 },
  residentMegabytes: { head: 'RSS MB', unit: 'megabytes (10^6 bytes) resident once it serves', better: 'less', digits: 0 },
  bytesPerBlob: { head: 'B/blob', unit: 'resident bytes more than with no blobs, per blob', better: 'less', digits: 0 },
  cpuPerBlobUs: { head: 'CPU us/blob', unit: 'microseconds of CPU until it serves, more than with no blobs, per blob', better: 'less', digits: 2 },
  bytesPerEntry: { head: 'B/entry', unit: 'bytes of all buffers of a table per entry, at the worst moment', better: 'less', digits: 1 },
  growthMs: { head: 'growth CPU ms', unit: 'milliseconds of CPU of the longest insert that made a table grow', better: 'less', digits: 2 },
  hitShare: { head: 'hits %', unit: 'per cent of the requests for what was asked for before that found it', better: 'more', digits: 1 },
  byteHitShare: { head: 'bytes hit %', unit: 'the same, of the bytes that such requests asked for', better: 'more', digits: 1 },
  movedPerByte: { head: 'moved B/B', unit: 'bytes that got another place after they were stored, per byte stored', better: 'less', digits: 2 },
  callP99: { head: 'p99 us', unit: 'microseconds from the headers of a call of somebody else to its status, as the server counts it, 99th percentile', better: 'less', digits: 0 },
  controlCallP99: { head: 'control', unit: 'the same beside the load that is no attack', digits: 0 },
  callRatio: { head: 'ratio', unit: 'the 99th percentile of all rounds together over that of the control', digits: 2 },
  waitedP99: { head: 'waited p99 us', unit: 'microseconds from the last byte of a call of somebody else to the last of its answer, as it waited, 99th percentile', better: 'less', digits: 0 },
  controlWaitedP99: { head: 'control', unit: 'the same beside the load that is no attack', digits: 0 },
  waitedRatio: { head: 'ratio', unit: 'median over that of the control', digits: 2 },
  relativeCpu: { head: 'CPU against off', unit: 'server CPU per operation over that of the two servers that are off, a sample for each start', digits: 3 },
} as const satisfies Record<string, MeasureInfo>;

export type MeasureName = keyof typeof measures;
/** In the order of the columns. */
export const measureNames = Object.keys(measures) as readonly MeasureName[];

/** What one round measured. */
export type Sample = Partial<Record<MeasureName, number>>;
/** What all rounds measured. */
export type Measured = Partial<Record<MeasureName, Spread>>;

/** How `own` compares with `reference` in one measure: the plain ratio, and by what factor it is better or worse. */
export interface Comparison {
  /** Median of `own` over median of `reference`. */
  readonly ratio: number;
  /** Above 1: `own` is better by that factor. Below 1: worse. */
  readonly advantage: number;
}

/** Undefined where one of them lacks the measure, or where neither way is better. */
export function compare(name: MeasureName, own: Measured, reference: Measured): Comparison | undefined {
  const info: MeasureInfo = measures[name];
  const [ours, theirs] = [own[name]?.median, reference[name]?.median];
  if (info.better === undefined || ours === undefined || theirs === undefined || ours === 0 || theirs === 0) return undefined;
  const ratio = ours / theirs;
  return { ratio, advantage: info.better === 'more' ? ratio : 1 / ratio };
}
