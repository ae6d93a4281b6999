// One method as the router calls it: kind, codecs and handler, with the message types forgotten.
import type { DescMethod } from '@bufbuild/protobuf';
import { assertNever } from '../base/assert.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { ContentWriter } from '../h2/stream.ts';
import { codecOf } from './codec.ts';
import type { AnyCodec, CodecTable } from './codec.ts';
import { messageWriter } from './message-frame.ts';
import type { CallContext, RequestMessages, ServiceImplementation } from './service.ts';

interface MethodBase {
  /** The value of `:path`, for logs and error texts. */
  readonly path: string;
  readonly request: AnyCodec;
  readonly response: AnyCodec;
  /** For answers that are written where they leave from. */
  readonly answerWriter: ContentWriter | undefined;
  /** See ServiceImplementation. */
  readonly forEveryone: boolean;
}

/** One request message. */
export type SingleRequestMethod = MethodBase &
  (
    | { readonly kind: 'unary'; readonly handler: (request: unknown, context: CallContext) => MaybePromise<unknown> }
    | {
        readonly kind: 'server_streaming';
        readonly handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>;
      }
  );

/** A stream of request messages. */
export type StreamRequestMethod = MethodBase &
  (
    | {
        readonly kind: 'client_streaming';
        readonly handler: (requests: RequestMessages<unknown>, context: CallContext) => Promise<unknown>;
      }
    | {
        readonly kind: 'bidi_streaming';
        readonly handler: (requests: RequestMessages<unknown>, context: CallContext) => AsyncIterable<unknown>;
      }
  );

export type Method = SingleRequestMethod | StreamRequestMethod;

/** The implemented methods of a service. `implementService` has checked each handler against its descriptor. */
export function methodsOf(service: ServiceImplementation, codecs: CodecTable): readonly Method[] {
  const methods: Method[] = [];
  for (const descriptor of service.descriptor.methods) {
    const handler = service.handlers[descriptor.localName];
    if (handler !== undefined) methods.push(methodOf(descriptor, handler, { codecs, forEveryone: service.forEveryone }));
  }
  return methods;
}

function methodOf(descriptor: DescMethod, handler: unknown, { codecs, forEveryone }: { codecs: CodecTable; forEveryone: boolean }): Method {
  const response = codecOf(descriptor.output, codecs);
  const base = {
    path: `/${descriptor.parent.typeName}/${descriptor.name}`,
    request: codecOf(descriptor.input, codecs),
    response,
    answerWriter: messageWriter(response),
    forEveryone,
  };
  const kind = descriptor.methodKind;
  switch (kind) {
    case 'unary':
    case 'server_streaming':
      return { ...base, kind, handler } as SingleRequestMethod;
    case 'client_streaming':
    case 'bidi_streaming':
      return { ...base, kind, handler } as StreamRequestMethod;
    default:
      return assertNever(kind);
  }
}
