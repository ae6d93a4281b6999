// What is counted of gRPC calls, on a fake stream.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { SimpleRequestSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { encoded, GrpcHarness, settle } from '../testing/grpc-harness.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { CallMetrics } from './call-metrics.ts';
import { implementService } from './service.ts';
import type { Handlers } from './service.ts';

const service = '/grpc.testing.TestService';
const request = encoded(SimpleRequestSchema, { responseSize: 3 });
const unary = 'service="grpc.testing.TestService",method="UnaryCall"';

function meteredHarness(handlers: Handlers<typeof TestService>) {
  const meter = new RecordedMeter();
  return { meter, harness: new GrpcHarness(implementService(TestService, handlers), {}, (turns) => new CallMetrics(meter, turns)) };
}

function run(harness: GrpcHarness, method = 'UnaryCall') {
  const call = harness.open(`${service}/${method}`);
  call.handler.onData(request);
  call.handler.onEnd(undefined);
  return call;
}

describe('call metrics', () => {
  it('counts calls by method and code, bytes both ways, and what is in flight', async () => {
    const gate = Promise.withResolvers<void>();
    const { meter, harness } = meteredHarness({
      unaryCall: async () => (await gate.promise, { payload: { body: new Uint8Array(10) } }),
      emptyCall: () => {
        throw new CacheError('resource_exhausted', 'full');
      },
    });
    const call = run(harness);
    run(harness);
    run(harness, 'EmptyCall');
    harness.open('/made.up/Path');
    assert.equal(meter.value(`kiln_grpc_calls_in_flight{${unary}}`), 2);
    gate.resolve();
    await harness.router.idle();
    await settle();
    assert.equal(meter.value(`kiln_grpc_calls_in_flight{${unary}}`), 0);
    assert.equal(meter.value(`kiln_grpc_calls_total{${unary},code="OK"}`), 2);
    assert.equal(meter.value('kiln_grpc_calls_total{service="grpc.testing.TestService",method="EmptyCall",code="RESOURCE_EXHAUSTED"}'), 1);
    assert.equal(meter.value('kiln_grpc_calls_total{service="grpc.testing.TestService",method="EmptyCall",code="OK"}'), 0, 'shown from the first call on');
    assert.equal(meter.value('kiln_grpc_calls_total{service="unknown",method="unknown",code="UNIMPLEMENTED"}'), 1);
    assert.equal(meter.value(`kiln_grpc_received_bytes_total{${unary}}`), 2 * request.byteLength);
    assert.equal(meter.value(`kiln_grpc_sent_bytes_total{${unary}}`), 2 * call.stream.data.byteLength);
  });

  it('times calls that are answered later one by one', async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let next = 0;
    const { meter, harness } = meteredHarness({ unaryCall: async () => (await gates[next++]?.promise, {}) });
    run(harness);
    run(harness);
    harness.clock.advance(20);
    gates[0]?.resolve();
    await settle();
    harness.clock.advance(30);
    gates[1]?.resolve();
    await settle();
    assert.deepEqual(meter.records(`kiln_grpc_call_duration_seconds{${unary}}`), [0.02, 0.05]);
  });

  it('times calls that are answered at once by the turn in which all their answers leave', async () => {
    const { meter, harness } = meteredHarness({ unaryCall: () => (harness.clock.advance(3), {}), emptyCall: () => ({}) });
    run(harness);
    run(harness);
    run(harness, 'EmptyCall');
    assert.deepEqual(meter.records(`kiln_grpc_call_duration_seconds{${unary}}`), [], 'the answers have not left yet');
    await settle();
    assert.deepEqual(meter.records(`kiln_grpc_call_duration_seconds{${unary}}`), [0.006, 0.006]);
    assert.deepEqual(meter.records('kiln_grpc_call_duration_seconds{service="grpc.testing.TestService",method="EmptyCall"}'), [0.006]);
    run(harness);
    await settle();
    assert.deepEqual(meter.records(`kiln_grpc_call_duration_seconds{${unary}}`), [0.006, 0.006, 0.003], 'each once');
  });
});
