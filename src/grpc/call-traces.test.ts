// Spans of gRPC calls: which calls have one, what it says, and how it ends.
import assert from 'node:assert/strict';
import { create, toBinary } from '@bufbuild/protobuf';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { Span } from '../base/tracer.ts';
import { RequestMetadataSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { SimpleRequestSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { GrpcHarness, encoded, settle } from '../testing/grpc-harness.ts';
import { RecordedTracer } from '../testing/recorded-tracer.ts';
import type { CallObserver } from './call-observer.ts';
import { TracedCalls } from './call-traces.ts';
import { encodeBinaryMetadata } from './metadata.ts';
import { implementService } from './service.ts';

const service = '/grpc.testing.TestService';
const request = encoded(SimpleRequestSchema, { responseSize: 3 });
const metadataHeader = 'build.bazel.remote.execution.v2.requestmetadata-bin';

interface Traced {
  readonly tracer: RecordedTracer;
  readonly harness: GrpcHarness;
  /** What handlers were given. */
  readonly seen: (Span | undefined)[];
}

function tracedHarness(fail?: () => Error, inner?: CallObserver): Traced {
  const tracer = new RecordedTracer();
  const seen: (Span | undefined)[] = [];
  const service = implementService(TestService, {
    unaryCall: async (_request, { trace }) => {
      seen.push(trace);
      if (fail !== undefined) throw fail();
      return { payload: { body: new Uint8Array(10) } };
    },
  });
  return { tracer, seen, harness: new GrpcHarness(service, {}, new TracedCalls(inner, tracer)) };
}

async function call({ harness }: Traced, headers: Record<string, string> = {}): Promise<number> {
  const { stream, handler } = harness.open(`${service}/UnaryCall`, headers);
  handler.onData(request);
  handler.onEnd(undefined);
  await harness.router.idle();
  return stream.data.byteLength;
}

describe('CallTraces', () => {
  it('describes a call as OpenTelemetry does, and hands its span to the handler', async () => {
    const traced = tracedHarness();
    const sentBytes = await call(traced, { traceparent: 'p', tracestate: 's', 'user-agent': 'bazel/8.1' });
    const [span] = traced.tracer.spans;
    assert.deepEqual(traced.tracer.asked, ['p']);
    assert.equal(span?.name, 'grpc.testing.TestService/UnaryCall');
    assert.deepEqual(span.incoming, { traceparent: 'p', tracestate: 's' });
    assert.deepEqual(span.attributes, {
      'rpc.system': 'grpc',
      'rpc.service': 'grpc.testing.TestService',
      'rpc.method': 'UnaryCall',
      'rpc.grpc.status_code': 0,
      'rpc.server.request.size': request.byteLength,
      'rpc.server.response.size': sentBytes,
      'user_agent.original': 'bazel/8.1',
    });
    assert.deepEqual([span.ends, span.failure], [1, undefined]);
    assert.deepEqual(traced.seen, [span]);
  });

  it('tells which build, tool, action and target the call belongs to (REAPI RequestMetadata)', async () => {
    const traced = tracedHarness();
    const metadata = create(RequestMetadataSchema, {
      toolDetails: { toolName: 'bazel', toolVersion: '8.1.0' },
      toolInvocationId: 'i',
      correlatedInvocationsId: 'c',
      actionId: 'a',
      actionMnemonic: 'CppCompile',
      targetId: '//x:y',
    });
    await call(traced, { [metadataHeader]: encodeBinaryMetadata(toBinary(RequestMetadataSchema, metadata)) });
    const attributes = Object.entries(traced.tracer.spans[0]?.attributes ?? {}).filter(([name]) => name.startsWith('reapi.'));
    assert.deepEqual(Object.fromEntries(attributes), {
      'reapi.tool.name': 'bazel',
      'reapi.tool.version': '8.1.0',
      'reapi.invocation.id': 'i',
      'reapi.correlated_invocations.id': 'c',
      'reapi.action.id': 'a',
      'reapi.action.mnemonic': 'CppCompile',
      'reapi.target.id': '//x:y',
    });
  });

  for (const broken of ['!!!', 'CgEB', 'A'.repeat(20_000)]) {
    it(`serves a call whose metadata is broken: ${broken.slice(0, 8)}`, async () => {
      const traced = tracedHarness();
      assert.ok((await call(traced, { [metadataHeader]: broken })) > 0);
      assert.equal(traced.tracer.spans[0]?.attributes['reapi.tool.name'], undefined);
    });
  }

  it('passes everything on, whether or not a call is traced', async () => {
    const told: unknown[] = [];
    const inner: CallObserver = {
      started: ({ path }) => (told.push(path), 'mine'),
      ended: ({ observation, status }) => told.push(observation, status),
    };
    const traced = tracedHarness(undefined, inner);
    await call(traced);
    traced.tracer.sampling = false;
    await call(traced);
    assert.deepEqual(told, [`${service}/UnaryCall`, 'mine', 0, `${service}/UnaryCall`, 'mine', 0]);
    assert.equal(traced.tracer.spans.length, 1);
  });

  it('makes nothing for a call that is not traced', async () => {
    const traced = tracedHarness();
    traced.tracer.sampling = false;
    await call(traced);
    assert.deepEqual([traced.tracer.spans, traced.seen], [[], [undefined]]);
  });

  it('calls faults of the server failures, and answers such as NOT_FOUND not', async () => {
    const ends: Record<string, string | undefined> = {};
    for (const code of ['not_found', 'invalid_argument', 'unavailable', 'data_loss'] as const) {
      const traced = tracedHarness(() => new CacheError(code, 'why'));
      await call(traced);
      ends[code] = traced.tracer.spans[0]?.failure;
      assert.equal(traced.tracer.spans[0]?.ends, 1);
    }
    assert.deepEqual(ends, { not_found: undefined, invalid_argument: undefined, unavailable: 'UNAVAILABLE', data_loss: 'DATA_LOSS' });
  });

  it('traces refused calls without the path that a client made up, and calls whose client leaves', async () => {
    const { tracer, harness } = tracedHarness();
    harness.open('/made.up.Service/Method4711');
    const left = harness.open(`${service}/UnaryCall`);
    left.handler.onReset({ code: 8, byPeer: true });
    await settle();
    assert.deepEqual(tracer.spans.map(({ name, attributes, ends }) => [name, attributes['rpc.grpc.status_code'], ends]), [
      ['_OTHER/_OTHER', 12, 1],
      ['grpc.testing.TestService/UnaryCall', 1, 1],
    ]);
  });
});
