// What the process that measures a store under mixed load is told and reports.

/** `writes`: as in `eviction`, with room for everything. */
export const mixedLoads = ['idle', 'uploads', 'writes', 'eviction'] as const;
export type MixedLoad = (typeof mixedLoads)[number];

/** What thread and store agree on: the thread posts for each call when it was due and when it was sent. */
export interface ProbeOptions {
  readonly callsPerSecond: number;
  /** One word: not 0 once the thread is to end. */
  readonly state: Int32Array<SharedArrayBuffer>;
}

/** Microseconds; each from when the call was sent. */
export interface Latencies {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly worst: number;
}

export interface MixedTurn {
  readonly findMissing: Latencies;
  readonly smallWrites: Latencies;
  /** How long after it was due a call was sent, 99th percentile. */
  readonly sendLagP99: number;
  readonly seconds: number;
  /** Of what the load wrote; the small writes that are measured are not among it. */
  readonly ingestedBytes: number;
  readonly evictedBytes: number;
  /** Of the log: the median of what each took, in microseconds. */
  readonly syncUs: number;
}

export type MixedReport = Readonly<Record<MixedLoad, readonly MixedTurn[]>>;

/** Milliseconds of a clock that all threads share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
