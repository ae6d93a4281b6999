// The messages of one ByteStream.Write as the bytes of one blob. Checks what belongs to the protocol; that the
// bytes have the digest is checked by the store.
import { CacheError } from '../base/cache-error.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { RequestMessages } from '../grpc/service.ts';
import type { WritePiece } from '../proto/byte-stream-codec.ts';
import { GatheredBytes } from './gathered-bytes.ts';

/** How much of an upload may come in vain after somebody else has completed the same blob. */
const recheckBytes = 4 * 1024 * 1024;

/**
 * What one Write uploads, read to its `finish_write`. How it is cut into messages is not kept: those that come while the
 * last chunk is used are joined, and messages without data cost no more than being looked at (BS-9).
 */
export class UploadedBytes implements AsyncIterable<Uint8Array> {
  readonly #first: WritePiece;
  readonly #rest: RequestMessages<WritePiece>;
  readonly #gathered: GatheredBytes;
  readonly #digest: Digest;
  readonly #isPresent: () => MaybePromise<boolean>;
  #receivedBytes = 0;
  #recheckAtBytes = recheckBytes;
  #finished = false;
  /** Whoever read has stopped. */
  #unwanted = false;
  #followed = false;
  #superseded = false;

  /** `rest` are the messages after `first`, which named the upload; `isPresent` tells whether the blob is there by now. */
  constructor(
    first: WritePiece,
    rest: RequestMessages<WritePiece>,
    blob: { readonly digest: Digest; readonly isPresent: () => MaybePromise<boolean> },
  ) {
    this.#first = first;
    this.#rest = rest;
    this.#gathered = new GatheredBytes((bytes) => rest.keep(bytes));
    this.#digest = blob.digest;
    this.#isPresent = blob.isPresent;
  }

  /** The bytes ended with an error because the blob had come from elsewhere: the upload has what it wanted (BS-13). */
  get superseded(): boolean {
    return this.#superseded;
  }

  /** Whether a message came after the one with `finish_write` (BS-10). Known at the latest when it is read. */
  get followed(): boolean {
    return this.#followed;
  }

  /**
   * @throws CacheError `invalid_argument` for the first message that breaks the rules, as soon as it comes;
   *   `already_exists` when `superseded`.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const { data } = this.#first;
      this.#note(this.#first);
      if (data.byteLength > 0) yield data;
      this.#receiveRest();
      for (let chunk = await this.#gathered.next(); chunk !== undefined; chunk = await this.#gathered.next()) {
        yield chunk;
        if (this.#receivedBytes >= this.#recheckAtBytes) await this.#recheck();
      }
    } finally {
      this.#unwanted = true;
      this.#gathered.drop();
    }
    if (this.#receivedBytes < this.#digest.sizeBytes) {
      throw new CacheError('invalid_argument', `finish_write came after ${this.#receivedBytes} of the ${this.#digest.sizeBytes} bytes of ${this.#digest.toString()}; nothing was kept`);
    }
  }

  /**
   * To the end of the request, not only to that of the blob. That is not waited for, as a client may expect the answer
   * before it ends its side; but what comes while the blob is being made durable is noticed.
   */
  #receiveRest(): void {
    const ended = () => {
      this.#gathered.fail(new CacheError('invalid_argument', `the upload of ${this.#digest.toString()} ended after ${this.#receivedBytes} bytes without finish_write; nothing was kept`));
    };
    const failed = (error: unknown) => this.#gathered.fail(error instanceof Error ? error : CacheError.from(error));
    this.#rest.lend((piece) => this.#receive(piece)).then(ended, failed);
  }

  #receive(piece: WritePiece): MaybePromise<void> {
    if (this.#finished) this.#followed = true;
    if (this.#finished || this.#unwanted) return new Promise(() => undefined); // until the call is answered
    this.#note(piece);
    return this.#gathered.add(piece.data, !piece.continues);
  }

  #note(piece: WritePiece): void {
    this.#check(piece);
    this.#receivedBytes += piece.data.byteLength;
    if (!piece.finishWrite) return;
    this.#finished = true;
    this.#gathered.end();
  }

  async #recheck(): Promise<void> {
    this.#recheckAtBytes = this.#receivedBytes + recheckBytes;
    if (!(await this.#isPresent())) return;
    this.#superseded = true;
    throw new CacheError('already_exists', `blob ${this.#digest.toString()} came from elsewhere during its upload`);
  }

  #check({ resourceName, writeOffset, data }: WritePiece): void {
    if (resourceName !== '' && resourceName !== this.#first.resourceName) {
      throw new CacheError('invalid_argument', `resource_name changed midway to ${JSON.stringify(resourceName.slice(0, 300))}; leave it empty after the first message`);
    }
    if (writeOffset !== this.#receivedBytes) {
      throw new CacheError('invalid_argument', `write_offset is ${writeOffset}, and ${this.#receivedBytes} bytes came before`);
    }
    const bytes = this.#receivedBytes + data.byteLength;
    if (bytes > this.#digest.sizeBytes) {
      throw new CacheError('invalid_argument', `${bytes} bytes were sent for ${this.#digest.toString()}, which has ${this.#digest.sizeBytes}; nothing was kept`);
    }
  }
}
