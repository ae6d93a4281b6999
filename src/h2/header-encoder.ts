// HPACK encoding (RFC 7541) without a dynamic table: every block stands for itself, so that a block can be encoded
// once and sent on any connection, as often as wanted. Answers of a cache server consist of a few short headers;
// what the table would save in bytes it would cost in work.
import { assert } from '../base/assert.ts';
import { headerTableBytesDefault } from './frames.ts';
import { fieldOverheadBytes, findStatic } from './header-table.ts';
import { encodeHuffman, huffmanBytes } from './huffman.ts';
import type { OutgoingHeaders, PreparedHeaders, PreparedRequest, RequestHeaders } from './stream.ts';

/** Never put into the tables of anybody on the way, since a guess could be tested against them (RFC 7541 §7.1.3). */
const secretHeaders: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization', 'set-cookie']);
/** What services that want a header of their own for credentials call it: x-api-key, private-token. */
const secretSuffix = /-(?:api-?key|token|secret|password)$/;

const nothing = new Uint8Array(0);

/** Encodes headers for any number of answers on any connection. Names lower-case, pseudo-headers first. */
export function prepareHeaders(headers: OutgoingHeaders): PreparedHeaders {
  return { block: encodeHeaders(headers) };
}

/** Encodes the headers that many requests begin with, pseudo-headers and all. */
export function prepareRequest(fields: OutgoingHeaders): PreparedRequest {
  return { fields, block: encodeHeaders(fields) };
}

/**
 * The block of one request. Encoding all of a gRPC request costs a client ten times as much as its deadline and its
 * metadata alone, and more than anything else that it does for a call.
 */
export function prepareRequestHeaders({ shared, own }: RequestHeaders): PreparedHeaders {
  return own.length === 0 ? shared : { block: encodeHeaders(own, shared.block) };
}

/** What the peer's SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 §6.5.2). */
export function headerListBytes(headers: OutgoingHeaders): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + value.length + fieldOverheadBytes;
  return bytes;
}

/** One header block, with what is encoded already before it. A header that the peer would have to refuse is a bug of the caller. */
export function encodeHeaders(headers: OutgoingHeaders, before: Uint8Array = nothing): Uint8Array {
  let bytesMax = before.length;
  // Three octets of index and up to four of length for each string; Huffman code is used where it is shorter.
  for (const [name, value] of headers) bytesMax += name.length + value.length + 11;
  const block = Buffer.allocUnsafe(bytesMax);
  block.set(before);
  let at = before.length;
  for (const [name, value] of headers) at = encodeField(block, at, name, value);
  return block.subarray(0, at);
}

/**
 * Tells when a block has to be opened with a table size update. Our table has no entries, but the peer does not know
 * that until it is told: when it lowers its limit it must be answered once, in the next block (RFC 7541 §4.2).
 */
export class HeaderTableNotice {
  /** What the peer believes our table to be; 0 once it was told. */
  #announcedBytes = headerTableBytesDefault;
  #due = false;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  onLimit(bytes: number): void {
    if (bytes < this.#announcedBytes) this.#due = true;
  }

  /** The next block has to tell it. */
  get isDue(): boolean {
    return this.#due;
  }

  /** `block`, or a copy that opens with the update to 0 when that is due. */
  open(block: Uint8Array): Uint8Array {
    if (!this.#due) return block;
    this.#due = false;
    this.#announcedBytes = 0;
    const opened = new Uint8Array(block.length + 1);
    opened[0] = 0x20;
    opened.set(block, 1);
    return opened;
  }
}

function encodeField(into: Uint8Array, offset: number, name: string, value: string): number {
  assert(/^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name), `${JSON.stringify(name)} is no header name`);
  assert(/^(?![ \t])[\t\x20-\x7e\x80-\xff]*(?<![ \t])$/.test(value), `the value of the header ${name} has a forbidden character`);
  const known = findStatic(name, value);
  if (known.field !== 0) return encodeInteger(into, offset, known.field, { prefixBits: 7, pattern: 0x80 });
  const pattern = secretHeaders.has(name) || secretSuffix.test(name) ? 0x10 : 0x00;
  let at = encodeInteger(into, offset, known.name, { prefixBits: 4, pattern });
  if (known.name === 0) at = encodeString(into, at, name);
  return encodeString(into, at, value);
}

/** Longer ones are texts of errors, which are not worth the time: a client may ask for thousands a second. */
const huffmanCharsMax = 64;

function encodeString(into: Uint8Array, offset: number, text: string): number {
  const huffmanLength = text.length > huffmanCharsMax ? Infinity : huffmanBytes(text);
  if (huffmanLength < text.length) {
    return encodeHuffman(text, into, encodeInteger(into, offset, huffmanLength, { prefixBits: 7, pattern: 0x80 }));
  }
  let at = encodeInteger(into, offset, text.length, { prefixBits: 7, pattern: 0 });
  for (let index = 0; index < text.length; index++) into[at++] = text.charCodeAt(index);
  return at;
}

/** RFC 7541 §5.1. */
function encodeInteger(into: Uint8Array, offset: number, value: number, prefix: { prefixBits: number; pattern: number }): number {
  const prefixMax = (1 << prefix.prefixBits) - 1;
  let at = offset;
  if (value < prefixMax) {
    into[at++] = prefix.pattern | value;
    return at;
  }
  into[at++] = prefix.pattern | prefixMax;
  let rest = value - prefixMax;
  while (rest >= 0x80) {
    into[at++] = 0x80 | (rest & 0x7f);
    rest >>>= 7;
  }
  into[at++] = rest;
  return at;
}
