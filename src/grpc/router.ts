// From a stream to the handler of its method.
import { assert } from '../base/assert.ts';
import { anonymous } from '../base/authorizer.ts';
import type { Authenticator, Caller, ConnectionCredentials } from '../base/authorizer.ts';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { Timers } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { ReusedMemory } from '../base/reused-memory.ts';
import { RunningCount } from '../base/running-count.ts';
import type { HeaderBlock, ServerStream, StreamAcceptor, StreamHandler } from '../h2/stream.ts';
import { hotCodecs } from '../proto/hot-codecs.ts';
import { newAnswerMemory } from './answer-memory.ts';
import { observeRefusal } from './call-observation.ts';
import type { CallObservation } from './call-observation.ts';
import type { CodecTable } from './codec.ts';
import { Deadlines } from './deadlines.ts';
import { defaultGrpcLimits } from './limits.ts';
import type { GrpcLimits } from './limits.ts';
import { MessageInflater } from './message-inflater.ts';
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
  /** Of what is kept of requests between turns of the loop; without a bound, if left out. */
  readonly budget?: ByteBudget;
  /** Codecs used instead of the generated ones, by full message name; the hot ones if left out. */
  readonly codecs?: CodecTable;
  /** Told of every call; nobody, if left out. */
  readonly observed?: CallObservation | undefined;
}

/** What does not depend on the connection that a call comes by. */
interface SharedByVariants {
  /** By path. */
  readonly methods: ReadonlyMap<string, Method>;
  /** Full names. */
  readonly services: ReadonlySet<string>;
  readonly running: RunningCount;
  readonly deadlines: Deadlines;
  readonly budget: ByteBudget;
  readonly inflater: MessageInflater;
  readonly answers: ReusedMemory;
}

function registered(services: readonly ServiceImplementation[], codecs: CodecTable, budget: ByteBudget): SharedByVariants {
  const names = new Set<string>();
  const methods = new Map<string, Method>();
  for (const service of services) {
    const name = service.descriptor.typeName;
    assert(!names.has(name), `service ${name} is registered once`);
    names.add(name);
    for (const method of methodsOf(service, codecs)) methods.set(method.path, method);
  }
  return { methods, services: names, running: new RunningCount(), deadlines: new Deadlines(), budget, inflater: new MessageInflater(), answers: newAnswerMemory() };
}

/**
 * Serves gRPC on HTTP/2 streams: all call kinds, deadlines, cancellation, metadata, errors as `grpc-status`.
 * Knows neither connections nor draining; whoever shuts down closes those first and then waits for `idle`.
 */
export class GrpcRouter implements StreamAcceptor, CallHost {
  readonly limits: GrpcLimits;
  readonly timers: Timers;
  readonly log: Log;
  readonly deadlines: Deadlines;
  readonly budget: ByteBudget;
  readonly inflater: MessageInflater;
  readonly answers: ReusedMemory;
  readonly #options: GrpcRouterOptions;
  readonly #authenticator: Authenticator;
  readonly observed: CallObservation | undefined;
  readonly #shared: SharedByVariants;
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #running: RunningCount;

  /** @param shared of the router that this one is a variant of. */
  constructor(services: readonly ServiceImplementation[], options: GrpcRouterOptions, shared?: SharedByVariants) {
    this.limits = options.limits ?? defaultGrpcLimits;
    this.timers = options.timers;
    this.log = options.log;
    this.#options = options;
    this.#authenticator = options.authenticator ?? { generation: 0, identify: () => anonymous };
    this.observed = options.observed;
    this.#shared = shared ?? registered(services, options.codecs ?? hotCodecs, options.budget ?? unboundedByteBudget());
    this.#methods = this.#shared.methods;
    this.#running = this.#shared.running;
    this.deadlines = this.#shared.deadlines;
    this.budget = this.#shared.budget;
    this.inflater = this.#shared.inflater;
    this.answers = this.#shared.answers;
  }

  /** The same services, for messages up to another size. Handlers at work count for all variants of a router together. */
  withMessagesUpTo(messageBytesMax: number): GrpcRouter {
    if (messageBytesMax === this.limits.messageBytesMax) return this;
    return new GrpcRouter([], { ...this.#options, limits: { ...this.limits, messageBytesMax } }, this.#shared);
  }

  /** The same services, for one connection and what it shows of its client. */
  forClient(credentials: ConnectionCredentials): GrpcRouter {
    const inner = this.#authenticator;
    const authenticator: Authenticator = {
      get generation() {
        return inner.generation;
      },
      identify: (authorization) => inner.identify(authorization, credentials),
    };
    return new GrpcRouter([], { ...this.#options, authenticator }, this.#shared);
  }

  /** Whether `path` (the value of `:path`) belongs to a registered service, whatever the method. */
  serves(path: string): boolean {
    const end = path.indexOf('/', 1);
    return path.startsWith('/') && end > 0 && this.#shared.services.has(path.slice(1, end));
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
    if (head instanceof Refusal) {
      if (this.observed !== undefined) observeRefusal(head, headers, this.observed);
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
    const head = readHead(headers, { methods: this.#methods, services: this.#shared.services });
    headers.memo = head;
    return head;
  }
}
