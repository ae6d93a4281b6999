// The other way of message-reader.ts: a message and its five bytes of prefix, as slices for the transport.
import { assert } from '../base/assert.ts';
import type { AnyCodec } from './codec.ts';
import { prefixBytes } from './message-reader.ts';

/** The encoded message with its prefix, uncompressed. Large bytes fields are passed on without a copy. */
export function frameMessage(codec: AnyCodec, message: unknown): readonly Uint8Array[] {
  const slices = codec.encode(message, prefixBytes);
  let length = -prefixBytes;
  for (const slice of slices) length += slice.byteLength;
  assert(length >= 0 && length <= 0xffff_ffff, 'a message and its length fit into their prefix');
  const [first] = slices;
  first[0] = 0;
  first[1] = length >>> 24;
  first[2] = length >>> 16;
  first[3] = length >>> 8;
  first[4] = length;
  return slices;
}
