// What commands may do to the world around them: print, and end with a status.

/** Exit statuses (docs/operations.md). A server that a signal ended cleanly reports 130 or 143 instead. */
export const exitStatus = { fine: 0, failure: 1, usage: 2 } as const;

/** Where a command prints. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  /** As `out`, for what must not be lost. @throws CacheError `failed_precondition` when it could not be written. */
  readonly outForSure: (text: string) => Promise<void>;
}
