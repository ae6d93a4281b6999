// A hand-driven HTTP/2 server against the pure client connection: frames as bytes in, frames as bytes out, no sockets.
import { ClientConnection } from '../h2/client-connection.ts';
import { errorCodeName } from '../h2/error-code.ts';
import { clientPreface } from '../h2/frames.ts';
import { HeaderDecoder } from '../h2/header-decoder.ts';
import { http2Limits } from '../h2/limits.ts';
import type { Http2Limits } from '../h2/limits.ts';
import type { ClientStream, HeaderBlock, OutgoingHeaders, ResponseHandler, ResponseReset } from '../h2/stream.ts';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { frame, parseFrames, requestHeaders, settings } from './http2-peer.ts';
import type { Frame } from './http2-peer.ts';
import { ManualClock } from './manual-clock.ts';

/** What one request was told, in words. */
export class RecordedAnswer implements ResponseHandler {
  readonly events: string[] = [];
  readonly resets: ResponseReset[] = [];
  receivedBytes = 0;
  readonly #peer: Http2ServerPeer;
  stream: ClientStream | undefined = undefined;

  constructor(peer: Http2ServerPeer) {
    this.#peer = peer;
  }

  onInformation(headers: HeaderBlock): void {
    this.events.push(`information ${headers.get(':status')}`);
  }
  onHeaders(headers: HeaderBlock): void {
    this.events.push(`headers ${headers.get(':status')}`);
    this.#peer.onHeaders?.(this);
  }
  onData(bytes: Uint8Array): void {
    this.receivedBytes += bytes.length;
    this.events.push(`data ${bytes.length}`);
    if (this.#peer.consumes) this.stream?.consumed(bytes.length);
  }
  onEnd(trailers: HeaderBlock | undefined): void {
    this.events.push(trailers === undefined ? 'end' : `end ${trailers.fields.join('=')}`);
  }
  onReset(reset: ResponseReset): void {
    this.resets.push(reset);
    this.events.push(`reset ${errorCodeName(reset.code)} by ${reset.byPeer ? 'peer' : 'us'}${reset.unprocessed ? ', unprocessed' : ''}`);
  }
  onDrained(): void {
    this.events.push('drained');
  }
}

/** A client connection with its server. The prefaces have been exchanged unless `raw`. */
export class Http2ServerPeer {
  readonly clock = new ManualClock();
  readonly connection: ClientConnection;
  readonly #decoder = new HeaderDecoder(1_000_000);
  /** What went wrong, as statistics are told. */
  readonly mishaps: string[] = [];
  changes = 0;
  consumes = true;
  onChange: (() => void) | undefined;
  onHeaders: ((answer: RecordedAnswer) => void) | undefined;
  /** What the client sent first, when not `raw`. */
  readonly first: readonly Frame[] = [];

  constructor(limits: Partial<Http2Limits> = {}, options: { raw?: boolean; settings?: Buffer; firstStreamId?: number } = {}) {
    this.connection = new ClientConnection({
      limits: { ...http2Limits, ...limits },
      clock: this.clock,
      events: {
        onReset: (code, byPeer) => this.mishaps.push(`reset ${errorCodeName(code)} by ${byPeer ? 'peer' : 'us'}`),
        onFault: (code, flood) => this.mishaps.push(flood === undefined ? errorCodeName(code) : `${errorCodeName(code)}: ${flood}`),
      },
      budget: unboundedByteBudget(),
      firstStreamId: options.firstStreamId,
      wake: () => {},
      onChange: () => {
        this.changes++;
        this.onChange?.();
      },
    });
    if (options.raw === true) return;
    this.first = parseFrames(this.takeBytes().subarray(clientPreface.length));
    this.send(options.settings ?? settings(), frame(4, 1, 0));
  }

  /** Sends a request. */
  open(options: { headers?: OutgoingHeaders; endStream?: boolean } = {}): RecordedAnswer {
    const answer = new RecordedAnswer(this);
    answer.stream = this.connection.open(options.headers ?? requestHeaders, options.endStream ?? true, answer);
    return answer;
  }

  /** Feeds the bytes as one chunk and returns what goes out. */
  send(...bytes: Uint8Array[]): Frame[] {
    this.connection.receive(Buffer.concat(bytes));
    return this.take();
  }

  take(): Frame[] {
    return parseFrames(this.takeBytes());
  }

  takeBytes(): Buffer {
    const { outlet } = this.connection;
    this.connection.onTake();
    const taken: Uint8Array[] = [];
    for (let slices = outlet.take(); slices.length > 0; slices = outlet.take()) {
      taken.push(...slices.map((slice) => new Uint8Array(slice)));
      outlet.onBacklog(0);
    }
    return Buffer.concat(taken);
  }

  /** Header fields of a HEADERS frame that came out, flat. */
  fieldsOf(sent: Frame | undefined): readonly string[] {
    const block = sent?.payload ?? Buffer.alloc(0);
    return this.#decoder.decode(block, 0, block.length).fields;
  }
}
