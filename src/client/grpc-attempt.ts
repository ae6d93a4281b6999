// One try of one call: a stream from its request headers to the end of the answer. Knows gRPC's answers, and nothing of
// deadlines or of further tries.
import { peerText } from '../base/peer-text.ts';
import { isGrpc, statusOfReset, statusOfTrailers, statusWithoutGrpc } from '../grpc/answer-status.ts';
import type { AnswerStatus } from '../grpc/answer-status.ts';
import type { MessageEncoding } from '../grpc/message-inflater.ts';
import { okStatus } from '../grpc/status.ts';
import { errorCode, errorCodeName } from '../h2/error-code.ts';
import type { ClientStream, HeaderBlock, RequestHeaders, ResponseHandler, ResponseReset } from '../h2/stream.ts';
import type { GrpcConnection } from './grpc-connection.ts';
import { asGrpcError, failureOfAnswer, localFailure } from './grpc-error.ts';
import type { GrpcError } from './grpc-error.ts';
import { ReceivedMetadata } from './grpc-metadata.ts';
import type { GrpcRequests } from './grpc-requests.ts';

/** Takes the messages of one answer. */
export interface AnswerReceiver {
  /** A piece of the answer; the view is valid during the call. @throws StatusError when it breaks gRPC's rules. */
  push(bytes: Uint8Array): void;
  /** Nothing more comes; with `failure` that is why, behind what came before. @throws as `push`. */
  end(failure?: Error): void;
  /** Nothing more is wanted. */
  close(reason: Error): void;
}

/** The call that tries. */
export interface AttemptOwner {
  readonly serverName: string;
  readonly sendQueueBytesMax: number;
  /** The answer has begun: from here on there is no other try. Messages are in `encoding`. */
  onAnswer(attempt: GrpcAttempt, headers: ReceivedMetadata, encoding: MessageEncoding): AnswerReceiver;
  /** Over, unless it was cut off: with OK, or with a failure. `unprocessed`: the server has not begun with it. */
  onOver(attempt: GrpcAttempt, trailers: ReceivedMetadata, failure: GrpcError | undefined, unprocessed: boolean): void;
  /** The source of the request failed, with whatever it threw. */
  onSourceFailed(attempt: GrpcAttempt, thrown: unknown): void;
}

const noMetadata = new ReceivedMetadata(undefined);

/**
 *   open ── headers ──▶ answering ── trailers ──▶ over
 *    │ └── trailers only, not gRPC, reset ──▶ over   └── reset, against the rules ──▶ over
 *    └── cutOff ──▶ over, and nobody is told
 */
export class GrpcAttempt implements ResponseHandler {
  readonly #owner: AttemptOwner;
  readonly #connection: GrpcConnection;
  readonly #stream: ClientStream;
  #headers: HeaderBlock | undefined;
  #receiver: AnswerReceiver | undefined;
  #over = false;
  #wake: (() => void) | undefined;

  /** Opens the stream, which must be free. @throws CacheError when the headers cannot be sent. */
  constructor(owner: AttemptOwner, connection: GrpcConnection, headers: RequestHeaders) {
    this.#owner = owner;
    this.#connection = connection;
    this.#stream = connection.open(headers, this);
  }

  get stream(): ClientStream {
    return this.#stream;
  }

  /** Sends the request, as fast as it is taken. Never rejects. */
  send(requests: GrpcRequests): void {
    if (requests.only === undefined) void this.#sendAll(requests);
    else this.#stream.sendData(requests.only, true);
  }

  /** Nobody waits for it any more. */
  cutOff(): void {
    if (this.#over) return;
    this.#over = true;
    this.#wake?.();
    this.#stream.reset(errorCode.cancel);
  }

  onHeaders(headers: HeaderBlock): void {
    this.#headers = headers;
    if (this.#over || headers.get('grpc-status') !== undefined) return; // trailers only: the end follows
    this.#connection.onAnswer();
    if (headers.get(':status') !== '200' || !isGrpc(headers.get('content-type'))) return this.#fail(statusWithoutGrpc(headers));
    const encoding = headers.get('grpc-encoding') ?? 'identity';
    if (encoding !== 'identity' && encoding !== 'gzip') {
      return this.#failLocally(localFailure('internal', `${this.#owner.serverName} compresses its answer with ${peerText(JSON.stringify(encoding.slice(0, 40)))}, which it was not told that it may`));
    }
    this.#receiver = this.#owner.onAnswer(this, new ReceivedMetadata(headers), encoding);
  }

  onData(bytes: Uint8Array): void {
    if (this.#over) return;
    if (this.#receiver === undefined) return this.onEnd(undefined); // behind a status there is nothing to be had
    try {
      this.#receiver.push(bytes);
    } catch (thrown) {
      this.#failLocally(asGrpcError(thrown));
    }
  }

  onEnd(trailers: HeaderBlock | undefined): void {
    if (this.#over) return;
    const headers = this.#headers;
    const last = trailers ?? headers;
    if (headers === undefined || last === undefined) return;
    const status = statusOfTrailers(last) ?? statusWithoutGrpc(headers);
    if (status.status !== okStatus) return this.#fail(status, new ReceivedMetadata(last));
    this.#connection.onAnswer();
    try {
      // Without any message, as OK of a stream or of a server that forgot its answer.
      this.#receiver ??= this.#owner.onAnswer(this, trailers === undefined ? noMetadata : new ReceivedMetadata(headers), 'identity');
      this.#receiver.end();
    } catch (thrown) {
      return this.#failLocally(asGrpcError(thrown));
    }
    this.#end(new ReceivedMetadata(last), undefined, false);
  }

  onReset(reset: ResponseReset): void {
    if (this.#over) return;
    const { loss, farewell, isEnding } = this.#connection;
    if (reset.unprocessed) {
      const why = loss ?? farewell ?? (isEnding ? 'it takes no more calls on this connection' : `it refused it (${errorCodeName(reset.code)})`);
      this.#end(noMetadata, localFailure('unavailable', `${this.#owner.serverName} did not begin with the call: ${why}`), true);
    } else if (loss !== undefined || (isEnding && !reset.byPeer)) {
      this.#end(noMetadata, localFailure('unavailable', `lost the connection to ${this.#owner.serverName}: ${loss ?? farewell ?? reset.reason}`), false);
    } else if (!reset.byPeer) {
      this.#end(noMetadata, localFailure('internal', `the answer of ${this.#owner.serverName} breaks the rules of HTTP/2: ${reset.reason}`), false);
    } else this.#end(noMetadata, failureOfAnswer(statusOfReset(reset.code), this.#owner.serverName), false);
  }

  onDrained(): void {
    this.#wake?.();
  }

  async #sendAll(requests: GrpcRequests): Promise<void> {
    try {
      for (let index = 0; ; index += 1) {
        const message = await requests.at(index);
        if (this.#over) return;
        this.#stream.sendData(message ?? [], message === undefined);
        if (message === undefined) return;
        while (this.#stream.queuedBytes > this.#owner.sendQueueBytesMax && !this.#over) await this.#drained();
        if (this.#over) return;
      }
    } catch (thrown) {
      if (!this.#over) this.#owner.onSourceFailed(this, thrown);
    }
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }

  #fail(status: AnswerStatus, trailers = noMetadata): void {
    this.#end(trailers, failureOfAnswer(status, this.#owner.serverName, trailers), false);
  }

  /** The server is still at it, and is told to stop. */
  #failLocally(failure: GrpcError): void {
    this.#end(noMetadata, failure, false);
  }

  #end(trailers: ReceivedMetadata, failure: GrpcError | undefined, unprocessed: boolean): void {
    this.#over = true;
    this.#wake?.();
    // Of a stream that is closed this is nothing; else the rest of the request, or of the answer, is wanted by nobody.
    this.#stream.reset(errorCode.cancel);
    this.#owner.onOver(this, trailers, failure, unprocessed);
  }
}
