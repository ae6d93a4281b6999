// Details of a google.rpc.Status as ours, so that a failure means the same on this side of a connection as on the other
// and can be sent on (REAPI ERR-1). The reverse of `packDetails` in outcome.ts.
import type { Any } from '@bufbuild/protobuf/wkt';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ErrorDetail } from '../base/cache-error.ts';
import { failureOf, isFailureKind } from '../base/failures.ts';
import type { FailureKind } from '../base/failures.ts';
import { ErrorInfoSchema, PreconditionFailureSchema, RetryInfoSchema } from '../proto/gen/google/rpc/error_details_pb.ts';
import { failureDomain } from './outcome.ts';

/** What the details of a failure say. */
export interface ReadDetails {
  /** Kiln's own word for the failure; undefined when another server sent it, or there was nothing to add to the status. */
  readonly kind: FailureKind | undefined;
  readonly details: readonly ErrorDetail[];
}

/** `status` is the number that came with them. What means nothing to us, or cannot be read, stays as it came. */
export function readDetails(packed: readonly Any[], status: number): ReadDetails {
  let kind: FailureKind | undefined;
  const details: ErrorDetail[] = [];
  for (const one of packed) {
    const named = read(() => kindIn(one, status));
    if (named === undefined) details.push(read(() => retryAfter(one) ?? missingBlobs(one)) ?? { kind: 'other', typeUrl: one.typeUrl, value: one.value });
    else kind = named;
  }
  return { kind, details };
}

function read<T>(unpack: () => T | undefined): T | undefined {
  try {
    return unpack();
  } catch {
    return undefined; // not an encoding of what it says that it is
  }
}

/** What a `google.protobuf.Duration` may say: some 10,000 years. More could not be sent on. */
const durationMsMax = 315_576_000_000_000;

function retryAfter(packed: Any): ErrorDetail | undefined {
  const delay = anyUnpack(packed, RetryInfoSchema)?.retryDelay;
  if (delay === undefined) return undefined;
  const delayMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  return delayMs >= 0 && delayMs <= durationMsMax ? { kind: 'retry_after', delayMs } : undefined;
}

/** `blobs/HASH/SIZE` (Execution.Execute). */
const subjectForm = /^blobs\/([0-9a-f]+)\/(\d{1,15})$/;

/** Only where all violations are missing blobs: of others something would be lost on the way on. */
function missingBlobs(packed: Any): ErrorDetail | undefined {
  const blobs: { readonly hash: string; readonly sizeBytes: number }[] = [];
  for (const { type, subject } of anyUnpack(packed, PreconditionFailureSchema)?.violations ?? []) {
    const [, hash, size] = (type === 'MISSING' ? subjectForm.exec(subject) : null) ?? [];
    if (hash === undefined) return undefined;
    blobs.push({ hash, sizeBytes: Number(size) });
  }
  return blobs.length === 0 ? undefined : { kind: 'missing_blobs', blobs };
}

function kindIn(packed: Any, status: number): FailureKind | undefined {
  const info = anyUnpack(packed, ErrorInfoSchema);
  const kind = info?.reason.toLowerCase() ?? '';
  return info?.domain === failureDomain && isFailureKind(kind) && failureOf(kind).grpcStatus === status ? kind : undefined;
}
