// @grpc/grpc-js as an independent client, with protobuf-es messages.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import type {
  CallOptions,
  ChannelOptions,
  ClientDuplexStream,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
  ServiceError,
} from '@grpc/grpc-js';

/** What came back from a call with one answer. */
export interface UnaryOutcome<T> {
  readonly message: T;
  readonly headers: grpc.Metadata;
  readonly status: grpc.StatusObject;
}

export interface CallExtras extends CallOptions {
  readonly metadata?: grpc.Metadata;
}

/** A client of one server; disposing it closes its connection. */
export class GrpcJsClient implements Disposable {
  readonly #client: grpc.Client;

  constructor(address: string, options: ChannelOptions = {}, credentials = grpc.credentials.createInsecure()) {
    const unlimited = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
    this.#client = new grpc.Client(address, credentials, { ...unlimited, 'grpc.use_local_subchannel_pool': 1, ...options });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /** @throws ServiceError unless the status is OK. `onCall` may cancel it. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    extras: CallExtras = {},
    onCall: (call: ClientUnaryCall) => void = () => {},
  ): Promise<UnaryOutcome<MessageShape<O>>> {
    return new Promise((resolve, reject) => {
      const { metadata = new grpc.Metadata(), ...options } = extras;
      const done = outcome<MessageShape<O>>(resolve, reject);
      const call = this.#client.makeUnaryRequest(pathOf(method), encode(method.input), decode(method.output), request, metadata, options, done.callback);
      done.watch(call);
      onCall(call);
    });
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    extras: CallExtras = {},
  ): ClientReadableStream<MessageShape<O>> {
    const { metadata = new grpc.Metadata(), ...options } = extras;
    return this.#client.makeServerStreamRequest(pathOf(method), encode(method.input), decode(method.output), request, metadata, options);
  }

  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    extras: CallExtras = {},
  ): { readonly call: ClientWritableStream<MessageInitShape<I>>; readonly outcome: Promise<UnaryOutcome<MessageShape<O>>> } {
    const { metadata = new grpc.Metadata(), ...options } = extras;
    const { promise, resolve, reject } = Promise.withResolvers<UnaryOutcome<MessageShape<O>>>();
    const done = outcome<MessageShape<O>>(resolve, reject);
    const call = this.#client.makeClientStreamRequest(pathOf(method), encode(method.input), decode(method.output), metadata, options, done.callback);
    done.watch(call);
    return { call, outcome: promise };
  }

  bidiStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    extras: CallExtras = {},
  ): ClientDuplexStream<MessageInitShape<I>, MessageShape<O>> {
    const { metadata = new grpc.Metadata(), ...options } = extras;
    return this.#client.makeBidiStreamRequest(pathOf(method), encode(method.input), decode(method.output), metadata, options);
  }
}

/** The status a stream ended with; an error event is part of it and not thrown. */
export function statusOf(call: ClientReadableStream<unknown> | ClientDuplexStream<unknown, unknown>): Promise<grpc.StatusObject> {
  return new Promise((resolve) => {
    call.on('error', () => {});
    call.once('status', resolve);
  });
}

function outcome<T>(resolve: (value: UnaryOutcome<T>) => void, reject: (error: ServiceError) => void) {
  let message: T | undefined;
  let headers = new grpc.Metadata();
  return {
    callback: (error: ServiceError | null, response?: T): void => {
      if (error === null) message = response;
      else reject(error);
    },
    watch(call: ClientUnaryCall | ClientWritableStream<unknown>): void {
      call.on('metadata', (received: grpc.Metadata) => (headers = received));
      call.on('status', (status: grpc.StatusObject) => {
        // The callback comes with or before the status; a failed call has been rejected there.
        setImmediate(() => {
          if (message !== undefined) resolve({ message, headers, status });
        });
      });
    },
  };
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encode<D extends DescMessage>(descriptor: D): (message: MessageInitShape<D>) => Buffer {
  return (message) => Buffer.from(toBinary(descriptor, create(descriptor, message)));
}

function decode<D extends DescMessage>(descriptor: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) => fromBinary(descriptor, bytes);
}
