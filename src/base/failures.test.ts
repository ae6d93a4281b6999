// The error table, row by row, against a second copy written from the requirement and from gRPC's list of codes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from './cache-error.ts';
import { failureKinds, failureOf, isFailureKind, kindOfHttpStatus } from './failures.ts';
import type { Code, FailureKind } from './failures.ts';

/** The numbers of gRPC's canonical codes. */
const canonical: Readonly<Record<Code, number>> = {
  ...{ cancelled: 1, invalid_argument: 3, deadline_exceeded: 4, not_found: 5, already_exists: 6, permission_denied: 7, resource_exhausted: 8 },
  ...{ failed_precondition: 9, aborted: 10, out_of_range: 11, unimplemented: 12, internal: 13, unavailable: 14, data_loss: 15, unauthenticated: 16 },
};

/** The classes that are told apart: gRPC code, HTTP status, and the letters of what holds: Retryable, Lowers concurrency, Blames the peer. */
const named: Partial<Record<FailureKind, readonly [Code, number, string]>> = {
  not_found: ['not_found', 404, ''],
  pending: ['unavailable', 503, 'R'],
  busy: ['unavailable', 503, 'R'],
  rate_limited: ['unavailable', 429, 'R'],
  incomplete: ['not_found', 404, ''],
  corrupt: ['data_loss', 500, 'B'],
  quorum_short: ['unavailable', 503, 'R'],
  remote_refused: ['unavailable', 503, 'R'],
  grant_invalid: ['permission_denied', 403, ''],
  grant_expired: ['permission_denied', 403, ''],
  source_changed: ['aborted', 409, ''],
  disk_full: ['resource_exhausted', 507, ''],
  partial_upload: ['aborted', 409, ''],
  cancelled: ['cancelled', 499, ''],
};

function letters(kind: FailureKind): string {
  const { isRetryable, lowersConcurrency, blamesPeer } = failureOf(kind);
  return `${isRetryable ? 'R' : ''}${lowersConcurrency ? 'L' : ''}${blamesPeer ? 'B' : ''}`;
}

describe('the error table', () => {
  it('K6-09: has one complete row for each class of failure, and no others', () => {
    assert.deepEqual(failureKinds.toSorted(), [...new Set([...Object.keys(canonical), ...Object.keys(named)])].toSorted());
    for (const kind of failureKinds) {
      const { code, grpcStatus, httpStatus, isRetryable, lowersConcurrency, blamesPeer } = failureOf(kind);
      assert.equal(grpcStatus, canonical[code], kind);
      assert.ok(httpStatus >= 400 && httpStatus < 600, kind);
      assert.deepEqual([isRetryable, lowersConcurrency, blamesPeer].map((value) => typeof value), ['boolean', 'boolean', 'boolean'], kind);
      if (kind in canonical) assert.equal(code, kind, 'a code that means another one');
    }
    for (const [kind, [code, status, holds]] of Object.entries(named)) {
      assert.ok(isFailureKind(kind));
      assert.deepEqual([failureOf(kind).code, failureOf(kind).httpStatus, letters(kind)], [code, status, holds], kind);
    }
  });

  it('K13-14: fewer calls at a time follow from silence only, not from refusals', () => {
    assert.deepEqual(failureKinds.filter((kind) => failureOf(kind).lowersConcurrency), ['deadline_exceeded']);
  });

  it('K14-15: load that is shed blames nobody', () => {
    for (const kind of failureKinds) if ([503, 429].includes(failureOf(kind).httpStatus)) assert.equal(letters(kind), 'R', kind);
  });

  it('K14-09: of the statuses of HTTP only overload and silence ask for a second try', () => {
    const statuses = new Set(failureKinds.filter((kind) => failureOf(kind).isRetryable).map((kind) => failureOf(kind).httpStatus));
    assert.deepEqual(statuses, new Set([504, 503, 429]));
  });

  it('ERR-4: RESOURCE_EXHAUSTED is final wherever it is said', () => {
    for (const kind of failureKinds) if (failureOf(kind).code === 'resource_exhausted') assert.equal(letters(kind), '', kind);
  });

  it('takes a status without a kind for the plainest of its rows', () => {
    const plain = [400, 401, 403, 404, 409, 416, 429, 499, 500, 501, 503, 504, 507].map(kindOfHttpStatus);
    assert.deepEqual(plain, ['invalid_argument', 'unauthenticated', 'permission_denied', 'not_found', 'aborted', 'out_of_range', 'rate_limited', 'cancelled', 'internal', 'unimplemented', 'unavailable', 'deadline_exceeded', 'resource_exhausted']);
    assert.equal(kindOfHttpStatus(418), undefined);
  });

  it('knows a name from elsewhere only if it has a row', () => {
    assert.ok(isFailureKind('busy'));
    for (const name of ['', 'BUSY', 'constructor', '__proto__']) assert.ok(!isFailureKind(name), name);
  });
});

describe('CacheError', () => {
  it('K6-09: has the code of its kind', () => {
    for (const kind of failureKinds) assert.equal(new CacheError(kind, 'x').code, failureOf(kind).code);
    assert.equal(CacheError.from(new TypeError('a bug')).kind, 'internal');
  });
});
