// The port of hits and misses: which build tool, in which instance, found how much of what it looked for.

/** Look-ups of one kind. */
export interface LookupCount {
  /** Both may be 0. */
  add(hits: number, misses: number): void;
}

/** What one tool did in one instance. */
export interface ToolUsage {
  /** Action results, and values of tools that are kept in their place. */
  readonly actions: LookupCount;
  /** Blobs asked for by FindMissingBlobs or HEAD: present is a hit, an upload that may be left out. */
  readonly finds: LookupCount;
  /** Blobs asked for with their bytes. */
  readonly reads: LookupCount;
}

export interface CacheUsage {
  /** Cheap: asked for with every call. Neither name needs to be checked; they are bounded here. */
  of(tool: string, instance: string): ToolUsage;
}

const ignored: LookupCount = { add() {} };
const ignoredUsage: ToolUsage = { actions: ignored, finds: ignored, reads: ignored };

/** Counts nothing. */
export const noCacheUsage: CacheUsage = { of: () => ignoredUsage };
