// Compressed messages that come in. Kiln sends uncompressed: blobs are compressed by REAPI's own means if at all.
import { gunzipSync } from 'node:zlib';
import { messageTooLarge } from './message-reader.ts';
import type { CompressedMessage, MessageSide } from './message-reader.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';

/** What `grpc-encoding` may say (REAPI HT-9). */
export type MessageEncoding = 'identity' | 'gzip';

export const acceptedEncodings = 'identity,gzip';

/**
 * The message in plain. On the loop: no known build tool compresses at this level unless told to, and the message
 * limit bounds the work (8 MiB unfold in some 20 ms).
 * @throws StatusError RESOURCE_EXHAUSTED as soon as more than the limit comes out; INTERNAL when it is not gzip,
 *   or when the call declared no encoding.
 */
export function inflate(message: CompressedMessage, encoding: MessageEncoding, messageBytesMax: number, side: MessageSide = 'request'): Uint8Array {
  if (encoding === 'identity') {
    throw new StatusError(grpcStatusOf.internal, `the ${side} has a compressed message but its grpc-encoding is identity`);
  }
  try {
    const plain = gunzipSync(message.bytes, { maxOutputLength: messageBytesMax });
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw messageTooLarge(`more than ${messageBytesMax} inflated`, messageBytesMax, side);
    }
    throw new StatusError(grpcStatusOf.internal, `the ${side} has a message that is flagged gzip and cannot be inflated`);
  }
}
