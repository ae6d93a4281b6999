// Which protocol a connection speaks, by its first bytes.

/** What a client that knows the server speaks HTTP/2 sends first (RFC 9113 §3.4). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** `undecided` when what has come is a beginning of the HTTP/2 preface and nothing more. */
export type SniffedProtocol = 'http2' | 'other' | 'undecided';

/** `head` is all that has come so far. Decides at the first byte that differs: no HTTP/1 method begins with `PRI `. */
export function sniffProtocol(head: Uint8Array): SniffedProtocol {
  const length = Math.min(head.byteLength, preface.byteLength);
  if (preface.compare(head, 0, length, 0, length) !== 0) return 'other';
  return length === preface.byteLength ? 'http2' : 'undecided';
}
