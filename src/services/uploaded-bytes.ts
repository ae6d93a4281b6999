// The messages of one ByteStream.Write as the bytes of one blob. Checks what belongs to the protocol; that the
// bytes have the digest is checked by the store.
import { CacheError } from '../base/cache-error.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { WritePiece } from '../proto/byte-stream-codec.ts';

/** How much of an upload may come in vain after somebody else has completed the same blob. */
const recheckBytes = 4 * 1024 * 1024;

/**
 * What one Write uploads, read to its `finish_write`. Nothing is held back or joined: each message's data is passed
 * on as it came, and messages without data cost no more than being looked at (BS-9).
 */
export class UploadedBytes implements AsyncIterable<Uint8Array> {
  readonly #first: WritePiece;
  readonly #rest: AsyncIterator<WritePiece, unknown>;
  readonly #digest: Digest;
  readonly #isPresent: () => MaybePromise<boolean>;
  #receivedBytes = 0;
  #recheckAtBytes = recheckBytes;
  #followed = false;
  #superseded = false;

  /** `rest` are the messages after `first`, which named the upload; `isPresent` tells whether the blob is there by now. */
  constructor(
    first: WritePiece,
    rest: AsyncIterator<WritePiece, unknown>,
    blob: { readonly digest: Digest; readonly isPresent: () => MaybePromise<boolean> },
  ) {
    this.#first = first;
    this.#rest = rest;
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
    for (let message = this.#first; ; message = await this.#next()) {
      this.#check(message);
      this.#receivedBytes += message.data.byteLength;
      if (message.data.byteLength > 0) yield message.data;
      if (message.finishWrite) break;
      if (this.#receivedBytes >= this.#recheckAtBytes) await this.#recheck();
    }
    if (this.#receivedBytes < this.#digest.sizeBytes) {
      throw new CacheError('invalid_argument', `finish_write came after ${this.#receivedBytes} of the ${this.#digest.sizeBytes} bytes of ${this.#digest.toString()}; nothing was kept`);
    }
    this.#watchForMore();
  }

  async #recheck(): Promise<void> {
    this.#recheckAtBytes = this.#receivedBytes + recheckBytes;
    if (!(await this.#isPresent())) return;
    this.#superseded = true;
    throw new CacheError('already_exists', `blob ${this.#digest.toString()} came from elsewhere during its upload`);
  }

  async #next(): Promise<WritePiece> {
    const next = await this.#rest.next();
    if (next.done !== true) return next.value;
    throw new CacheError(
      'invalid_argument',
      `the upload of ${this.#digest.toString()} ended after ${this.#receivedBytes} bytes without finish_write; nothing was kept`,
    );
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

  /**
   * Not waited for: a client may expect the answer before it ends its side. What comes while the blob is being
   * made durable is noticed, and whatever becomes of the stream then is of no interest.
   */
  #watchForMore(): void {
    const noticed = this.#rest.next().then((next) => {
      this.#followed = next.done !== true;
    });
    noticed.catch(() => undefined);
  }
}
