// Calls to one gRPC server: the four kinds of method, with the types of their descriptors.
import type { DescMessage, DescMethod, DescMethodBiDiStreaming, DescMethodClientStreaming, DescMethodServerStreaming, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { ByteBudget } from '../base/byte-budget.ts';
import type { CallOptions } from '../base/call-options.ts';
import { targetName } from '../base/connector.ts';
import type { ConnectTarget } from '../base/connector.ts';
import type { Random } from '../base/random.ts';
import { MessageInflater } from '../grpc/message-inflater.ts';
import type { OutgoingHeaders } from '../h2/stream.ts';
import { GrpcCall, grpcRequestHeaders } from './grpc-call.ts';
import type { GrpcCallHost } from './grpc-call.ts';
import { grpcChannelLimits } from './grpc-limits.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';
import { metadataHeaders } from './grpc-metadata.ts';
import type { GrpcMetadata, ReceivedMetadata } from './grpc-metadata.ts';
import { clientMethod, encodeRequest } from './grpc-method.ts';
import type { ClientMethod } from './grpc-method.ts';
import { GrpcPool } from './grpc-pool.ts';
import { OnlyRequest, RequestStream } from './grpc-requests.ts';
import type { GrpcRequests } from './grpc-requests.ts';
import { GrpcRetries } from './grpc-retries.ts';
import { RequestRoom } from './request-room.ts';
import { sessionsTo } from './grpc-session.ts';
import type { OpenSession, SessionPorts } from './grpc-session.ts';

/** What a channel needs of the world. */
export interface GrpcChannelPorts extends Omit<SessionPorts, 'budget'> {
  readonly random: Random;
  /** Of what is kept of requests and answers; one of the channel's own, if left out. */
  readonly budget?: ByteBudget;
}

export interface GrpcChannelOptions {
  /** Those that are left out have their defaults. */
  readonly limits?: Partial<GrpcChannelLimits>;
  /** Sent with every call, before its own. */
  readonly metadata?: GrpcMetadata;
  /** Who calls, in `user-agent`. */
  readonly userAgent?: string;
  /** Calls wait for a server that cannot be reached, unless they say otherwise. Default: they fail. */
  readonly waitForReady?: boolean;
  /** How connections are made; default: by the connector, with HTTP/2 on them. */
  readonly openSession?: OpenSession;
}

export interface GrpcCallOptions extends CallOptions {
  /** For all of the call, waiting and further tries included. Sent along as the deadline. Default: none. */
  readonly timeoutMs?: number | undefined;
  readonly metadata?: GrpcMetadata | undefined;
  readonly waitForReady?: boolean | undefined;
  /** 1: no second try, but for a call that the server has not begun with. */
  readonly attemptsMax?: number | undefined;
  /** Told the headers of the answer, once it begins. */
  readonly onHeaders?: ((headers: ReceivedMetadata) => void) | undefined;
  /** Told the trailers of an answer that is OK. Those of a failure are in the `GrpcError`. */
  readonly onTrailers?: ((trailers: ReceivedMetadata) => void) | undefined;
}

/**
 * Requests of a streaming call, pulled as fast as the server takes them. A function is asked for them anew when the call
 * is tried again after more of them went out than is kept.
 */
export type GrpcRequestSource<I extends DescMessage> = AsyncIterable<MessageInitShape<I>> | (() => AsyncIterable<MessageInitShape<I>>);

/** How a channel is doing. */
export interface GrpcChannelState {
  readonly connections: number;
  readonly callsInProgress: number;
  readonly callsWaiting: number;
  /** Why the last attempt to connect failed; undefined once one has succeeded. */
  readonly lastFailure: string | undefined;
}

/**
 * Connects when the first call needs it, and again when it must. Every verb throws GrpcError, and what the source of its
 * requests throws. A failure that may pass is tried again if the answer had not begun and the requests can be had again.
 */
export class GrpcChannel implements AsyncDisposable {
  /** In texts: `127.0.0.1:9092`, `unix:/run/kiln.sock`. */
  readonly serverName: string;
  readonly #host: GrpcCallHost;
  readonly #waitForReady: boolean;
  readonly #requestRoom: RequestRoom;
  readonly #headersOf: (path: string) => OutgoingHeaders;
  readonly #methods = new WeakMap<DescMethod, ClientMethod>();

  /** @throws CacheError `invalid_argument` for metadata that cannot be sent. */
  constructor(target: ConnectTarget, ports: GrpcChannelPorts, options: GrpcChannelOptions = {}) {
    const limits = { ...grpcChannelLimits, ...options.limits };
    const { clock, timers, random, log, budget = new ByteBudget({ maxBytes: limits.budgetBytesMax, waitersMax: limits.budgetWaitersMax }) } = ports;
    this.serverName = targetName(target);
    const openSession = options.openSession ?? sessionsTo(target, limits.http2, { ...ports, budget });
    this.#requestRoom = new RequestRoom(this.serverName, budget, limits.requestBytesMax);
    this.#waitForReady = options.waitForReady ?? false;
    this.#host = {
      serverName: this.serverName,
      limits,
      clock,
      timers,
      pool: new GrpcPool(this.serverName, openSession, { timers, random, log }, limits),
      retries: new GrpcRetries(random, limits),
      budget,
      inflater: new MessageInflater(),
    };
    const leading: OutgoingHeaders = [[':method', 'POST'], [':scheme', target.tls === undefined ? 'http' : 'https'], [':authority', authorityOf(target)]];
    const common: OutgoingHeaders = [...grpcRequestHeaders, ['user-agent', options.userAgent ?? 'grpc-kiln'], ...metadataHeaders(options.metadata ?? {})];
    this.#headersOf = (path) => [...leading, [':path', path], ...common];
  }

  get state(): GrpcChannelState {
    const { pool } = this.#host;
    return { connections: pool.connectionCount, callsInProgress: pool.streamCount, callsWaiting: pool.waitingCount, lastFailure: pool.lastFailure?.message };
  }

  async unary<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, request: MessageInitShape<I>, options: GrpcCallOptions = {}): Promise<MessageShape<O>> {
    const called = this.#method(method);
    return (await this.#call(called, this.#only(called, request), options).message()) as MessageShape<O>;
  }

  /** Begins when the first message is asked for. Whoever leaves the loop early cancels the call. */
  serverStream<I extends DescMessage, O extends DescMessage>(method: DescMethodServerStreaming<I, O>, request: MessageInitShape<I>, options: GrpcCallOptions = {}): AsyncGenerator<MessageShape<O>, void, undefined> {
    const called = this.#method(method);
    return this.#call(called, this.#only(called, request), options).messages() as AsyncGenerator<MessageShape<O>, void, undefined>;
  }

  /** The source is ended (`return`) when the answer comes before its end. */
  async clientStream<I extends DescMessage, O extends DescMessage>(method: DescMethodClientStreaming<I, O>, requests: GrpcRequestSource<I>, options: GrpcCallOptions = {}): Promise<MessageShape<O>> {
    return (await this.#call(this.#method(method), this.#stream(method, requests), options).message()) as MessageShape<O>;
  }

  /** As `serverStream` and `clientStream`. */
  bidiStream<I extends DescMessage, O extends DescMessage>(method: DescMethodBiDiStreaming<I, O>, requests: GrpcRequestSource<I>, options: GrpcCallOptions = {}): AsyncGenerator<MessageShape<O>, void, undefined> {
    return this.#call(this.#method(method), this.#stream(method, requests), options).messages() as AsyncGenerator<MessageShape<O>, void, undefined>;
  }

  /** Takes no new calls; resolves when those that run have ended. The caller bounds the wait by disposing. */
  drain(): Promise<void> {
    return this.#host.pool.drain();
  }

  /** Ends all calls and connections at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.pool.close();
  }

  #method(descriptor: DescMethod): ClientMethod {
    const known = this.#methods.get(descriptor);
    if (known !== undefined) return known;
    const method = clientMethod(descriptor, this.#headersOf);
    this.#methods.set(descriptor, method);
    return method;
  }

  #only(method: ClientMethod, request: unknown): GrpcRequests {
    return new OnlyRequest(encodeRequest(method, request), this.#requestRoom);
  }

  #stream<I extends DescMessage>(method: DescMethod, requests: GrpcRequestSource<I>): GrpcRequests {
    const called = this.#method(method);
    return new RequestStream(requests, (message) => encodeRequest(called, message), this.#host.limits.replayBytesMax, this.#host.budget);
  }

  #call(method: ClientMethod, requests: GrpcRequests, options: GrpcCallOptions): GrpcCall {
    return new GrpcCall(this.#host, {
      method,
      requests,
      metadata: options.metadata === undefined ? [] : metadataHeaders(options.metadata),
      timeoutMs: options.timeoutMs,
      signal: options.signal,
      trace: options.trace,
      waitsForReady: options.waitForReady ?? this.#waitForReady,
      attemptsMax: options.attemptsMax ?? this.#host.limits.attemptsMax,
      onHeaders: options.onHeaders,
      onTrailers: options.onTrailers,
    });
  }
}

/** What the server sees as the host it was called by. */
function authorityOf({ address, tls }: ConnectTarget): string {
  if (address.kind === 'unix') return tls?.serverName ?? 'localhost';
  const host = tls?.serverName ?? address.host;
  return host.includes(':') ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}
