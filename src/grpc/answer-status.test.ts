// What a client makes of the ends of calls, of its own server and of others.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { CacheError } from '../base/cache-error.ts';
import type { ErrorDetail } from '../base/cache-error.ts';
import { failureKinds } from '../base/failures.ts';
import { BadRequestSchema, PreconditionFailureSchema, RetryInfoSchema } from '../proto/gen/google/rpc/error_details_pb.ts';
import { headerBlock } from '../testing/fake-server-stream.ts';
import { readDetails } from './answer-details.ts';
import { isGrpc, statusOfReset, statusOfTrailers, statusWithoutGrpc } from './answer-status.ts';
import { failureTrailers } from './outcome.ts';
import { formatTimeout, parseTimeout } from './timeout.ts';

/** What a client reads of what a server sends for `error`. */
function acrossTheWire(error: CacheError) {
  const sent = statusOfTrailers(headerBlock(Object.fromEntries(failureTrailers(error))));
  assert.ok(sent !== undefined);
  return { ...sent, ...readDetails(sent.details, sent.status) };
}

const missing: ErrorDetail = { kind: 'missing_blobs', blobs: [{ hash: 'ab'.repeat(32), sizeBytes: 12 }, { hash: 'cd'.repeat(32), sizeBytes: 9_000_000_000 }] };
const badRequest = anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [{ field: 'digest', description: 'is none' }] }));

describe('statusOfTrailers', () => {
  it('ERR-1: gives back what a server sent, text and details', () => {
    const read = acrossTheWire(new CacheError('failed_precondition', 'Blobs fehlen: 2 % von 100, "ü"', { details: [missing, { kind: 'retry_after', delayMs: 1_250.5 }] }));
    assert.deepEqual([read.status, read.message, read.kind, read.details], [9, 'Blobs fehlen: 2 % von 100, "ü"', undefined, [missing, { kind: 'retry_after', delayMs: 1_250.5 }]]);
  });

  it('K6-09: gives back every kind that the status alone does not say', () => {
    for (const kind of failureKinds) {
      const error = new CacheError(kind, 'text');
      const read = acrossTheWire(error);
      assert.equal(read.kind ?? error.code, kind);
      assert.deepEqual(read.details, []);
    }
  });

  it('ERR-1, K6-02: lets details through that mean nothing to it, byte by byte, over any number of hops', () => {
    const other: ErrorDetail = { kind: 'other', typeUrl: badRequest.typeUrl, value: badRequest.value };
    let details: readonly ErrorDetail[] = [missing, other];
    for (let hop = 0; hop < 3; hop += 1) ({ details } = acrossTheWire(new CacheError('failed_precondition', 'x', { details })));
    assert.deepEqual(details, [missing, other]);
  });

  it('keeps a precondition failure whole that has other violations too', () => {
    const violations = [{ type: 'MISSING', subject: `blobs/${'ab'.repeat(32)}/1` }, { type: 'TOS', subject: 'x' }];
    const packed = anyPack(PreconditionFailureSchema, create(PreconditionFailureSchema, { violations }));
    assert.deepEqual(readDetails([packed], 9).details, [{ kind: 'other', typeUrl: packed.typeUrl, value: packed.value }]);
  });

  it('takes details that cannot be read, and delays that make no sense, for what they are', () => {
    const broken = { $typeName: 'google.protobuf.Any' as const, typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value: Uint8Array.of(255) };
    assert.deepEqual(readDetails([broken], 14).details, [{ kind: 'other', typeUrl: broken.typeUrl, value: broken.value }]);
    const past = anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: -5n } }));
    assert.equal(readDetails([past], 14).details[0]?.kind, 'other');
    const endless = anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: 2n ** 63n - 1n } }));
    const { details } = readDetails([endless], 14);
    assert.deepEqual(acrossTheWire(new CacheError('unavailable', 'x', { details })).details, [{ kind: 'other', typeUrl: endless.typeUrl, value: endless.value }]);
    const sent = statusOfTrailers(headerBlock({ 'grpc-status': '5', 'grpc-status-details-bin': '!!!' }));
    assert.deepEqual(sent, { status: 5, message: '', details: [] });
  });

  it('takes a kind for another server’s that does not go with the status', () => {
    const { details } = statusOfTrailers(headerBlock(Object.fromEntries(failureTrailers(new CacheError('busy', 'x'))))) ?? { details: [] };
    assert.equal(readDetails(details, 14).kind, 'busy');
    assert.equal(readDetails(details, 5).kind, undefined);
  });

  it('drops details of others that would make the trailers too long for a client', () => {
    const large: ErrorDetail = { kind: 'other', typeUrl: 'x/y', value: new Uint8Array(4_000) };
    const other: ErrorDetail = { kind: 'other', typeUrl: badRequest.typeUrl, value: badRequest.value };
    assert.deepEqual(acrossTheWire(new CacheError('internal', 'x', { details: [large, missing, other] })).details, [missing, other]);
  });

  it('reads numbers only, and takes those that gRPC does not have for UNKNOWN', () => {
    const status = (sent: string): number | undefined => statusOfTrailers(headerBlock({ 'grpc-status': sent }))?.status;
    assert.deepEqual(['0', '14', '16', '17', '4000000000', '', ' 0', '0x5', '-1', '1e1'].map(status), [0, 14, 16, 2, 2, 2, 2, 2, 2, 2]);
    assert.equal(statusOfTrailers(headerBlock({ 'x-other': '0' })), undefined);
  });
});

describe('answers that are not gRPC', () => {
  it('have the status that gRPC’s mapping gives them', () => {
    const status = (http: string): number => statusWithoutGrpc(headerBlock({ ':status': http, 'content-type': 'text/html' })).status;
    const expected = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14, 500: 2, 302: 2, 200: 2 };
    assert.deepEqual(Object.fromEntries(Object.keys(expected).map((http) => [http, status(http)])), expected);
  });

  it('are named with what they are', () => {
    const { message } = statusWithoutGrpc(headerBlock({ ':status': '502', 'content-type': 'text/html' }));
    assert.match(message, /HTTP status 502 and content-type "text\/html"/);
    assert.match(statusWithoutGrpc(headerBlock({ ':status': '200', 'content-type': 'application/grpc' })).message, /without a grpc-status/);
  });

  it('are told by their content type', () => {
    const types = ['application/grpc', 'application/grpc+proto', 'application/grpc; x=y', 'Application/GRPC', 'application/grpc-web', 'application/json', ''];
    assert.deepEqual(types.map((type) => isGrpc(type)), [true, true, true, true, false, false, false]);
    assert.equal(isGrpc(undefined), false);
  });
});

describe('statusOfReset', () => {
  it('has the status that gRPC gives each code of HTTP/2', () => {
    const codes = Array.from({ length: 15 }, (_, code) => statusOfReset(code).status);
    assert.deepEqual(codes, [13, 13, 13, 13, 13, 13, 13, 14, 1, 13, 13, 8, 7, 2, 13]);
  });
});

describe('formatTimeout', () => {
  it('says at least what it was given, within eight digits', () => {
    for (const timeoutMs of [0.001, 1, 99.5, 60_000, 99_999_999, 100_000_000.1, 1e12]) {
      const sent = formatTimeout(timeoutMs);
      assert.match(sent, /^\d{1,8}[mS]$/);
      assert.ok((parseTimeout(sent) ?? 0) >= timeoutMs, sent);
    }
    assert.equal(formatTimeout(1_000), '1000m');
    assert.match(formatTimeout(1e15), /^99999999S$/);
  });
});
