// Custom metadata: which names a handler may set, and the base64 of `-bin` values.
import { assert } from '../base/assert.ts';

/** Names that belong to HTTP/2 or to gRPC itself. */
const reserved = /^(:|grpc-|content-type$|te$|connection$|transfer-encoding$)/;
const legalName = /^[0-9a-z_.-]+$/;
/** Blanks at either end are forbidden by RFC 9113 §8.2.1. */
const legalValue = /^(?! )[ -~]*(?<! )$/;

export function isMetadataName(name: string): boolean {
  return legalName.test(name) && !reserved.test(name);
}

/** Of a name without `-bin`. */
export function isMetadataText(value: string): boolean {
  return legalValue.test(value);
}

/** Guards a handler's own metadata; a breach is a bug of the handler. `-bin` values are given in base64. */
export function assertMetadata(name: string, value: string): void {
  assert(isMetadataName(name), `"${name}" is not a name for metadata`);
  assert(isMetadataText(value), `the value of "${name}" is not printable ASCII without blanks at its ends`);
}

/**
 * The bytes of a `-bin` value, padded or not, in either alphabet; of several joined by commas the first.
 * Undefined when it is not base64 (a caller's metadata never fails a call, so absence is the answer).
 */
export function decodeBinaryMetadata(value: string): Uint8Array | undefined {
  const comma = value.indexOf(',');
  const first = (comma < 0 ? value : value.slice(0, comma)).trim();
  const digits = first.replace(/={0,2}$/, '');
  if (!/^[A-Za-z0-9+/_-]*$/.test(digits) || digits.length % 4 === 1) return undefined;
  return Uint8Array.from(Buffer.from(digits, 'base64'));
}

/** Unpadded, as gRPC recommends for what is sent. */
export function encodeBinaryMetadata(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64').replace(/=+$/, '');
}
