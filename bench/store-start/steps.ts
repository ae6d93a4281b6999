// What the processes of the benchmark of starts do, and what each reports.

/**
 * `fill`: stores blobs FROM to TO and closes. `die`: the same, but kills itself half-way, while others are under
 * way. `serve`: opens, checks that blobs 0 to TO are there, and closes.
 */
export const steps = ['fill', 'die', 'serve'] as const;
export type Step = (typeof steps)[number];

/** Of `serve`. */
export interface Started {
  /** From the start of the process until the store was open. */
  readonly readyMs: number;
  /** Of opening the store alone. */
  readonly openMs: number;
  /** Of the process until then, all threads. */
  readonly cpuMs: number;
  /** Resident once it was open, and at most until then. */
  readonly residentBytes: number;
  readonly residentBytesMax: number;
  /** On disk. */
  readonly usedBytes: number;
}
