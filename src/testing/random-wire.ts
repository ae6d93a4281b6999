// Encodings of a message type as any encoder may write them, and worse: what tests of hand-written codecs compare
// them with the generated ones on.
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import type { SeededRandom } from './seeded-random.ts';

/** What a field of a type may be given beside random values, by the name of the field. */
export type Samples = Readonly<Record<string, readonly (string | bigint | Uint8Array)[]>>;

const texts = ['', 'a', 'main', 'ä/b', '☺', '𝄞', 'x'.repeat(130), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'];
const numbers = [0n, 1n, 127n, 128n, 16_383n, 1n << 28n, (1n << 31n) - 1n, 1n << 31n, 1n << 35n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, -1n, -(2n ** 53n), -(2n ** 63n)];
const depthMax = 6;

/** Fields that no message of these protocols has, with each wire type. */
const unknownFields: readonly Uint8Array[] = [
  Uint8Array.of(0xa0, 0x06, 0x96, 0x01), // field 100, varint
  Uint8Array.of(0xaa, 0x06, 2, 1, 2), // field 101, bytes
  Uint8Array.of(0xb1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8), // field 102, fixed64
  Uint8Array.of(0xbd, 0x06, 1, 2, 3, 4), // field 103, fixed32
  Uint8Array.of(0xc3, 0x06, 0x08, 1, 0xc4, 0x06), // field 104, group
  Uint8Array.of(0xc3, 0x06, 0xc3, 0x06, 0x0a, 1, 65, 0xc4, 0x06, 0xc4, 0x06), // the same in itself
  Uint8Array.of(0x82, 0x7d, 1, 7), // field 2000, bytes
];

/**
 * An encoding of `descriptor`: fields in any order, again and again, numbers longer than need be, repeated numbers
 * packed or not, unknown fields between them.
 */
export function randomWire(random: SeededRandom, descriptor: DescMessage, samples: Samples = {}, depth = 0): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let count = random.integer(0, depth === 0 ? 8 : 4); count > 0; count -= 1) {
    parts.push(random.integer(0, 7) === 0 || descriptor.fields.length === 0 ? random.pick(unknownFields) : randomField(random, random.pick(descriptor.fields), samples, depth));
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** The bytes with some of them changed, and mostly cut off somewhere. */
export function damaged(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  if (copy.byteLength === 0) return copy;
  for (let changes = random.integer(0, 3); changes > 0; changes -= 1) copy[random.integer(0, copy.byteLength - 1)] = random.integer(0, 255);
  return random.integer(0, 2) === 0 ? copy.subarray(0, random.integer(0, copy.byteLength)) : copy;
}

function randomField(random: SeededRandom, field: DescField, samples: Samples, depth: number): Uint8Array {
  const inner = field.message;
  if (inner !== undefined) return delimited(random, field.number, depth >= depthMax ? new Uint8Array(0) : randomWire(random, inner, samples, depth + 1));
  if (field.scalar === ScalarType.STRING) return delimited(random, field.number, Buffer.from(String(random.pick(samples[field.name] ?? texts))));
  if (field.scalar === ScalarType.BYTES) return delimited(random, field.number, random.bytes(random.pick([0, 1, 5, 127, 128, 300])));
  const numeric = (): Uint8Array => varint(random, BigInt(String(random.pick(samples[field.name] ?? numbers))));
  if (field.fieldKind === 'list' && random.integer(0, 1) === 0) return delimited(random, field.number, Buffer.concat(Array.from({ length: random.integer(0, 4) }, numeric)));
  return Buffer.concat([varint(random, BigInt(field.number * 8)), numeric()]);
}

function delimited(random: SeededRandom, number: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([varint(random, BigInt(number * 8 + 2)), varint(random, BigInt(bytes.byteLength)), bytes]);
}

/** Now and then with bytes at its end that add nothing, up to five in all: lengths and tags have no more. */
function varint(random: SeededRandom, value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  if (random.integer(0, 9) === 0) {
    for (let more = random.integer(1, 4); more > 0 && bytes.length < 5; more -= 1) {
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
      bytes.push(0);
    }
  }
  return Uint8Array.from(bytes);
}
