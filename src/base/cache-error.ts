// The one error class and its closed code set. Protocol folders hold one exhaustive table each that turns
// a code into a status; nobody matches message text.

/** The closed set of failures, with gRPC's canonical meanings. `internal` means a bug in Kiln, nothing else. */
export type Code =
  | 'cancelled'
  | 'invalid_argument'
  | 'deadline_exceeded'
  | 'not_found'
  | 'already_exists'
  | 'permission_denied'
  | 'resource_exhausted'
  | 'failed_precondition'
  | 'aborted'
  | 'out_of_range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data_loss'
  | 'unauthenticated';

/** What a program may act on. The message is for people and is never matched. */
export type ErrorDetail =
  | { readonly kind: 'missing_blobs'; readonly blobs: readonly { readonly hash: string; readonly sizeBytes: number }[] }
  | { readonly kind: 'retry_after'; readonly delayMs: number };

/** A failure that somebody classified. `cause` keeps what was caught, for the log. */
export class CacheError extends Error {
  override readonly name = 'CacheError';
  readonly code: Code;
  readonly details: readonly ErrorDetail[];

  constructor(code: Code, message: string, options: { cause?: unknown; details?: readonly ErrorDetail[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? [];
  }

  /** For the outermost edge only: what nobody classified is our bug, not a miss and not the caller's fault. */
  static from(thrown: unknown): CacheError {
    return thrown instanceof CacheError ? thrown : new CacheError('internal', 'unexpected failure; the log of the server has more', { cause: thrown });
  }
}
