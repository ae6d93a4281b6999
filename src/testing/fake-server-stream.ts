// A hand-driven HTTP/2 stream, so that gRPC can be tested to the byte without a transport.
import { HeaderDecoder } from '../h2/header-decoder.ts';
import type { ContentWriter, HeaderBlock, OutgoingHeaders, PreparedHeaders, ServerStream, StreamHandler, StreamReset, WholeAnswerEnds } from '../h2/stream.ts';

/** As the engine has it. */
const wholeContentBytesMax = 2_048;

/** A header block as the engine would give it. */
export function headerBlock(fields: Readonly<Record<string, string>>): HeaderBlock {
  const flat = Object.entries(fields).flat();
  return {
    fields: flat,
    get: (name) => fields[name],
    memo: undefined,
  };
}

/** Records what is sent. `window` is what may go out before `open` is called; the rest counts as queued. */
export class FakeServerStream implements ServerStream {
  readonly id = 1;
  closed = false;
  queuedBytes = 0;
  headers: OutgoingHeaders | undefined;
  trailers: OutgoingHeaders | undefined;
  resetCode: number | undefined;
  consumedBytes = 0;
  readonly pieces: Uint8Array[] = [];
  /** Answers that went out at once. */
  wholeCount = 0;
  /** Told like by the engine; set after `onStream`. */
  handler: StreamHandler | undefined;
  #window: number;
  #ended = false;

  constructor(window = Infinity) {
    this.#window = window;
  }

  /** All DATA sent so far, joined. */
  get data(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.pieces));
  }

  /** The value of a trailer, or of a header when the answer was trailers-only. */
  status(name: string): string | undefined {
    const block = this.trailers ?? this.headers ?? [];
    return block.find(([key]) => key === name)?.[1];
  }

  /** True when the answer is complete. */
  get answered(): boolean {
    return this.#ended;
  }

  sendHeaders(headers: OutgoingHeaders | PreparedHeaders, endStream: boolean): void {
    this.headers = plain(headers);
    this.#ended ||= endStream;
  }

  sendData(slices: readonly Uint8Array[], endStream: boolean): void {
    for (const slice of slices) {
      this.pieces.push(slice);
      this.queuedBytes += slice.byteLength;
    }
    this.#ended ||= endStream;
    this.#release();
  }

  trySendWhole({ headers, trailers }: WholeAnswerEnds, writer: ContentWriter, content: unknown): number {
    const bytesMax = writer.bytesMax(content);
    if (this.closed || this.#ended || this.queuedBytes > 0 || bytesMax > wholeContentBytesMax || bytesMax > this.#window) return -1;
    const into = Buffer.alloc(bytesMax);
    const contentBytes = writer.write(content, into, 0);
    if (contentBytes < 0) return -1;
    this.wholeCount += 1;
    this.sendHeaders(headers, false);
    this.sendData([into.subarray(0, contentBytes)], false);
    this.sendTrailers(trailers);
    return contentBytes;
  }

  sendTrailers(headers: OutgoingHeaders | PreparedHeaders): void {
    this.trailers = plain(headers);
    this.#ended = true;
  }

  reset(code: number): void {
    if (this.closed) return;
    this.resetCode = code;
    this.lose({ code, byPeer: false });
  }

  consumed(bytes: number): void {
    this.consumedBytes += bytes;
  }

  /** The stream ends early. */
  lose(reset: StreamReset): void {
    this.closed = true;
    this.handler?.onReset(reset);
  }

  /** The client takes `bytes` more. */
  open(bytes: number): void {
    this.#window += bytes;
    const queued = this.queuedBytes;
    this.#release();
    if (queued > 0 && this.queuedBytes === 0) this.handler?.onDrained();
  }

  #release(): void {
    const out = Math.min(this.queuedBytes, this.#window);
    this.queuedBytes -= out;
    this.#window -= out;
  }
}

function plain(headers: OutgoingHeaders | PreparedHeaders): OutgoingHeaders {
  if (!('block' in headers)) return headers;
  const { fields } = new HeaderDecoder(headers.block.byteLength * 64).decode(headers.block, 0, headers.block.byteLength);
  return fields.flatMap((field, index) => (index % 2 === 0 ? [[field, fields[index + 1] ?? ''] as const] : []));
}
