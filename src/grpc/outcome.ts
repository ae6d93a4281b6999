// How a call ends, on the wire: status, text and details as trailers (gRPC over HTTP/2, "Responses").
import { create, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { anyPack, AnySchema } from '@bufbuild/protobuf/wkt';
import { assertNever } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { ErrorDetail } from '../base/cache-error.ts';
import { failures } from '../base/failures.ts';
import { ErrorInfoSchema, PreconditionFailureSchema, RetryInfoSchema } from '../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../proto/gen/google/rpc/status_pb.ts';
import { encodeBinaryMetadata } from './metadata.ts';
import { percentEncode } from './percent-encoding.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';

type Header = readonly [name: string, value: string];

/**
 * A client refuses trailers over its header limit and then sees none of the error. 8 KiB is the smallest such
 * limit in use (grpc-java), so text and details together stay below it.
 */
const textLengthMax = 2048;
/** In base64: 4 KiB. A violation is about 100 bytes, so some 30 missing blobs are named. */
const detailsBytesMax = 3072;

/** The `grpc-status` of a failed call. */
export function statusOf(thrown: unknown): number {
  return thrown instanceof StatusError ? thrown.status : grpcStatusOf[CacheError.from(thrown).code];
}

/** The trailers of a failed call. */
export function failureTrailers(thrown: unknown): readonly Header[] {
  if (thrown instanceof StatusError) return trailers(thrown.status, thrown.message);
  const error = CacheError.from(thrown);
  const { grpcStatus: status } = failures[error.kind];
  const packed = packDetails(error);
  if (packed.length === 0) return trailers(status, error.message);
  const message = shortened(error.message);
  const details = toBinary(StatusSchema, create(StatusSchema, { code: status, message, details: packed }));
  return [...trailers(status, message), ['grpc-status-details-bin', encodeBinaryMetadata(details)]];
}

function trailers(status: number, message: string): readonly Header[] {
  const statusHeader: Header = ['grpc-status', String(status)];
  return message === '' ? [statusHeader] : [statusHeader, ['grpc-message', percentEncode(shortened(message))]];
}

/** So that its encoding fits. Text outside ASCII may take nine characters for one. */
function shortened(message: string): string {
  if (message.length <= textLengthMax && percentEncode(message).length <= textLengthMax) return message;
  const cut = message.slice(0, textLengthMax - 3);
  return `${percentEncode(cut).length < textLengthMax ? cut : message.slice(0, Math.floor(textLengthMax / 9) - 3)}...`;
}

/** Who defines the reasons below, as `google.rpc.ErrorInfo` wants it. */
export const failureDomain = 'kiln';

/**
 * Details of a `google.rpc.Status` (REAPI ERR-1, ERR-2; the MISSING violations are those of Execution.Execute). A kind
 * that the code does not say comes last, in capitals as the reason of an ErrorInfo. Details of other servers go on as they
 * came, as far as there is room. Empty where there is nothing to add.
 */
export function packDetails({ kind, code, details }: Pick<CacheError, 'kind' | 'code' | 'details'>): Any[] {
  const packed: Any[] = [];
  let bytes = 0;
  for (const detail of details) {
    const one = packDetail(detail);
    const oneBytes = one.typeUrl.length + one.value.byteLength;
    if (detail.kind === 'other' && bytes + oneBytes > detailsBytesMax) continue;
    bytes += oneBytes;
    packed.push(one);
  }
  return kind === code ? packed : [...packed, anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: kind.toUpperCase(), domain: failureDomain }))];
}

function packDetail(detail: ErrorDetail): Any {
  switch (detail.kind) {
    case 'retry_after': {
      const seconds = Math.floor(detail.delayMs / 1000);
      const nanos = Math.min(999_999_999, Math.round((detail.delayMs - seconds * 1000) * 1e6));
      return anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: BigInt(seconds), nanos } }));
    }
    case 'missing_blobs':
      return anyPack(PreconditionFailureSchema, create(PreconditionFailureSchema, { violations: violations(detail.blobs) }));
    case 'other':
      return create(AnySchema, { typeUrl: detail.typeUrl, value: detail.value });
    default:
      return assertNever(detail);
  }
}

/** As many as fit; a client that uploads these and calls again is told the next ones. */
function violations(blobs: readonly { readonly hash: string; readonly sizeBytes: number }[]) {
  const named: { type: string; subject: string }[] = [];
  let bytes = 0;
  for (const { hash, sizeBytes } of blobs) {
    const subject = `blobs/${hash}/${sizeBytes}`;
    bytes += subject.length + 'MISSING'.length + 6; // two tags and lengths, one around both
    if (bytes > detailsBytesMax && named.length > 0) break;
    named.push({ type: 'MISSING', subject });
  }
  return named;
}
