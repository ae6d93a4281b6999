// The memory of large requests: used again once nobody has views of it, and not before. The input is written over after each
// piece, as the transport does.
import { create, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { BatchUpdateAnswer, BatchUpdateQuery } from '../proto/batch-update-codec.ts';
import { BatchUpdateBlobsRequestSchema, ContentAddressableStorage, FindMissingBlobsRequestSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { FakeServerStream, headerBlock } from '../testing/fake-server-stream.ts';
import { framed, settle } from '../testing/grpc-harness.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { pieceMemory } from './message-buffer.ts';
import { GrpcRouter } from './router.ts';
import { implementService } from './service.ts';

const pieceBytes = 16_384;
/** As much as most of what is kept for a message of such a size. */
const blobBytes = 120_000;
const digest = { hash: 'ab'.repeat(32), sizeBytes: BigInt(blobBytes) };

function oneBlob(data: Uint8Array): Uint8Array {
  return toBinary(BatchUpdateBlobsRequestSchema, create(BatchUpdateBlobsRequestSchema, { requests: [{ digest, data }] }));
}

function batchOf(byte: number): Uint8Array {
  return oneBlob(new Uint8Array(blobBytes).fill(byte));
}

interface Opened {
  readonly stream: FakeServerStream;
  /** All of the request, in pieces. */
  send(wire: Uint8Array): void;
  end(): void;
}

function router(batchUpdateBlobs: (query: BatchUpdateQuery) => MaybePromise<BatchUpdateAnswer>): (method: string) => Opened {
  const service = implementService(ContentAddressableStorage, {
    batchUpdateBlobs: (query) => batchUpdateBlobs(query),
    findMissingBlobs: () => {
      throw new CacheError('not_found', 'nobody looks');
    },
  });
  const made = new GrpcRouter([service], { timers: new ManualClock(), log: new RecordedLog(), budget: unboundedByteBudget() });
  return (method) => {
    const stream = new FakeServerStream();
    const headers = { ':method': 'POST', ':scheme': 'http', ':path': `/build.bazel.remote.execution.v2.ContentAddressableStorage/${method}`, 'content-type': 'application/grpc', 'grpc-encoding': 'gzip', te: 'trailers' };
    const handler = made.onStream(stream, headerBlock(headers));
    stream.handler = handler;
    return {
      stream,
      send(wire) {
        for (let at = 0; at < wire.byteLength; at += pieceBytes) {
          const input = wire.slice(at, at + pieceBytes);
          handler.onData(input);
          input.fill(0xee);
        }
      },
      end: () => handler.onEnd(undefined),
    };
  };
}

const answerTo = ({ digests }: BatchUpdateQuery): BatchUpdateAnswer => ({ digests, digestIndexes: [0], outcomes: [undefined] });

/** Makes room in what is kept: all that is taken out is not given back. */
function emptyMemory(): void {
  for (let kept = pieceMemory.keptBytes; kept > 0; kept = pieceMemory.keptBytes) for (let power = 14; power <= 22; power += 1) pieceMemory.take(2 ** power);
}

describe('the memory of a request', () => {
  it('is used again once its handler has answered, and not a moment before', async () => {
    emptyMemory();
    const queries: BatchUpdateQuery[] = [];
    const gates: PromiseWithResolvers<void>[] = [];
    const open = router(async (query) => {
      const gate = Promise.withResolvers<void>();
      queries.push(query);
      gates.push(gate);
      await gate.promise;
      return answerTo(query);
    });
    const begin = (byte: number): Opened => {
      const call = open('BatchUpdateBlobs');
      call.send(framed(batchOf(byte)));
      call.end();
      return call;
    };
    const first = begin(1);
    const data = queries[0]?.requests[0]?.data;
    assert.ok(data !== undefined && data.every((byte) => byte === 1));
    begin(2);
    assert.ok(data.every((byte) => byte === 1), 'the first is still at work');
    gates[0]?.resolve();
    await settle();
    assert.equal(first.stream.status('grpc-status'), '0');
    assert.equal(pieceMemory.keptBytes, data.buffer.byteLength);
    begin(3);
    assert.ok(data.every((byte) => byte === 3), 'the third has the memory of the first');
    assert.ok(queries[1]?.requests[0]?.data.every((byte) => byte === 2));
    for (const gate of gates) gate.resolve();
    await settle();
  });

  it('stays with a handler that throws and with one whose call was cancelled, since somebody may be at work still', async () => {
    emptyMemory();
    const refused = router(() => Promise.reject(new CacheError('unavailable', 'the disk')))('BatchUpdateBlobs');
    refused.send(framed(batchOf(1)));
    refused.end();
    await settle();
    assert.equal(refused.stream.status('grpc-status'), '14');
    assert.equal(pieceMemory.keptBytes, 0);

    const gate = Promise.withResolvers<void>();
    const left = router(async (query) => (await gate.promise, answerTo(query)))('BatchUpdateBlobs');
    left.send(framed(batchOf(1)));
    left.end();
    left.stream.lose({ code: 8, byPeer: true });
    await settle();
    assert.equal(pieceMemory.keptBytes, 0);
    gate.resolve();
    await settle();
    assert.equal(pieceMemory.keptBytes, 0);
  });

  it('is not that of the transport, and that of what was inflated is nobody else\'s', async () => {
    emptyMemory();
    const queries: BatchUpdateQuery[] = [];
    const open = router((query) => (queries.push(query), answerTo(query)));
    for (const wire of [framed(oneBlob(new Uint8Array(9_000).fill(5))), framed(gzipSync(batchOf(5)), 1)]) {
      const call = open('BatchUpdateBlobs');
      call.send(wire);
      call.end();
      while (call.stream.status('grpc-status') === undefined) await settle();
      assert.equal(call.stream.status('grpc-status'), '0');
    }
    assert.equal(pieceMemory.keptBytes, 0);
    for (const { requests } of queries) assert.ok(requests[0]?.data.every((byte) => byte === 5));
  });

  it('is free as soon as a message is decoded that keeps none of it', () => {
    emptyMemory();
    const call = router(answerTo)('FindMissingBlobs');
    const blobDigests = Array.from({ length: 1_600 }, () => digest);
    call.send(framed(toBinary(FindMissingBlobsRequestSchema, create(FindMissingBlobsRequestSchema, { blobDigests }))));
    assert.ok(pieceMemory.keptBytes > 0);
    call.end();
    assert.equal(call.stream.status('grpc-status'), '5');
  });
});
