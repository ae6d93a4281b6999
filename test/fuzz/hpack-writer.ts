// An HPACK encoder that uses everything the format has (RFC 7541 §6): both tables, all kinds of literals, Huffman code
// or not, table size updates. It is what peers send; our own encoder uses little of it.
import { findStatic, staticName, staticTableLength, staticValue } from '../../src/h2/header-table.ts';
import { encodeHuffman, huffmanBytes } from '../../src/h2/huffman.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

export type Field = readonly [name: string, value: string];

/** What an entry costs besides its name and value (RFC 7541 §4.1). */
const entryOverheadBytes = 32;

/** The encoder's half of one connection. */
export class HpackWriter {
  readonly #random: SeededRandom;
  /** Newest first. */
  readonly #table: Field[] = [];
  #capacityBytes = 4_096;
  #capacityBytesMax = 4_096;
  /** The least the table was limited to since the last block, when an update is due. */
  #updateDue: number | undefined = undefined;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The peer allows a table of so many bytes from the next block on. */
  limit(bytes: number): void {
    this.#capacityBytesMax = bytes;
    if (bytes < this.#capacityBytes) this.#updateDue = Math.min(bytes, this.#updateDue ?? bytes);
  }

  /** One block, each field in a representation by chance. */
  block(fields: readonly Field[]): Buffer {
    const random = this.#random;
    const parts: Buffer[] = [];
    if (this.#updateDue !== undefined) parts.push(this.#resize(this.#updateDue));
    this.#updateDue = undefined;
    if (random.integer(0, 15) === 0) parts.push(this.#resize(random.integer(0, this.#capacityBytesMax)));
    for (const field of fields) parts.push(this.#field(field));
    return Buffer.concat(parts);
  }

  #resize(bytes: number): Buffer {
    this.#capacityBytes = bytes;
    this.#evict(bytes);
    return integer(bytes, 5, 0x20);
  }

  #field(field: Field): Buffer {
    const [name, value] = field;
    const indices = this.#indicesOf(field);
    if (indices.length > 0 && this.#random.integer(0, 4) > 0) return integer(this.#random.pick(indices), 7, 0x80);
    const names = this.#random.integer(0, 3) > 0 ? this.#indicesOfName(name) : [];
    const nameIndex = names.length === 0 ? 0 : this.#random.pick(names);
    const [prefixBits, pattern] = this.#random.pick([[6, 0x40], [4, 0x00], [4, 0x10]] as const);
    const encoded = Buffer.concat([integer(nameIndex, prefixBits, pattern), nameIndex === 0 ? this.#string(name) : Buffer.alloc(0), this.#string(value)]);
    if (pattern === 0x40) this.#add(field);
    return encoded;
  }

  #indicesOf([name, value]: Field): number[] {
    const indices = this.#table.flatMap((entry, index) => (entry[0] === name && entry[1] === value ? [staticTableLength + 1 + index] : []));
    const known = findStatic(name, value).field;
    return known === 0 ? indices : [...indices, known];
  }

  #indicesOfName(name: string): number[] {
    const indices = this.#table.flatMap((entry, index) => (entry[0] === name ? [staticTableLength + 1 + index] : []));
    for (let index = 1; index <= staticTableLength; index++) if (staticName(index) === name) indices.push(index);
    return indices;
  }

  #string(text: string): Buffer {
    if (this.#random.integer(0, 1) === 0) return Buffer.concat([integer(text.length, 7, 0), Buffer.from(text, 'latin1')]);
    const encoded = Buffer.alloc(huffmanBytes(text));
    encodeHuffman(text, encoded, 0);
    return Buffer.concat([integer(encoded.length, 7, 0x80), encoded]);
  }

  #add(field: Field): void {
    const bytes = sizeOf(field);
    this.#evict(Math.max(0, this.#capacityBytes - bytes));
    if (bytes <= this.#capacityBytes) this.#table.unshift(field);
    else this.#table.length = 0;
  }

  #evict(bytes: number): void {
    let sum = 0;
    const kept = this.#table.findIndex((entry) => (sum += sizeOf(entry)) > bytes);
    if (kept !== -1) this.#table.length = kept;
  }
}

function sizeOf([name, value]: Field): number {
  return name.length + value.length + entryOverheadBytes;
}

/** RFC 7541 §5.1; `pattern` fills the bits before the prefix. */
export function integer(value: number, prefixBits: number, pattern: number): Buffer {
  const prefixMax = 2 ** prefixBits - 1;
  if (value < prefixMax) return Buffer.from([pattern | value]);
  const octets = [pattern | prefixMax];
  let rest = value - prefixMax;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) octets.push(0x80 | (rest % 0x80));
  octets.push(rest);
  return Buffer.from(octets);
}

/** A field of the static table, by index. */
export function staticField(index: number): Field {
  return [staticName(index), staticValue(index)];
}
