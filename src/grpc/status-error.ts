// A gRPC status that is to be sent exactly as it is.

/**
 * Thrown to end a call with a status that our own codes do not express: a breach of gRPC's framing, which gRPC
 * calls INTERNAL although it is the peer's fault, or a status that is passed on from elsewhere (UNKNOWN, or any
 * number with a foreign text). Never used for Kiln's own failures, which are CacheErrors; never logged, and so without a
 * stack, which costs as much as all else of such a call.
 */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  /** Any number; peers take the ones they do not know for UNKNOWN. */
  readonly status: number;

  constructor(status: number, message: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
    this.status = status;
  }
}
