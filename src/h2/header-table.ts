// The tables of HPACK: the static one (RFC 7541 appendix A) and the dynamic one that the decoder keeps (§2.3.2, §4).

/** Names and values alternating, from index 1 on. */
const staticFields: readonly string[] = [
  ':authority', '', ':method', 'GET', ':method', 'POST', ':path', '/', ':path', '/index.html', ':scheme', 'http',
  ':scheme', 'https', ':status', '200', ':status', '204', ':status', '206', ':status', '304', ':status', '400',
  ':status', '404', ':status', '500', 'accept-charset', '', 'accept-encoding', 'gzip, deflate', 'accept-language', '',
  'accept-ranges', '', 'accept', '', 'access-control-allow-origin', '', 'age', '', 'allow', '', 'authorization', '',
  'cache-control', '', 'content-disposition', '', 'content-encoding', '', 'content-language', '', 'content-length', '',
  'content-location', '', 'content-range', '', 'content-type', '', 'cookie', '', 'date', '', 'etag', '', 'expect', '',
  'expires', '', 'from', '', 'host', '', 'if-match', '', 'if-modified-since', '', 'if-none-match', '', 'if-range', '',
  'if-unmodified-since', '', 'last-modified', '', 'link', '', 'location', '', 'max-forwards', '',
  'proxy-authenticate', '', 'proxy-authorization', '', 'range', '', 'referer', '', 'refresh', '', 'retry-after', '',
  'server', '', 'set-cookie', '', 'strict-transport-security', '', 'transfer-encoding', '', 'user-agent', '',
  'vary', '', 'via', '', 'www-authenticate', '',
];

/** Entries of the static table; the first dynamic one has the next index. */
export const staticTableLength: number = staticFields.length / 2;

/** What an entry costs besides its name and value (RFC 7541 §4.1). */
export const fieldOverheadBytes = 32;

export function staticName(index: number): string {
  return staticFields[2 * index - 2] ?? '';
}

export function staticValue(index: number): string {
  return staticFields[2 * index - 1] ?? '';
}

/** The lowest index with that name, and the index of the whole field if there is one; 0 when there is none. */
export function findStatic(name: string, value: string): { readonly name: number; readonly field: number } {
  let firstWithName = 0;
  for (let index = 1; index <= staticTableLength; index++) {
    if (staticName(index) !== name) continue;
    if (staticValue(index) === value) return { name: index, field: index };
    firstWithName ||= index;
  }
  return { name: firstWithName, field: 0 };
}

/** First in, first out; bounded by the size that both sides agreed on. */
export class DynamicTable {
  /** Oldest first; `#oldest` is where the live ones begin. */
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  #oldest = 0;
  #sizeBytes = 0;
  #capacityBytes: number;
  /** Grows with every change, so that what was derived from the table can tell whether it still holds. */
  #generation = 0;

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
  }

  get length(): number {
    return this.#names.length - this.#oldest;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get capacityBytes(): number {
    return this.#capacityBytes;
  }

  get generation(): number {
    return this.#generation;
  }

  /** `place` 0 is the newest. It must be below `length`. */
  name(place: number): string {
    return this.#names[this.#names.length - 1 - place] ?? '';
  }

  value(place: number): string {
    return this.#values[this.#values.length - 1 - place] ?? '';
  }

  resize(capacityBytes: number): void {
    this.#generation++;
    this.#capacityBytes = capacityBytes;
    this.#evictTo(capacityBytes);
  }

  /** An entry larger than the table empties it and is not kept; that is no error (RFC 7541 §4.4). */
  add(name: string, value: string): void {
    this.#generation++;
    const entryBytes = name.length + value.length + fieldOverheadBytes;
    if (entryBytes > this.#capacityBytes) {
      this.#evictTo(0);
      return;
    }
    this.#evictTo(this.#capacityBytes - entryBytes);
    this.#names.push(name);
    this.#values.push(value);
    this.#sizeBytes += entryBytes;
  }

  #evictTo(sizeBytes: number): void {
    while (this.#sizeBytes > sizeBytes) {
      const name = this.#names[this.#oldest] ?? '';
      const value = this.#values[this.#oldest] ?? '';
      this.#sizeBytes -= name.length + value.length + fieldOverheadBytes;
      this.#names[this.#oldest] = '';
      this.#values[this.#oldest] = '';
      this.#oldest++;
    }
    // Moving the live entries only when as many are dead costs a constant time per entry.
    if (this.#oldest > 16 && this.#oldest * 2 > this.#names.length) {
      this.#names.splice(0, this.#oldest);
      this.#values.splice(0, this.#oldest);
      this.#oldest = 0;
    }
  }
}
