// The port of looking into a running server: what it computes, and what it holds in memory, as files.

/** What a file is of: one that a profiler opens, or the whole JavaScript heap. */
export type DiagnosticKind = 'cpu-profile' | 'heap-snapshot';

export interface DiagnosticFile {
  readonly kind: DiagnosticKind;
  /** Absolute. */
  readonly path: string;
  readonly sizeBytes: number;
  /** When it was begun; ISO 8601. */
  readonly takenAt: string;
}

/** One at a time, whoever asks; what is taken is kept within bounds, the oldest files go first. */
export interface Diagnostics {
  /**
   * Watches the main thread for `durationMs`. Costs some percent of its speed meanwhile.
   * @throws CacheError `unavailable` (another one is being taken, or the server stops) or `resource_exhausted` (disk).
   */
  takeCpuProfile(durationMs: number): Promise<DiagnosticFile>;
  /**
   * Writes down the heap, with all that is in it: also what clients have sent, credentials included. Nothing is served
   * meanwhile, about a second per 100 MB, and memory doubles.
   * @throws CacheError as `takeCpuProfile`, `resource_exhausted` also when too little memory is free.
   */
  takeHeapSnapshot(): Promise<DiagnosticFile>;
  /** What is kept, newest first. */
  list(kind: DiagnosticKind): Promise<readonly DiagnosticFile[]>;
}
