// One gRPC call on a fake stream: a router, its ports as fakes, and what the client would send and see.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Authenticator } from '../base/authorizer.ts';
import { LoopTurns } from '../base/loop-turns.ts';
import type { CallObserver } from '../grpc/call-observer.ts';
import { GrpcRouter } from '../grpc/router.ts';
import type { GrpcLimits } from '../grpc/limits.ts';
import { defaultGrpcLimits } from '../grpc/limits.ts';
import type { ServiceImplementation } from '../grpc/service.ts';
import type { StreamHandler } from '../h2/stream.ts';
import { FakeServerStream, headerBlock } from './fake-server-stream.ts';
import { ManualClock } from './manual-clock.ts';
import { nobodyKnown } from './open-rights.ts';
import { RecordedLog } from './recorded-log.ts';

export class GrpcHarness {
  readonly clock = new ManualClock();
  readonly log = new RecordedLog();
  readonly router: GrpcRouter;

  constructor(
    service: ServiceImplementation,
    limits: Partial<GrpcLimits> = {},
    observer?: CallObserver | ((turns: LoopTurns) => CallObserver),
    authenticator: Authenticator = nobodyKnown,
  ) {
    const turns = new LoopTurns(this.clock);
    const observed = observer && { observer: typeof observer === 'function' ? observer(turns) : observer, turns };
    this.router = new GrpcRouter([service], { authenticator, timers: this.clock, log: this.log, limits: { ...defaultGrpcLimits, ...limits }, observed });
  }

  /** Opens a stream for `path` as a gRPC client would, with `headers` added or replaced. */
  open(path: string, headers: Readonly<Record<string, string>> = {}, window?: number): OpenCall {
    const stream = new FakeServerStream(window);
    const block = headerBlock({
      ':method': 'POST',
      ':scheme': 'http',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const handler = this.router.onStream(stream, block);
    stream.handler = handler;
    return { stream, handler };
  }
}

export interface OpenCall {
  readonly stream: FakeServerStream;
  readonly handler: StreamHandler;
}

/** A message with its gRPC prefix. */
export function framed(message: Uint8Array, flag = 0): Uint8Array {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.byteLength, 1);
  return new Uint8Array(Buffer.concat([prefix, message]));
}

export function encoded<D extends DescMessage>(descriptor: D, message: MessageInitShape<D>): Uint8Array {
  return framed(toBinary(descriptor, create(descriptor, message)));
}

/** The messages in a response body. @throws Error when it does not end behind a message. */
export function decoded<D extends DescMessage>(descriptor: D, body: Uint8Array): MessageShape<D>[] {
  const messages: MessageShape<D>[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let offset = 0; offset < body.byteLength; ) {
    const end = offset + 5 + view.getUint32(offset + 1);
    if (body[offset] !== 0 || end > body.byteLength) throw new Error(`no whole plain message at byte ${offset}`);
    messages.push(fromBinary(descriptor, body.subarray(offset + 5, end)));
    offset = end;
  }
  return messages;
}

/** Lets everything run that waits for nothing but promises. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
