// How a call to another server failed: a CacheError with what gRPC says of it, so that it can be handled, or sent on, as
// any failure of ours.
import { CacheError } from '../base/cache-error.ts';
import type { ErrorDetail } from '../base/cache-error.ts';
import { failureOf } from '../base/failures.ts';
import type { FailureKind } from '../base/failures.ts';
import { peerText } from '../base/peer-text.ts';
import { readDetails } from '../grpc/answer-details.ts';
import type { AnswerStatus } from '../grpc/answer-status.ts';
import { StatusError } from '../grpc/status-error.ts';
import { codeOfGrpcStatus, statusName } from '../grpc/status.ts';
import type { GrpcStatus } from '../grpc/status.ts';
import { ReceivedMetadata } from './grpc-metadata.ts';

interface GrpcErrorFacts {
  readonly kind: FailureKind;
  readonly status: number;
  readonly statusMessage?: string;
  readonly details?: readonly ErrorDetail[];
  readonly trailers?: ReceivedMetadata;
  readonly cause?: unknown;
}

/** The failure of one call. `code`, `kind` and `details` as in every CacheError, `message` for people. */
export class GrpcError extends CacheError {
  /** gRPC's number: the server's, or what gRPC has a client say where the server said nothing. */
  readonly status: number;
  /** The text of the status as the server sent it; empty where this side failed. */
  readonly statusMessage: string;
  /** Empty when the call ended without. */
  readonly trailers: ReceivedMetadata;

  constructor(message: string, facts: GrpcErrorFacts) {
    super(facts.kind, message, { cause: facts.cause, details: facts.details ?? [] });
    this.status = facts.status;
    this.statusMessage = facts.statusMessage ?? '';
    this.trailers = facts.trailers ?? new ReceivedMetadata(undefined);
  }
}

/** What a server answered, in its own words where it has some. */
export function failureOfAnswer(sent: AnswerStatus, serverName: string, trailers?: ReceivedMetadata): GrpcError {
  const { status, message: text } = sent;
  const { kind, details } = readDetails(sent.details, status);
  return new GrpcError(text === '' ? `${serverName} answered ${statusName(status)} without a reason` : peerText(text), {
    kind: kind ?? kindOfStatus(status),
    status,
    statusMessage: text,
    details,
    ...(trailers === undefined ? {} : { trailers }),
  });
}

function kindOfStatus(status: number): FailureKind {
  return codeOfGrpcStatus[status as GrpcStatus] ?? 'unavailable';
}

/** What went wrong on this side, or on the way. */
export function localFailure(kind: FailureKind, message: string, options: { readonly cause?: unknown; readonly details?: readonly ErrorDetail[] } = {}): GrpcError {
  return new GrpcError(message, { kind, status: failureOf(kind).grpcStatus, ...options });
}

/** `thrown` as the failure of a call: a status of gRPC's own keeps its number. */
export function asGrpcError(thrown: unknown): GrpcError {
  if (thrown instanceof GrpcError) return thrown;
  if (thrown instanceof StatusError) return new GrpcError(thrown.message, { kind: kindOfStatus(thrown.status), status: thrown.status });
  const { kind, message, details, cause } = CacheError.from(thrown);
  return localFailure(kind, message, { details, cause: cause ?? thrown });
}
