// Failures on their way to a client: what the server meant is what the client sees, over both protocols.
import assert from 'node:assert/strict';
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { failureKinds, failureOf } from '../base/failures.ts';
import { decodeBinaryMetadata } from '../grpc/metadata.ts';
import { failureDomain, failureTrailers } from '../grpc/outcome.ts';
import { statusName } from '../grpc/status.ts';
import { errorAnswer } from '../http/answer.ts';
import { ErrorInfoSchema } from '../proto/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../proto/gen/google/rpc/status_pb.ts';
import { callsTo } from '../testing/remote-blobs.ts';
import { serveHandler } from '../testing/serve-http.ts';

const page = new URL('../../docs/protocols/errors.md', import.meta.url);

/** The same text for all: nothing can be told from it. */
const text = 'no';

describe('every kind of failure', () => {
  it('K6-09: is in the documentation as it is in the table', () => {
    const rows = readFileSync(page, 'utf8').split('\n').filter((line) => line.startsWith('| `'));
    const word = (value: boolean): string => (value ? 'yes' : 'no');
    const expected = failureKinds.map((kind) => {
      const { grpcStatus, httpStatus, isRetryable, lowersConcurrency, blamesPeer } = failureOf(kind);
      return `| \`${kind}\` | ${statusName(grpcStatus)} | ${httpStatus} | ${word(isRetryable)} | ${word(lowersConcurrency)} | ${word(blamesPeer)} |`;
    });
    assert.deepEqual(rows, expected);
  });

  it('K6-09: comes to a client over HTTP as what it was', async () => {
    let sent = new CacheError('internal', text);
    await using served = await serveHandler((exchange) => {
      const { status, headers = {} } = errorAnswer(sent);
      return exchange.respond(status, headers, Buffer.from(text));
    });
    await using client = callsTo(served.port);
    const absent = new Set(['not_found', 'incomplete']); // a 404 that no Kiln explains is no answer at all
    for (const kind of failureKinds.filter((one) => !absent.has(one))) {
      sent = new CacheError(kind, text);
      await assert.rejects(client.calls.send({ method: 'GET', target: '/x', headers: {} }), { kind, code: failureOf(kind).code });
    }
  });

  it('K6-09: says over gRPC what its status leaves open, as an ErrorInfo', () => {
    for (const kind of failureKinds) {
      const trailers = new Map(failureTrailers(new CacheError(kind, text)));
      assert.equal(trailers.get('grpc-status'), String(failureOf(kind).grpcStatus));
      const packed = decodeBinaryMetadata(trailers.get('grpc-status-details-bin') ?? '');
      if (kind === failureOf(kind).code) {
        assert.equal(trailers.has('grpc-status-details-bin'), false, kind);
        continue;
      }
      assert.ok(packed !== undefined);
      const { code, message, details } = fromBinary(StatusSchema, packed);
      assert.deepEqual([code, message], [failureOf(kind).grpcStatus, text], 'ERR-1');
      const [info] = details.map((detail) => anyUnpack(detail, ErrorInfoSchema));
      assert.deepEqual([info?.reason.toLowerCase(), info?.domain], [kind, failureDomain]);
    }
  });
});
