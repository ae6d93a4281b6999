// The other way of message-reader.ts: a message and its five bytes of prefix, as slices for the transport.
import { assert } from '../base/assert.ts';
import type { ContentWriter } from '../h2/stream.ts';
import type { AnyCodec } from './codec.ts';
import { prefixBytes } from './message-reader.ts';

/** The encoded message with its prefix, uncompressed. Large bytes fields are passed on without a copy. */
export function frameMessage(codec: AnyCodec, message: unknown): readonly Uint8Array[] {
  const slices = codec.encode(message, prefixBytes);
  let length = -prefixBytes;
  for (const slice of slices) length += slice.byteLength;
  assert(length >= 0 && length <= 0xffff_ffff, 'a message and its length fit into their prefix');
  writePrefix(slices[0], 0, length);
  return slices;
}

/** Writes messages with their prefix where they leave from; undefined if the codec cannot. */
export function messageWriter({ placed }: AnyCodec): ContentWriter | undefined {
  if (placed === undefined) return undefined;
  return {
    bytesMax: (message) => prefixBytes + placed.bytesMax(message),
    write(message, into, at) {
      const end = placed.write(message, into, at + prefixBytes);
      if (end >= 0) writePrefix(into, at, end - at - prefixBytes);
      return end;
    },
  };
}

/** Uncompressed, and its length. */
function writePrefix(into: Uint8Array, at: number, messageBytes: number): void {
  into[at] = 0;
  into[at + 1] = messageBytes >>> 24;
  into[at + 2] = messageBytes >>> 16;
  into[at + 3] = messageBytes >>> 8;
  into[at + 4] = messageBytes;
}
