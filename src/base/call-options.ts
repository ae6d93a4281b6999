// What every verb that may wait takes last.

/** Options of a call that may wait. `signal` ends the wait with `cancelled` and frees what the call holds. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}
