// Files on their way out: a rename takes the name away at once, what the file takes on the disk goes in the background, one
// file at a time and in steps, since a large unlink holds up the syncs of everybody else. docs/formats/data-directory.md

/** A file to be thrown away. */
export interface Discarded {
  readonly path: string;
  /** As it counts in the ledger, under `trash`; taken off as the disk gets it back. */
  readonly allocatedBytes: number;
  /** Resolves once nobody reads the file any more; it is not made shorter before that. */
  readonly unread: () => Promise<void>;
}

export interface Trash {
  /**
   * Moves the file here. False: there was none. The names in neither directory are durable by this.
   * @throws CacheError `unavailable`: the file is where it was.
   */
  take(file: Discarded): Promise<boolean>;
  /** Makes durable that what was taken before is here. */
  sync(): Promise<void>;
  /** Resolves when all that was taken is gone from the disk, or could not be removed until the next start. */
  idle(): Promise<void>;
}
