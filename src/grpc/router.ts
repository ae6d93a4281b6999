// From a stream to the handler of its method.
import { assert } from '../base/assert.ts';
import { anonymous } from '../base/authorizer.ts';
import type { Authenticator, Caller } from '../base/authorizer.ts';
import type { Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { RunningCount } from '../base/running-count.ts';
import type { HeaderBlock, ServerStream, StreamAcceptor, StreamHandler } from '../h2/stream.ts';
import { hotCodecs } from '../proto/hot-codecs.ts';
import { CallRecord, unknownPath } from './call-record.ts';
import type { CallObservation } from './call-record.ts';
import type { CodecTable } from './codec.ts';
import { Deadlines } from './deadlines.ts';
import { defaultGrpcLimits } from './limits.ts';
import type { GrpcLimits } from './limits.ts';
import { methodsOf } from './method.ts';
import type { Method } from './method.ts';
import { RefusedCall } from './refused-call.ts';
import { RequestHead, readHead, Refusal, refusalOf } from './request-head.ts';
import type { CallHost } from './server-call.ts';
import type { ServiceImplementation } from './service.ts';
import { SingleRequestCall } from './single-request-call.ts';
import { StreamRequestCall } from './stream-request-call.ts';

export interface GrpcRouterOptions {
  readonly timers: Timers;
  readonly log: Log;
  /** Who callers are; if left out, they are all anonymous. */
  readonly authenticator?: Authenticator;
  readonly limits?: GrpcLimits;
  /** Codecs used instead of the generated ones, by full message name; the hot ones if left out. */
  readonly codecs?: CodecTable;
  /** Told of every call; nobody, if left out. */
  readonly observed?: CallObservation | undefined;
}

/**
 * Serves gRPC on HTTP/2 streams: all call kinds, deadlines, cancellation, metadata, errors as `grpc-status`.
 * Knows neither connections nor draining; whoever shuts down closes those first and then waits for `idle`.
 */
export class GrpcRouter implements StreamAcceptor, CallHost {
  readonly limits: GrpcLimits;
  readonly timers: Timers;
  readonly log: Log;
  readonly deadlines: Deadlines = new Deadlines();
  readonly #authenticator: Authenticator;
  readonly #observed: CallObservation | undefined;
  readonly #methods = new Map<string, Method>();
  readonly #services = new Set<string>();
  readonly #running = new RunningCount();

  constructor(services: readonly ServiceImplementation[], options: GrpcRouterOptions) {
    this.limits = options.limits ?? defaultGrpcLimits;
    this.timers = options.timers;
    this.log = options.log;
    this.#authenticator = options.authenticator ?? { generation: 0, identify: () => anonymous };
    this.#observed = options.observed;
    for (const service of services) {
      const name = service.descriptor.typeName;
      assert(!this.#services.has(name), `service ${name} is registered once`);
      this.#services.add(name);
      for (const method of methodsOf(service, options.codecs ?? hotCodecs)) this.#methods.set(method.path, method);
    }
  }

  /** Whether `path` (the value of `:path`) belongs to a registered service, whatever the method. */
  serves(path: string): boolean {
    const end = path.indexOf('/', 1);
    return path.startsWith('/') && end > 0 && this.#services.has(path.slice(1, end));
  }

  /** Whether a request says that it is gRPC; what is wrong with it otherwise is answered by `onStream`. */
  accepts(headers: HeaderBlock): boolean {
    const { memo } = headers; // set by `onStream` when the block came before
    if (memo instanceof RequestHead || memo instanceof Refusal) return true;
    return headers.get('content-type')?.startsWith('application/grpc') === true;
  }

  /** Handlers at work that did not answer at once, cancelled ones that are still cleaning up included. */
  get runningHandlers(): number {
    return this.#running.value;
  }

  /** Resolves when no handler is at work. */
  idle(): Promise<void> {
    return this.#running.idle();
  }

  onStream(stream: ServerStream, headers: HeaderBlock): StreamHandler {
    const head = this.#identified(this.#headOf(headers));
    const observed = this.#observed;
    if (head instanceof Refusal) {
      if (observed !== undefined) new CallRecord(head.method?.path ?? unknownPath, headers, observed).end(head.status);
      return new RefusedCall(stream, head, this);
    }
    const { method } = head;
    if (method.kind === 'unary' || method.kind === 'server_streaming') {
      return new SingleRequestCall(stream, head, method, this);
    }
    return new StreamRequestCall(stream, head, method, this);
  }

  callerOf(head: RequestHead): MaybePromise<Caller> {
    return head.method.forEveryone ? anonymous : head.caller.callerOf(head.headers, this.#authenticator);
  }

  record(head: RequestHead): CallRecord | undefined {
    return this.#observed === undefined ? undefined : new CallRecord(head.method.path, head.headers, this.#observed);
  }

  handlerStarted(): void {
    this.#running.started();
  }

  handlerEnded(): void {
    this.#running.ended();
  }

  /** Wrong credentials are refused before anything is made of the call. */
  #identified(head: RequestHead | Refusal): RequestHead | Refusal {
    if (head instanceof Refusal) return head;
    try {
      void this.callerOf(head); // if it takes a promise, whoever waits for it hears of its failure
      return head;
    } catch (error) {
      return refusalOf(error, head.method);
    }
  }

  /** A block that repeats is read once per connection: bench/unary. One router serves all of a connection. */
  #headOf(headers: HeaderBlock): RequestHead | Refusal {
    const { memo } = headers;
    if (memo instanceof RequestHead || memo instanceof Refusal) return memo;
    const head = readHead(headers, { methods: this.#methods, services: this.#services });
    headers.memo = head;
    return head;
  }
}
