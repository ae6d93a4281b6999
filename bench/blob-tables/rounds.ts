// What the process that measures the index reports.

export const indexOperations = ['insert', 'hit', 'miss', 'remove'] as const;
export type IndexOperation = (typeof indexOperations)[number];
export const indexTables = ['index', 'plain'] as const;
export type IndexTable = (typeof indexTables)[number];

export interface IndexRound {
  /** Microseconds of CPU for one. */
  readonly costs: Readonly<Record<IndexOperation, Readonly<Record<IndexTable, number>>>>;
  /** At the worst moment, from the least number of entries on that counts. */
  readonly bytesPerEntryMax: Readonly<Record<IndexTable, number>>;
  /** Of the inserts that made it grow, one in two of which was measured: milliseconds of CPU, and as time went by. */
  readonly growths: number;
  readonly growthCpuMsMax: number;
  readonly growthWallMs: { readonly median: number; readonly max: number };
}
