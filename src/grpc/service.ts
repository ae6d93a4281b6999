// What a gRPC service is to the rest of Kiln: an object of typed handlers for a generated descriptor.
import type { DescMethodBiDiStreaming, DescMethodClientStreaming, DescMethodServerStreaming, DescMethodUnary, DescService } from '@bufbuild/protobuf';
import type { Caller } from '../base/authorizer.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Span } from '../base/tracer.ts';
import type { Received, Sent } from '../proto/hot-messages.ts';

/** What a handler knows of its call besides the messages. */
export interface CallContext {
  /** Aborted by the deadline, by the client's cancellation and by the end of the connection. */
  readonly signal: AbortSignal;
  readonly caller: Caller;
  /** The build tool by what it says of itself, in lower case, or `unknown`. For statistics only; clients make it up. */
  readonly tool: string;
  /** Of the call, if it is traced. */
  readonly trace: Span | undefined;
  /** First value of a request header; `-bin` values still in base64. */
  header(name: string): string | undefined;
  /** Response metadata, sent with the first message or the status. Legal until then. */
  setHeader(name: string, value: string): void;
  setTrailer(name: string, value: string): void;
}

/** What comes of a request that is a stream. Whoever iterates takes message by message, each at its own time. */
export interface RequestMessages<T> extends AsyncIterable<T> {
  /**
   * Calls `visit` with all that is left, as soon as it comes, and resolves behind the last one. What is visited may be
   * used during the call only: mostly it lies in the input of the connection, which is not copied. Large messages may
   * come in parts, if their codec can give them. Whoever has no room asks for a pause by a promise; what comes meanwhile
   * waits, within the window of the stream.
   * @throws what `visit` throws, after which nothing is visited any more; what ended the request otherwise.
   */
  lend(visit: (message: T) => MaybePromise<void>): Promise<void>;
  /** Counts memory for copies of what was lent, all that there is now, in the byte budget; until the call has ended. */
  keep(bytes: number): void;
}

/** The handler of one method. A throw becomes the call's status: a CacheError by the table, anything else INTERNAL. */
export type Handler<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: Received<I>, context: CallContext) => MaybePromise<Sent<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: Received<I>, context: CallContext) => AsyncIterable<Sent<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: RequestMessages<Received<I>>, context: CallContext) => Promise<Sent<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: RequestMessages<Received<I>>, context: CallContext) => AsyncIterable<Sent<O>>
          : never;

/** Handlers by method (camelCase). A method that is left out answers UNIMPLEMENTED. */
export type Handlers<S extends DescService> = { readonly [K in keyof S['method']]?: Handler<S['method'][K]> };

/** A service ready to be registered with the router. */
export interface ServiceImplementation {
  readonly descriptor: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
  /** Nobody is asked who they are, and whatever credentials come are not looked at. */
  readonly forEveryone: boolean;
}

/** Ties handlers to their descriptor; the only place where their types are forgotten. */
export function implementService<S extends DescService>(descriptor: S, handlers: Handlers<S>, { forEveryone = false } = {}): ServiceImplementation {
  return { descriptor, handlers, forEveryone };
}
