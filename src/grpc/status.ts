// gRPC's status numbers and our codes, in both directions, as the error table has them.
import { failures } from '../base/failures.ts';
import type { Code } from '../base/failures.ts';

type GrpcStatuses = { readonly [Name in Code]: (typeof failures)[Name]['grpcStatus'] };

/** The number that goes into `grpc-status` for each of our codes. */
export const grpcStatusOf = Object.fromEntries(Object.values(failures).map(({ code, grpcStatus }) => [code, grpcStatus])) as GrpcStatuses;

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
export const codeOfGrpcStatus: Readonly<Record<GrpcStatus, Code | undefined>> = {
  ...(Object.fromEntries(Object.entries(grpcStatusOf).map(([code, status]) => [status, code])) as Record<Exclude<GrpcStatus, 0 | 2>, Code>),
  0: undefined,
  2: 'unavailable',
};
