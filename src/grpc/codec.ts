// Which codec a message type has: protobuf-es unless a profile earned it one of its own.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { AssertionError } from '../base/assert.ts';
import { FieldLimit } from '../proto/field-limit.ts';
import type { MessageCodec } from '../proto/message-codec.ts';
import { messageFieldsMax } from './limits.ts';
import { newMessageBuffer } from './message-buffer.ts';

/** Message types are forgotten here: a service's handlers are tied to them by `implementService`. */
export type AnyCodec = MessageCodec<unknown, unknown>;

/** Codecs by full message name, for `codecOf`. */
export type CodecTable = ReadonlyMap<string, MessageCodec<unknown, never>>;

/** Up to here one copy is cheaper than a slice of its own on the way to the socket. */
const copiedBytesMax = 4096;

export function codecOf(message: DescMessage, codecs: CodecTable): AnyCodec {
  return codecs.get(message.typeName) ?? generatedCodec(message);
}

/** The codec that works for every generated message. */
export function generatedCodec(descriptor: DescMessage): AnyCodec {
  const fieldLimit = new FieldLimit(descriptor, messageFieldsMax);
  return {
    keepsViews: true,
    decode(bytes) {
      fieldLimit.check(bytes);
      return fromBinary(descriptor, bytes);
    },
    encode(message, headroomBytes) {
      if (typeof message !== 'object' || message === null) {
        throw new AssertionError(`a handler returned ${String(message)} instead of a ${descriptor.typeName}`);
      }
      const bytes = toBinary(descriptor, create(descriptor, message as MessageInitShape<DescMessage>));
      if (bytes.byteLength > copiedBytesMax) return [new Uint8Array(headroomBytes), bytes];
      const whole = newMessageBuffer(headroomBytes + bytes.byteLength);
      whole.set(bytes, headroomBytes);
      return [whole];
    },
  };
}
