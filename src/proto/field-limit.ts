// Refuses messages that would cost far more memory decoded than encoded. A field takes two bytes on the wire and
// some three hundred as objects (measured: 8 MiB of empty entries become 2.4 GiB), so a limit on bytes alone bounds
// nothing.
import type { DescMessage } from '@bufbuild/protobuf';
import { WireError, WireReader } from './wire-reader.ts';

/** Counts the fields of encoded messages of one type, those of the messages inside it too, without decoding them. */
export class FieldLimit {
  readonly #fieldsMax: number;
  readonly #fields: NestedFields;

  constructor(descriptor: DescMessage, fieldsMax: number) {
    this.#fieldsMax = fieldsMax;
    this.#fields = nestedFieldsOf(descriptor, new Map());
  }

  /** @throws WireError when `bytes` are no message, or one with more fields than allowed. */
  check(bytes: Uint8Array): void {
    if (bytes.byteLength <= 2 * this.#fieldsMax) return; // a field has two bytes at least
    if (left(new WireReader(bytes), this.#fields, this.#fieldsMax) >= 0) return;
    throw new WireError(`it has more than ${this.#fieldsMax} fields; send less at a time`);
  }
}

/** Which fields of a message are messages, by number. */
type NestedFields = Map<number, NestedFields>;

function nestedFieldsOf(descriptor: DescMessage, known: Map<string, NestedFields>): NestedFields {
  const before = known.get(descriptor.typeName);
  if (before !== undefined) return before;
  const nested: NestedFields = new Map();
  known.set(descriptor.typeName, nested); // first, since a message may hold itself
  for (const { number, message } of descriptor.fields) if (message !== undefined) nested.set(number, nestedFieldsOf(message, known));
  return nested;
}

/** What is left of `fieldsLeft` behind the message; negative as soon as it is used up. */
function left(reader: WireReader, nested: NestedFields, fieldsLeft: number): number {
  let rest = fieldsLeft;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    rest -= 1;
    if (rest < 0) return rest;
    const inner = (tag & 7) === 2 ? nested.get(tag >>> 3) : undefined;
    if (inner === undefined) {
      reader.skip(tag);
      continue;
    }
    const outerEnd = reader.enter();
    rest = left(reader, inner, rest);
    if (rest < 0) return rest;
    reader.leave(outerEnd);
  }
  return rest;
}
