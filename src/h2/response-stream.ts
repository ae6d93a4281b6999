// A stream at the end that opened it: what the answer may consist of, and in which order (RFC 9113 §8.1).
import { errorCode } from './error-code.ts';
import { trailersProblem } from './header-block.ts';
import type { DecodedBlock } from './header-block.ts';
import { StreamCore } from './stream-core.ts';
import type { StreamOwner, StreamStart } from './stream-core.ts';
import type { ClientStream, ResponseHandler } from './stream.ts';

/**
 *          1xx
 *         ┌───┐
 *         │   ▼      final headers          END_STREAM, with DATA or trailers
 *         └─ head ───────────────▶ body ─────────────────────────────────────▶ (ended)
 */
type AnswerPart = 'head' | 'body';

/** A request that we sent, and its answer. */
export class ResponseStream extends StreamCore implements ClientStream {
  readonly #handler: ResponseHandler;
  readonly #method: string;
  #awaits: AnswerPart = 'head';

  constructor(id: number, owner: StreamOwner, start: StreamStart, request: { readonly handler: ResponseHandler; readonly method: string }) {
    super(id, owner, start);
    this.#handler = request.handler;
    this.#method = request.method;
    this.attach(request.handler);
  }

  /** The final headers have not come yet. */
  get awaitsHead(): boolean {
    return this.#awaits === 'head';
  }

  /** A whole header block. Returns false when the stream broke a rule and was reset. */
  onBlock(block: DecodedBlock, endStream: boolean): boolean {
    if (block.tooLong) return this.refuse(errorCode.enhanceYourCalm, 'more headers in the answer than we said we take');
    return this.#awaits === 'head' ? this.#onHead(block, endStream) : this.#onTrailers(block, endStream);
  }

  override beginData(frameBytes: number, contentBytes: number): boolean {
    if (!super.beginData(frameBytes, contentBytes)) return false;
    return this.#awaits === 'body' || this.refuse(errorCode.protocolError, 'DATA before the headers of the answer');
  }

  #onHead(block: DecodedBlock, endStream: boolean): boolean {
    const { problem, status, contentLength } = block.responseCheck;
    if (problem !== undefined) return this.refuse(errorCode.protocolError, `a malformed answer: ${problem}`);
    if (status < 200) {
      if (endStream) return this.refuse(errorCode.protocolError, 'an interim answer that ends the stream');
      this.#handler.onInformation?.(block);
      return true;
    }
    this.#awaits = 'body';
    this.expectLength(this.#bodyLength(status, contentLength));
    this.#handler.onHeaders(block);
    return !endStream || this.closed || this.endRemote(undefined);
  }

  #onTrailers(block: DecodedBlock, endStream: boolean): boolean {
    if (!endStream) return this.refuse(errorCode.protocolError, 'trailers that do not end the stream');
    const problem = trailersProblem(block.fields);
    if (problem !== undefined) return this.refuse(errorCode.protocolError, `malformed trailers: ${problem}`);
    return this.endRemote(block);
  }

  /** Answers that never have a body may still say how long it would be (RFC 9110 §8.6, RFC 9113 §8.1.1). */
  #bodyLength(status: number, contentLength: number | undefined): number | undefined {
    if (this.#method === 'HEAD' || status === 204 || status === 304) return 0;
    return this.#method === 'CONNECT' && status < 300 ? undefined : contentLength;
  }
}
