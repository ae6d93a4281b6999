// Compressed messages that come in. Kiln sends uncompressed: blobs are compressed by REAPI's own means if at all.
import { gunzip } from 'node:zlib';
import type { CallOptions } from '../base/call-options.ts';
import { Semaphore } from '../base/semaphore.ts';
import { messageTooLarge } from './message-reader.ts';
import type { CompressedMessage, MessageSide } from './message-reader.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';

/** What `grpc-encoding` may say (REAPI HT-9). */
export type MessageEncoding = 'identity' | 'gzip';

export const acceptedEncodings = 'identity,gzip';

/** What is known of a compressed message before it is looked into. */
export interface Compression {
  readonly encoding: MessageEncoding;
  /** Of the message in plain. */
  readonly messageBytesMax: number;
  readonly side: MessageSide;
}

/** Threads that inflate at a time; files are read and synced by the same few. */
const atOnceMax = 2;
const waitersMax = 10_000;
/** What a thread makes before it asks again: few trips between threads for a large message. */
const chunkBytes = 128 * 1024;

/**
 * Inflates off the loop: a few KiB may unfold to the message limit, which takes milliseconds, and whoever sends many of
 * them would make all others wait (bench/attacks). In the order asked for, so many at a time.
 */
export class MessageInflater {
  readonly #turns = new Semaphore('messages to inflate', { permitsMax: atOnceMax, waitersMax });

  /**
   * The message in plain.
   * @throws StatusError RESOURCE_EXHAUSTED as soon as more than the limit comes out; INTERNAL when it is not gzip, or
   *   when the call declared no encoding. CacheError `busy` when too many wait, `cancelled` by the signal while it waits.
   */
  async inflate(message: CompressedMessage, { encoding, messageBytesMax, side }: Compression, options?: CallOptions): Promise<Uint8Array> {
    if (encoding === 'identity') {
      throw new StatusError(grpcStatusOf.internal, `the ${side} has a compressed message but its grpc-encoding is identity`);
    }
    using _turn = await this.#turns.acquire(options);
    try {
      return await inflated(message.bytes, messageBytesMax);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        throw messageTooLarge(`more than ${messageBytesMax} inflated`, messageBytesMax, side);
      }
      throw new StatusError(grpcStatusOf.internal, `the ${side} has a message that is flagged gzip and cannot be inflated`);
    }
  }
}

function inflated(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  gunzip(bytes, { maxOutputLength: bytesMax, chunkSize: chunkBytes }, (error, plain) => {
    if (error !== null) reject(error);
    else resolve(new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength));
  });
  return promise;
}
