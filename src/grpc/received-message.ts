// From the bytes of a request message to the message.
import { CacheError } from '../base/cache-error.ts';
import type { Method } from './method.ts';

/**
 * @throws CacheError `invalid_argument` when the bytes are not such a message. Other servers say INTERNAL; for Kiln
 *   that is a bug of its own, and these are the client's.
 */
export function decodeMessage(method: Method, bytes: Uint8Array): unknown {
  try {
    return method.request.decode(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CacheError('invalid_argument', `the request message of ${method.path} cannot be decoded: ${reason}`, { cause: error });
  }
}
