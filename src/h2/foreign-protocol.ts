// Recognises what answers when a client speaks HTTP/2 to a port that does not, so that the error names the remedy.

const tlsAlert = 0x15;
const tlsHandshake = 0x16;

/** What is wrong, when the first bytes of a server are not HTTP/2 but something known; undefined for all else. */
export function foreignProtocol(bytes: Uint8Array): string | undefined {
  const [type, major] = bytes;
  if ((type === tlsAlert || type === tlsHandshake) && major === 3) return 'the server speaks TLS on this port, and this connection is plaintext';
  if (Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(5, bytes.length)).toString('latin1') === 'HTTP/') {
    return 'the server answers in HTTP/1.1 on this port; HTTP/2 with prior knowledge is needed';
  }
  return undefined;
}
