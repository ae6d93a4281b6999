// The error table: every way in which something can fail, and what each means to whoever meets it. The statuses of all
// protocols, in both directions, and every decision about a second try come from here. Nobody matches message text.

/** The closed set of codes, with gRPC's canonical meanings. `internal` means a bug in Kiln, nothing else. */
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

/** One row: what a failure is called outside, and what one does about it. */
export interface Failure {
  /** What programs that know nothing of Kiln go by. */
  readonly code: Code;
  /** The number in `grpc-status`: that of the code. */
  readonly grpcStatus: number;
  readonly httpStatus: number;
  /** The same call to the same server may go well a little later, and an attempt that failed has changed nothing. */
  readonly isRetryable: boolean;
  /** A sign that the server, or the way to it, has more to do than it can: fewer calls at a time from here on. */
  readonly lowersConcurrency: boolean;
  /** The server that answered so, or not at all, did something wrong. Load that it sheds honestly is no fault. */
  readonly blamesPeer: boolean;
}

const calm = { isRetryable: false, lowersConcurrency: false, blamesPeer: false } as const;
const again = { ...calm, isRetryable: true } as const;
const faulty = { ...calm, blamesPeer: true } as const;

/**
 * By kind. A kind with the name of a code is that code without anything more to say; the others are what a program may
 * want to tell apart although their codes are the same. Where several rows share a status, one that comes without a kind
 * means the first of them.
 */
export const failures = {
  cancelled: { code: 'cancelled', grpcStatus: 1, httpStatus: 499, ...calm },
  invalid_argument: { code: 'invalid_argument', grpcStatus: 3, httpStatus: 400, ...calm },
  // Refusals come quickly: only silence says that there is too much to do. Whoever stood still themselves meanwhile may
  // blame nobody for it.
  deadline_exceeded: { code: 'deadline_exceeded', grpcStatus: 4, httpStatus: 504, isRetryable: true, lowersConcurrency: true, blamesPeer: true },
  not_found: { code: 'not_found', grpcStatus: 5, httpStatus: 404, ...calm },
  permission_denied: { code: 'permission_denied', grpcStatus: 7, httpStatus: 403, ...calm },
  // Final for this blob: clients take it for a full store, and gRPC libraries for a message that is too large.
  resource_exhausted: { code: 'resource_exhausted', grpcStatus: 8, httpStatus: 507, ...calm },
  failed_precondition: { code: 'failed_precondition', grpcStatus: 9, httpStatus: 400, ...calm },
  aborted: { code: 'aborted', grpcStatus: 10, httpStatus: 409, ...calm },
  already_exists: { code: 'already_exists', grpcStatus: 6, httpStatus: 409, ...calm },
  out_of_range: { code: 'out_of_range', grpcStatus: 11, httpStatus: 416, ...calm },
  unimplemented: { code: 'unimplemented', grpcStatus: 12, httpStatus: 501, ...calm },
  internal: { code: 'internal', grpcStatus: 13, httpStatus: 500, ...faulty },
  unavailable: { code: 'unavailable', grpcStatus: 14, httpStatus: 503, ...again },
  data_loss: { code: 'data_loss', grpcStatus: 15, httpStatus: 500, ...faulty },
  unauthenticated: { code: 'unauthenticated', grpcStatus: 16, httpStatus: 401, ...calm },

  /** The bytes are arriving at this moment; they can be had once they are there. */
  pending: { code: 'unavailable', grpcStatus: 14, httpStatus: 503, ...again },
  /** A queue, the memory or the room for writes in progress is used up. Never RESOURCE_EXHAUSTED, which is final. */
  busy: { code: 'unavailable', grpcStatus: 14, httpStatus: 503, ...again },
  /** This caller asks too often, whatever else the server has to do. */
  rate_limited: { code: 'unavailable', grpcStatus: 14, httpStatus: 429, ...again },
  /** A part of it is here, and nobody is bringing the rest. As good as absent, and no fault of who says so. */
  incomplete: { code: 'not_found', grpcStatus: 5, httpStatus: 404, ...calm },
  /** Bytes that do not have the digest by whose name they were kept or sent. */
  corrupt: { code: 'data_loss', grpcStatus: 15, httpStatus: 500, ...faulty },
  /** Fewer servers than wanted have taken a blob. What was stored stays stored. */
  quorum_short: { code: 'unavailable', grpcStatus: 14, httpStatus: 503, ...again },
  /** A server behind this one has said no, for a reason that may pass: full, or not its turn. */
  remote_refused: { code: 'unavailable', grpcStatus: 14, httpStatus: 503, ...again },
  /** The permission to store does not cover this: wrong signature, other content, or used up. */
  grant_invalid: { code: 'permission_denied', grpcStatus: 7, httpStatus: 403, ...calm },
  /** It would have, earlier. A new one helps. */
  grant_expired: { code: 'permission_denied', grpcStatus: 7, httpStatus: 403, ...calm },
  /** A file became another one while it was being sent. Start again from its present content. */
  source_changed: { code: 'aborted', grpcStatus: 10, httpStatus: 409, ...calm },
  /** There is no room, and nothing that may go to make some. */
  disk_full: { code: 'resource_exhausted', grpcStatus: 8, httpStatus: 507, ...calm },
  /** All rounds are over and some of it is not stored: what is, stays. The rounds were the retries. */
  partial_upload: { code: 'aborted', grpcStatus: 10, httpStatus: 409, ...calm },
} as const satisfies Record<Code, Failure> & Record<string, Failure>;

export type FailureKind = keyof typeof failures;

export const failureKinds = Object.keys(failures) as readonly FailureKind[];

/** The row of `kind`, without the literal types of the table. */
export function failureOf(kind: FailureKind): Failure {
  return failures[kind];
}

/** Such a name came from elsewhere and may be anything. */
export function isFailureKind(name: string): name is FailureKind {
  return Object.hasOwn(failures, name);
}

/** The first row with a status. */
const kindByHttpStatus: ReadonlyMap<number, FailureKind> = new Map(failureKinds.toReversed().map((kind) => [failures[kind].httpStatus, kind]));

/** What an HTTP status of a Kiln server means where nothing more is said; undefined for one that is not in the table. */
export function kindOfHttpStatus(status: number): FailureKind | undefined {
  return kindByHttpStatus.get(status);
}
