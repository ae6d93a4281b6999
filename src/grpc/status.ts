// gRPC's status numbers and our codes, in both directions. Exhaustive: a new Code does not compile until it has
// a row here and in the HTTP table.
import type { Code } from '../base/cache-error.ts';

/** The number that goes into `grpc-status` for each of our codes. */
export const grpcStatusOf = {
  cancelled: 1,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
} as const satisfies Record<Code, number>;

/** Every status a gRPC peer may send. 0 is OK; 2 is UNKNOWN, which Kiln itself never sends of its own accord. */
export type GrpcStatus = 0 | 2 | (typeof grpcStatusOf)[Code];

export const okStatus = 0;

const statusNames: readonly string[] = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED'],
  ...['RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE'],
  ...['DATA_LOSS', 'UNAUTHENTICATED'],
];

/** As people and other servers call it, `NOT_FOUND`; a number that gRPC does not define counts as UNKNOWN. */
export function statusName(status: number): string {
  return statusNames[status] ?? 'UNKNOWN';
}

/**
 * Our code for a status that a peer sent. OK has none. UNKNOWN says that the peer did not classify its failure:
 * it is no statement about the request, so it counts as a peer that could not serve us this time.
 */
export const codeOfGrpcStatus = {
  0: undefined,
  1: 'cancelled',
  2: 'unavailable',
  3: 'invalid_argument',
  4: 'deadline_exceeded',
  5: 'not_found',
  6: 'already_exists',
  7: 'permission_denied',
  8: 'resource_exhausted',
  9: 'failed_precondition',
  10: 'aborted',
  11: 'out_of_range',
  12: 'unimplemented',
  13: 'internal',
  14: 'unavailable',
  15: 'data_loss',
  16: 'unauthenticated',
} as const satisfies Record<GrpcStatus, Code | undefined>;
