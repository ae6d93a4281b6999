// Calls whose request is a stream of messages: client streaming and bidirectional.
import { CacheError } from '../base/cache-error.ts';
import type { ServerStream } from '../h2/stream.ts';
import type { StreamRequestMethod } from './method.ts';
import type { RequestHead } from './request-head.ts';
import { MessageLane } from './message-lane.ts';
import type { CallHost } from './server-call.ts';
import { ServerCall } from './server-call.ts';

/** One for all: nearly every call ends with it, hardly any handler sees it, and each would record its stack. */
const answeredFirst = new CacheError('cancelled', 'the call was answered before its request had been read');

/** The handler runs at once and pulls the messages as they come. */
export class StreamRequestCall extends ServerCall {
  readonly #lane: MessageLane;
  readonly #isUpload: boolean;

  constructor(stream: ServerStream, head: RequestHead, method: StreamRequestMethod, host: CallHost) {
    super(stream, head, host);
    this.#isUpload = method.kind === 'client_streaming';
    this.#lane = new MessageLane(stream, {
      limits: host.limits,
      budget: host.budget,
      share: stream.requestShare,
      reusesMessages: method.request.lendsViews === true,
      parts: method.request.parts,
      decode: (bytes) => this.decode(bytes),
      inflate: (message) => this.inflate(message),
      onFault: (error) => this.stop(error),
    });
    if (method.kind === 'client_streaming') this.answer(() => method.handler(this.#lane, this));
    else void this.answerStream(() => method.handler(this.#lane, this));
  }

  override get awaitsPeer(): boolean {
    return this.#lane.awaitsPeer;
  }

  /** A conversation may rest as long as both sides like; an upload may not. */
  override get awaitsRequest(): boolean {
    return this.#isUpload && !this.answered && this.#lane.isAwaited;
  }

  protected override receive(bytes: Uint8Array): void {
    this.#lane.push(bytes);
  }

  protected override receiveEnd(): void {
    this.#lane.end();
  }

  protected override abandonRequest(reason: Error): void {
    this.#lane.close(reason);
  }

  /** Not an error of the handler's if it answered without having read everything (REAPI BS-13). */
  protected override requestDone(): void {
    this.#lane.close(answeredFirst);
  }
}
