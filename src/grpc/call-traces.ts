// A span per traced gRPC call, with the names that OpenTelemetry's conventions give to what is known of an RPC server,
// and what REAPI clients tell of the build the call belongs to. docs/traces.md has the list.
import { fromBinary } from '@bufbuild/protobuf';
import type { Span, SpanAttributes, Tracer } from '../base/tracer.ts';
import { RequestMetadataSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { CallObserver, EndedCall, StartedCall } from './call-observer.ts';
import { decodeBinaryMetadata } from './metadata.ts';
import { grpcStatusOf, statusName } from './status.ts';

/** Carries a RequestMetadata (REAPI, remote_execution.proto). */
const metadataHeader = 'build.bazel.remote.execution.v2.requestmetadata-bin';
/** Clients need a few hundred bytes. */
const metadataCharsMax = 8 * 1024;

/** Statuses that are a fault of the server; others are answers (OpenTelemetry, gRPC conventions, "Server"). */
const serverFaults: ReadonlySet<number> = new Set([
  2, // UNKNOWN
  grpcStatusOf.deadline_exceeded,
  grpcStatusOf.unimplemented,
  grpcStatusOf.internal,
  grpcStatusOf.unavailable,
  grpcStatusOf.data_loss,
]);

/** Traces calls beside `inner`, to which everything is passed on. A call that is not traced costs the decision and no more. */
export class TracedCalls implements CallObserver {
  readonly #inner: CallObserver | undefined;
  readonly #tracer: Tracer;

  constructor(inner: CallObserver | undefined, tracer: Tracer) {
    this.#inner = inner;
    this.#tracer = tracer;
  }

  started(call: StartedCall): unknown {
    if (this.#tracer.samples(call.traceparent)) call.trace = this.#begin(call);
    return this.#inner?.started?.(call);
  }

  ended(call: EndedCall): void {
    this.#inner?.ended(call);
    if (call.trace !== undefined) endSpan(call.trace, call);
  }

  #begin(call: StartedCall): Span {
    const [service, method] = namesOf(call.path);
    return this.#tracer.start(
      `${service}/${method}`,
      { traceparent: call.traceparent, tracestate: call.header('tracestate') },
      { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method, 'user_agent.original': call.header('user-agent'), ...buildOf(call) },
    );
  }
}

function endSpan(span: Span, { status, receivedBytes, sentBytes }: EndedCall): void {
  span.set({
    'rpc.grpc.status_code': status,
    'rpc.server.request.size': receivedBytes,
    'rpc.server.response.size': sentBytes,
  });
  span.end(serverFaults.has(status) ? statusName(status) : undefined);
}

function namesOf(path: string): readonly [service: string, method: string] {
  const [, service, method] = path.split('/');
  return service === undefined || method === undefined ? ['_OTHER', '_OTHER'] : [service, method];
}

/** What the client says of its build. What does not decode is left out: it is nobody's reason to fail a call. */
function buildOf(call: StartedCall): SpanAttributes {
  const header = call.header(metadataHeader);
  const bytes = header === undefined || header.length > metadataCharsMax ? undefined : decodeBinaryMetadata(header);
  if (bytes === undefined) return {};
  try {
    const metadata = fromBinary(RequestMetadataSchema, bytes);
    return {
      'reapi.tool.name': given(metadata.toolDetails?.toolName),
      'reapi.tool.version': given(metadata.toolDetails?.toolVersion),
      'reapi.invocation.id': given(metadata.toolInvocationId),
      'reapi.correlated_invocations.id': given(metadata.correlatedInvocationsId),
      'reapi.action.id': given(metadata.actionId),
      'reapi.action.mnemonic': given(metadata.actionMnemonic),
      'reapi.target.id': given(metadata.targetId),
      'reapi.configuration.id': given(metadata.configurationId),
    };
  } catch {
    return {};
  }
}

function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
