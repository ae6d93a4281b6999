// The one error class. What each kind of failure means, in every protocol, is in the error table; nobody matches message
// text.
import { failures } from './failures.ts';
import type { Code, FailureKind } from './failures.ts';

/** What a program may act on. The message is for people and is never matched. */
export type ErrorDetail =
  | { readonly kind: 'missing_blobs'; readonly blobs: readonly { readonly hash: string; readonly sizeBytes: number }[] }
  | { readonly kind: 'retry_after'; readonly delayMs: number }
  /** A `google.protobuf.Any` that another server sent and Kiln knows nothing of: only passed on (REAPI ERR-1). */
  | { readonly kind: 'other'; readonly typeUrl: string; readonly value: Uint8Array };

/**
 * A failure that somebody classified. `cause` keeps what was caught, for the log. Only what is a fault of ours has a
 * stack: misses and refusals are answers, of which there are thousands a second, and a stack takes longer than they do.
 */
export class CacheError extends Error {
  override readonly name = 'CacheError';
  /** Its row of the error table. The name of a code where there is nothing more to say. */
  readonly kind: FailureKind;
  readonly code: Code;
  readonly details: readonly ErrorDetail[];

  constructor(kind: FailureKind, message: string, options: { cause?: unknown; details?: readonly ErrorDetail[] } = {}) {
    const { stackTraceLimit } = Error;
    if (!failures[kind].blamesPeer) Error.stackTraceLimit = 0;
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.kind = kind;
    this.code = failures[kind].code;
    this.details = options.details ?? [];
  }

  /** For the outermost edge only: what nobody classified is our bug, not a miss and not the caller's fault. */
  static from(thrown: unknown): CacheError {
    return thrown instanceof CacheError ? thrown : new CacheError('internal', 'unexpected failure; the log of the server has more', { cause: thrown });
  }
}
