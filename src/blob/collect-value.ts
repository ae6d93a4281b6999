// Takes in the bytes of a value, which have no length beforehand.
import { collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { ValueKey } from './value-store.ts';

/**
 * All of a value, in an array of its own.
 * @throws CacheError `invalid_argument` as soon as it is longer than `valueBytesMax`.
 */
export async function collectValue(
  key: ValueKey,
  bytes: AsyncIterable<Uint8Array>,
  valueBytesMax: number,
  options?: CallOptions,
): Promise<Uint8Array> {
  const bounded = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    let seenBytes = 0;
    for await (const chunk of bytes) {
      seenBytes += chunk.byteLength;
      if (seenBytes > valueBytesMax) {
        throw new CacheError('invalid_argument', `the value for ${key.hash} is longer than the ${valueBytesMax} bytes a value may have here`);
      }
      yield chunk;
    }
  };
  const whole = await collect(bounded(), valueBytesMax, options);
  return whole.byteLength === whole.buffer.byteLength ? whole : new Uint8Array(whole); // slice() of a Buffer copies nothing
}
