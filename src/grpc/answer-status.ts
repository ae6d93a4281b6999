// How a call ended, from what a client sees: the reverse of outcome.ts, and what gRPC makes of answers that say nothing
// of gRPC (gRPC over HTTP/2, "Responses" and "Errors"; "HTTP to gRPC Status Code Mapping").
import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { errorCode, errorCodeName } from '../h2/error-code.ts';
import type { HeaderBlock } from '../h2/stream.ts';
import { StatusSchema } from '../proto/gen/google/rpc/status_pb.ts';
import { decodeBinaryMetadata } from './metadata.ts';
import { percentDecode } from './percent-encoding.ts';
import { grpcStatusOf, okStatus } from './status.ts';

/** A status as a peer sent it, or as gRPC has a client make it. */
export interface AnswerStatus {
  /** A number of gRPC's, UNKNOWN for any other. */
  readonly status: number;
  /** For people; may be empty. */
  readonly message: string;
  /** In the order sent; empty when there were none, or none that could be read. */
  readonly details: readonly Any[];
}

/** gRPC's UNKNOWN. */
export const unknownStatus = 2;
const statusMax = 16;

/** The status in a block of trailers; undefined when it has none. */
export function statusOfTrailers(trailers: HeaderBlock): AnswerStatus | undefined {
  const sent = trailers.get('grpc-status');
  if (sent === undefined) return undefined;
  const message = percentDecode(trailers.get('grpc-message') ?? '');
  // Digits only: Number() takes much more than that, and '' for OK.
  if (!/^\d{1,10}$/.test(sent)) return { status: unknownStatus, message: `the answer has the grpc-status ${JSON.stringify(sent.slice(0, 40))}, which is no number`, details: [] };
  const number = Number(sent);
  const status = number <= statusMax ? number : unknownStatus;
  return { status, message, details: status === okStatus ? [] : detailsIn(trailers) };
}

/** What cannot be read is left out: the status itself is there all the same. */
function detailsIn(trailers: HeaderBlock): readonly Any[] {
  const sent = trailers.get('grpc-status-details-bin');
  const bytes = sent === undefined ? undefined : decodeBinaryMetadata(sent);
  if (bytes === undefined) return [];
  try {
    return fromBinary(StatusSchema, bytes).details;
  } catch {
    return [];
  }
}

const statusOfHttp: Readonly<Record<string, number>> = {
  400: grpcStatusOf.internal,
  401: grpcStatusOf.unauthenticated,
  403: grpcStatusOf.permission_denied,
  404: grpcStatusOf.unimplemented,
  429: grpcStatusOf.unavailable,
  502: grpcStatusOf.unavailable,
  503: grpcStatusOf.unavailable,
  504: grpcStatusOf.unavailable,
};

/** Of an answer with these headers that has no grpc-status in any place. */
export function statusWithoutGrpc(headers: HeaderBlock): AnswerStatus {
  const httpStatus = headers.get(':status') ?? '';
  const contentType = headers.get('content-type');
  const status = statusOfHttp[httpStatus] ?? unknownStatus;
  if (httpStatus === '200' && isGrpc(contentType)) return { status, message: 'the answer ended without a grpc-status', details: [] };
  const type = contentType === undefined ? '' : ` and content-type ${JSON.stringify(contentType.slice(0, 80))}`;
  return { status, message: `the answer is not gRPC: HTTP status ${httpStatus}${type}; does a proxy answer for the server?`, details: [] };
}

/** Whether messages of gRPC follow such headers. */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:[+;]|$)/i.test(contentType);
}

const statusesOfResets: Readonly<Record<number, number>> = {
  [errorCode.refusedStream]: grpcStatusOf.unavailable,
  [errorCode.cancel]: grpcStatusOf.cancelled,
  [errorCode.enhanceYourCalm]: grpcStatusOf.resource_exhausted,
  [errorCode.inadequateSecurity]: grpcStatusOf.permission_denied,
  [errorCode.http11Required]: unknownStatus,
};

/** Of a call whose stream the server has reset with `code`. */
export function statusOfReset(code: number): AnswerStatus {
  return { status: statusesOfResets[code] ?? grpcStatusOf.internal, message: `the server broke the call off (${errorCodeName(code)})`, details: [] };
}
