// A stored file as a stream: large reads, one ahead of the consumer, hashed in passing where that is still due.
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';

/** Large enough for the disk to stream (K1-20), small enough that a slow reader holds little. */
const pieceBytes = 256 * 1024;

/** An open stored file. Disposing it closes it, once. */
export interface OpenFile extends AsyncDisposable {
  /** As FileHandle.read. @throws CacheError `unavailable`. */
  read(into: Uint8Array, offset: number): Promise<number>;
}

/** Bytes of a file, `offset` to `offset + length`. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

/** Decides over the bytes of a whole file when all but the last piece were delivered. */
export interface PassingCheck {
  /** Resolves when the next piece may come, where that has to be waited for. */
  update(piece: Uint8Array): Promise<void> | void;
  /** @throws CacheError `data_loss` when the bytes are wrong; the last piece is then never delivered. */
  finish(): Promise<void>;
}

/**
 * The bytes of a span. Ends the file's use when read to the end, failed, left or disposed.
 * Iteration throws `data_loss` when the file is shorter than the span says, `cancelled` by the signal.
 */
export class FileByteSource implements ByteSource {
  readonly sizeBytes: number;
  readonly #file: OpenFile;
  readonly #span: Span;
  readonly #check: PassingCheck | undefined;
  readonly #signal: AbortSignal | undefined;
  /** The read under way; the file is closed after it. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(file: OpenFile, span: Span, check?: PassingCheck, options?: CallOptions) {
    this.sizeBytes = span.length;
    this.#file = file;
    this.#span = span;
    this.#check = check;
    this.#signal = options?.signal;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#pieces();
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reading.catch(() => undefined);
    await this.#file[Symbol.asyncDispose]();
  }

  async *#pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    const end = this.#span.offset + this.#span.length;
    let offset = this.#span.offset;
    let next = this.#read(offset, end);
    while (offset < end) {
      const piece = await next;
      if (this.#signal?.aborted) throw new CacheError('cancelled', 'the call was cancelled while a blob was read');
      offset += piece.byteLength;
      if (offset < end) next = this.#read(offset, end);
      const checked = this.#check?.update(piece);
      if (checked !== undefined) await checked;
      if (offset === end) await this.#check?.finish();
      yield piece;
    }
  }

  /** The next piece, in a buffer of its own: what was delivered is never written again. */
  #read(offset: number, end: number): Promise<Uint8Array> {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, end - offset));
    const read = this.#file.read(piece, offset).then((got) => {
      if (got === piece.byteLength) return piece;
      throw new CacheError('corrupt', `a stored file ends after ${offset + got} bytes, at least ${end} were expected`);
    });
    read.catch(() => undefined); // reported to whoever awaits it; nobody does when the stream is left early
    this.#reading = read;
    return read;
  }
}
