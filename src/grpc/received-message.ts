// From the bytes of a request message to the message.
import { CacheError } from '../base/cache-error.ts';
import { inflate } from './inflate.ts';
import type { MessageEncoding } from './inflate.ts';
import { CompressedMessage } from './message-reader.ts';
import type { ReceivedMessage } from './message-reader.ts';
import type { Method } from './method.ts';

/**
 * @throws StatusError when it cannot be inflated; CacheError `invalid_argument` when the bytes are not such a
 *   message. Other servers say INTERNAL for the latter; for Kiln that is a bug of its own, and these are the client's.
 */
export function decodeMessage(
  method: Method,
  message: ReceivedMessage,
  encoding: MessageEncoding,
  messageBytesMax: number,
): unknown {
  const bytes = message instanceof CompressedMessage ? inflate(message, encoding, messageBytesMax) : message;
  try {
    return method.request.decode(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CacheError('invalid_argument', `the request message of ${method.path} cannot be decoded: ${reason}`, { cause: error });
  }
}
