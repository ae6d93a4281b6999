// What every benchmark is told.

/** `quick` runs everything once and small: it shows that the benchmark works, its figures mean little. */
export interface BenchOptions {
  readonly quick: boolean;
}
