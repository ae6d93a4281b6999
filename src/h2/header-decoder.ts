// HPACK decoding (RFC 7541). Bad input ends the connection, since both sides no longer have the same table; a list
// that is merely too long is decoded to its end to keep the table right, and only its beginning is given out.
import { ConnectionError, errorCode } from './error-code.ts';
import { headerTableBytesDefault } from './frames.ts';
import { DecodedBlock } from './header-block.ts';
import { DynamicTable, fieldOverheadBytes, staticName, staticTableLength, staticValue } from './header-table.ts';
import { decodeHuffman, huffmanDecodedBytesMax } from './huffman.ts';

const nothing = new Uint8Array(0);

/** Longer strings are decoded in memory of their own: thousands of connections must not each keep room for the longest. */
const scratchBytesMax = 4_096;

/** Decodes the header blocks of one connection, in the order they came. */
export class HeaderDecoder {
  readonly #headerListBytesMax: number;
  readonly #table = new DynamicTable(headerTableBytesDefault);
  /** The most the peer may choose as table size, and whether it must choose anew with its next block. */
  #capacityBytesMax = headerTableBytesDefault;
  #mustResize = false;
  /** Decoded strings pass through here; grows with the longest one seen, up to `scratchBytesMax`. */
  #scratch: Buffer = Buffer.allocUnsafe(256);
  /** The block at hand. */
  #bytes: Uint8Array = nothing;
  #at = 0;
  #end = 0;

  constructor(headerListBytesMax: number) {
    this.#headerListBytesMax = headerListBytesMax;
  }

  /** Changes whenever the table did: the same block means the same fields only while this is the same. */
  get generation(): number {
    return this.#table.generation;
  }

  /** True while the peer owes a table size update, so that no block may be taken for a repeated one. */
  get mustResize(): boolean {
    return this.#mustResize;
  }

  /** To be called when the peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE (RFC 7541 §4.2). */
  setCapacityMax(bytes: number): void {
    this.#capacityBytesMax = bytes;
    if (this.#table.capacityBytes > bytes) this.#mustResize = true;
  }

  /**
   * The block in `bytes` from `from` to `end`; nothing of `bytes` is kept.
   * @throws ConnectionError `compressionError`
   */
  decode(bytes: Uint8Array, from: number, end: number): DecodedBlock {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = end;
    const block = this.#readBlock();
    this.#bytes = nothing;
    return block;
  }

  #readBlock(): DecodedBlock {
    this.#readSizeUpdates();
    const fields: string[] = [];
    let listBytes = 0;
    while (this.#at < this.#end) {
      this.#readField(fields);
      const name = fields[fields.length - 2] ?? '';
      const value = fields[fields.length - 1] ?? '';
      listBytes += name.length + value.length + fieldOverheadBytes;
      if (listBytes <= this.#headerListBytesMax) continue;
      fields.length -= 2;
      while (this.#at < this.#end) this.#skipField();
      return new DecodedBlock(fields, listBytes, true);
    }
    return new DecodedBlock(fields, listBytes, false);
  }

  /**
   * Of a list that is too long already. Only what changes the table is decoded: a byte may stand for thousands, and
   * what nobody gets to see should cost no more than its bytes (1,500 us for 12 KB of such bytes, now 60).
   */
  #skipField(): void {
    const first = this.#octet();
    if (first & 0x80) {
      this.#nameAt(this.#integer(7));
      return;
    }
    if ((first & 0xe0) === 0x20) throw this.#failure('table size update after a field');
    if ((first & 0xc0) === 0x40) {
      const nameIndex = this.#integer(6);
      const name = nameIndex === 0 ? this.#string() : this.#nameAt(nameIndex);
      this.#table.add(name, this.#string());
      return;
    }
    const nameIndex = this.#integer(4);
    if (nameIndex === 0) this.#skipString();
    else this.#nameAt(nameIndex);
    this.#skipString();
  }

  /** Past a string, to the end that its length says. */
  #skipString(): void {
    if (this.#at >= this.#end) throw this.#failure('block ends where a string should begin');
    const length = this.#integer(7);
    if (length > this.#end - this.#at) throw this.#failure('block ends within a string');
    this.#at += length;
  }

  /** Only at the beginning of a block (RFC 7541 §4.2). */
  #readSizeUpdates(): void {
    while (this.#at < this.#end && (this.#octet() & 0xe0) === 0x20) {
      const capacityBytes = this.#integer(5);
      if (capacityBytes > this.#capacityBytesMax) throw this.#failure('table size update above the limit');
      this.#mustResize = false;
      this.#table.resize(capacityBytes);
    }
    if (this.#mustResize) throw this.#failure('the table size update that the new limit needs is missing');
  }

  #readField(fields: string[]): void {
    const first = this.#octet();
    if (first & 0x80) {
      const index = this.#integer(7);
      fields.push(this.#nameAt(index), this.#valueAt(index));
      return;
    }
    if ((first & 0xe0) === 0x20) throw this.#failure('table size update after a field');
    const indexed = (first & 0xc0) === 0x40;
    const nameIndex = this.#integer(indexed ? 6 : 4);
    const name = nameIndex === 0 ? this.#string() : this.#nameAt(nameIndex);
    const value = this.#string();
    if (indexed) this.#table.add(name, value);
    fields.push(name, value);
  }

  #nameAt(index: number): string {
    if (index <= staticTableLength) {
      if (index === 0) throw this.#failure('index 0');
      return staticName(index);
    }
    const place = index - staticTableLength - 1;
    if (place >= this.#table.length) throw this.#failure('index outside the tables');
    return this.#table.name(place);
  }

  #valueAt(index: number): string {
    return index <= staticTableLength ? staticValue(index) : this.#table.value(index - staticTableLength - 1);
  }

  #octet(): number {
    return this.#bytes[this.#at] ?? 0;
  }

  /** RFC 7541 §5.1. Four octets of continuation reach 2^28, more than any limit here; longer ones are refused. */
  #integer(prefixBits: number): number {
    const prefixMax = (1 << prefixBits) - 1;
    let value = this.#octet() & prefixMax;
    this.#at++;
    if (value < prefixMax) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) throw this.#failure('block ends within an integer');
      const octet = this.#octet();
      this.#at++;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    throw this.#failure('integer too large');
  }

  #string(): string {
    if (this.#at >= this.#end) throw this.#failure('block ends where a string should begin');
    const huffman = (this.#octet() & 0x80) !== 0;
    const length = this.#integer(7);
    const from = this.#at;
    if (length > this.#end - from) throw this.#failure('block ends within a string');
    this.#at += length;
    const decodedBytesMax = huffman ? huffmanDecodedBytesMax(length) : length;
    const scratch = this.#room(decodedBytesMax);
    let decoded = length;
    if (huffman) decoded = decodeHuffman(this.#bytes, from, this.#at, scratch);
    else for (let index = 0; index < length; index++) scratch[index] = this.#bytes[from + index] ?? 0;
    return scratch.toString('latin1', 0, decoded);
  }

  #room(bytes: number): Buffer {
    if (bytes > scratchBytesMax) return Buffer.allocUnsafe(bytes);
    if (this.#scratch.length < bytes) this.#scratch = Buffer.allocUnsafe(Math.min(2 * bytes, scratchBytesMax));
    return this.#scratch;
  }

  #failure(message: string): ConnectionError {
    return new ConnectionError(errorCode.compressionError, message);
  }
}
