// The encoding of `grpc-message`: UTF-8 whose bytes outside printable ASCII, and "%", are written as %XX
// (gRPC over HTTP/2, "Responses"). Blanks at either end are too: HTTP/2 forbids them there (RFC 9113 §8.2.1).

const plain = /^(?! )[ -$&-~]*(?<! )$/;

export function percentEncode(text: string): string {
  if (plain.test(text)) return text;
  let encoded = '';
  const bytes = new TextEncoder().encode(text);
  for (const [index, byte] of bytes.entries()) {
    const inner = index > 0 && index < bytes.byteLength - 1;
    const literal = byte <= 0x7e && byte !== 0x25 && (byte > 0x20 || (byte === 0x20 && inner));
    encoded += literal ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Never fails: what is not an escape stays as it is, and what is not UTF-8 becomes U+FFFD, as gRPC asks for. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const escape = /^%[0-9a-fA-F]{2}/.exec(text.slice(index, index + 3));
    if (escape === null) {
      bytes.push(text.charCodeAt(index) & 0xff);
    } else {
      bytes.push(Number.parseInt(escape[0].slice(1), 16));
      index += 2;
    }
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
