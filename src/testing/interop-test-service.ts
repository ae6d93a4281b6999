// grpc.testing.TestService as the gRPC interoperability cases expect it
// (grpc/grpc, doc/interop-test-descriptions.md, "Server").
import { setTimeout as sleep } from 'node:timers/promises';
import { CacheError } from '../base/cache-error.ts';
import type { CallContext, ServiceImplementation } from '../grpc/service.ts';
import { implementService } from '../grpc/service.ts';
import { StatusError } from '../grpc/status-error.ts';
import type { StreamingOutputCallRequest } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';

/** Metadata that the `custom_metadata` case sends, to have it back as header and as trailer. */
const echoHeader = 'x-grpc-test-echo-initial';
const echoTrailer = 'x-grpc-test-echo-trailing-bin';

/** For `pick_first_unary`, which asks whether it is always the same server. */
const serverId = 'kiln';

/** Largest payload asked for in any case is under 1 MiB; more is a mistake. */
const payloadBytesMax = 64 * 1024 * 1024;

export function createInteropTestService(): ServiceImplementation {
  return implementService(TestService, {
    emptyCall: () => ({}),
    unaryCall: (request, context) => {
      echoMetadata(context);
      throwAsked(request.responseStatus);
      return { payload: payload(request.responseSize), serverId: request.fillServerId ? serverId : '' };
    },
    async *streamingOutputCall(request, context) {
      yield* outputs(request, context);
    },
    async streamingInputCall(requests) {
      let aggregatedPayloadSize = 0;
      for await (const request of requests) aggregatedPayloadSize += request.payload?.body.byteLength ?? 0;
      return { aggregatedPayloadSize };
    },
    async *fullDuplexCall(requests, context) {
      echoMetadata(context);
      for await (const request of requests) {
        throwAsked(request.responseStatus);
        yield* outputs(request, context);
      }
    },
    async *halfDuplexCall(requests, context) {
      const asked = await Array.fromAsync(requests);
      for (const request of asked) yield* outputs(request, context);
    },
  });
}

async function* outputs(request: StreamingOutputCallRequest, context: CallContext) {
  for (const { size, intervalUs } of request.responseParameters) {
    if (intervalUs > 0) await sleep(intervalUs / 1000, undefined, { signal: context.signal });
    yield { payload: payload(size) };
  }
}

function payload(size: number): { body: Uint8Array } {
  if (size < 0 || size > payloadBytesMax) {
    throw new CacheError('invalid_argument', `a payload of ${size} bytes was asked for; 0 to ${payloadBytesMax} can be had`);
  }
  return { body: new Uint8Array(size) };
}

function throwAsked(status: { readonly code: number; readonly message: string } | undefined): void {
  if (status !== undefined && status.code !== 0) throw new StatusError(status.code, status.message);
}

function echoMetadata(context: CallContext): void {
  const header = context.header(echoHeader);
  if (header !== undefined) context.setHeader(echoHeader, header);
  const trailer = context.header(echoTrailer);
  if (trailer !== undefined) context.setTrailer(echoTrailer, trailer);
}
