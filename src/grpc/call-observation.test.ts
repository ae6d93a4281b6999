// What observers are told of calls, on a fake stream.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { SimpleRequestSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { encoded, GrpcHarness, settle } from '../testing/grpc-harness.ts';
import type { CallObserver, EndedCall, StartedCall } from './call-observer.ts';
import { implementService } from './service.ts';
import type { Handlers } from './service.ts';

const service = '/grpc.testing.TestService';
const request = encoded(SimpleRequestSchema, { responseSize: 3 });

class RecordingObserver implements CallObserver {
  readonly events: unknown[] = [];

  started(call: StartedCall): unknown {
    this.events.push(['started', call.path, call.header('te')]);
    return this.events.length;
  }

  ended({ path, status, durationMs, receivedBytes, sentBytes, observation }: EndedCall): void {
    this.events.push(['ended', path, { status, durationMs, receivedBytes, sentBytes, observation }]);
  }
}

function observedHarness(handlers: Handlers<typeof TestService>): { observer: RecordingObserver; harness: GrpcHarness } {
  const observer = new RecordingObserver();
  return { observer, harness: new GrpcHarness(implementService(TestService, handlers), {}, observer) };
}

describe('observed calls', () => {
  it('tells bytes, time and status of a call that is answered later, and brings back what the start gave', async () => {
    const gate = Promise.withResolvers<void>();
    const { observer, harness } = observedHarness({ unaryCall: async () => (await gate.promise, { payload: { body: new Uint8Array(10) } }) });
    const call = harness.open(`${service}/UnaryCall`);
    call.handler.onData(request);
    call.handler.onEnd(undefined);
    harness.clock.advance(25);
    gate.resolve();
    await harness.router.idle();
    assert.deepEqual(observer.events, [
      ['started', `${service}/UnaryCall`, 'trailers'],
      ['ended', `${service}/UnaryCall`, { status: 0, durationMs: 25, receivedBytes: request.byteLength, sentBytes: call.stream.data.byteLength, observation: 1 }],
    ]);
  });

  it('tells of failures, of clients that leave, and each call once', async () => {
    const { observer, harness } = observedHarness({
      emptyCall: () => {
        throw new CacheError('resource_exhausted', 'full');
      },
      unaryCall: () => new Promise(() => {}),
    });
    const failed = harness.open(`${service}/EmptyCall`);
    failed.handler.onData(encoded(SimpleRequestSchema, {}));
    failed.handler.onEnd(undefined);
    const left = harness.open(`${service}/UnaryCall`);
    left.handler.onData(request);
    left.handler.onEnd(undefined);
    left.handler.onReset({ code: 8, byPeer: true });
    await settle();
    const statuses = observer.events.filter((event): event is ['ended', string, { status: number }] => Array.isArray(event) && event[0] === 'ended');
    assert.deepEqual(statuses.map(([, path, { status }]) => [path, status]), [[`${service}/EmptyCall`, 8], [`${service}/UnaryCall`, 1]]);
  });

  it('tells of refused calls too, without the path that a client made up', () => {
    const { observer, harness } = observedHarness({ emptyCall: () => ({}) });
    harness.open('/made.up.Service/Method4711');
    harness.open(`${service}/EmptyCall`, { 'grpc-timeout': 'soon' });
    harness.open(`${service}/EmptyCall`, { 'content-type': 'application/grpc+json' });
    const ended = observer.events.filter((event): event is ['ended', string, { status: number }] => Array.isArray(event) && event[0] === 'ended');
    assert.deepEqual(ended.map(([, path, { status }]) => [path, status]), [['unknown', 12], [`${service}/EmptyCall`, 3], ['unknown', 2]]);
  });
});
