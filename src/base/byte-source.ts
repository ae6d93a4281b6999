// Bytes that are pulled, with a length known beforehand.
import type { CallOptions } from './call-options.ts';
import { CacheError } from './cache-error.ts';

/**
 * A stream of bytes of known length. Consumed once; read to the end or disposed, never both abandoned.
 * A chunk that was delivered is never written again by its producer. Dispose is idempotent.
 */
export interface ByteSource extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /** The bytes that iteration will yield in all. */
  readonly sizeBytes: number;
  /**
   * The whole content when it is in memory already, else undefined. Taking it counts as reading to the end,
   * and lets an answer be written in the turn of the loop in which it was asked for.
   */
  readonly inMemory?: Uint8Array | undefined;
}

/** A source over bytes that are in memory. The caller must not write to `bytes` afterwards. */
export function byteSourceOf(bytes: Uint8Array): ByteSource {
  return {
    sizeBytes: bytes.byteLength,
    inMemory: bytes,
    async *[Symbol.asyncIterator]() {
      if (bytes.byteLength > 0) yield bytes;
    },
    async [Symbol.asyncDispose]() {},
  };
}

/**
 * Everything `bytes` yields, in one array.
 * @throws CacheError `resource_exhausted` as soon as more than `bytesMax` have come; `cancelled` by the signal.
 */
export async function collect(
  bytes: AsyncIterable<Uint8Array>,
  bytesMax: number,
  options?: CallOptions,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    if (options?.signal?.aborted) throw new CacheError('cancelled', 'the call was cancelled while its bytes were read');
    length += chunk.byteLength;
    if (length > bytesMax) {
      throw new CacheError('resource_exhausted', `more than the ${bytesMax} bytes allowed here were sent`);
    }
    chunks.push(chunk);
  }
  const only = chunks.length === 1 ? chunks[0] : undefined;
  return only ?? concatenate(chunks, length);
}

/** One array with the chunks in order. `length` is their sum. */
export function concatenate(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
