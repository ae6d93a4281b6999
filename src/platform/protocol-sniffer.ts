// Which protocol a connection speaks, by its first bytes.

/** What a client that knows the server speaks HTTP/2 sends first (RFC 9113 §3.4). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** How a TLS client begins: a record of type handshake, of any version with this major number (RFC 8446 §5.1). */
const handshakeRecord = [0x16, 0x03] as const;

/** `undecided` when what has come is a beginning of several of them and nothing more. */
export type SniffedProtocol = 'http2' | 'tls' | 'other' | 'undecided';

/** `head` is all that has come so far. Decides at the first byte that differs: no HTTP/1 method begins with `PRI `. */
export function sniffProtocol(head: Uint8Array): SniffedProtocol {
  if (head[0] === handshakeRecord[0]) return head.byteLength === 1 ? 'undecided' : head[1] === handshakeRecord[1] ? 'tls' : 'other';
  const length = Math.min(head.byteLength, preface.byteLength);
  if (preface.compare(head, 0, length, 0, length) !== 0) return 'other';
  return length === preface.byteLength ? 'http2' : 'undecided';
}
