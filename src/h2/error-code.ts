// The error codes of HTTP/2 and the one exception that ends a connection. It is thrown and caught inside h2/ only;
// what goes wrong with a single stream is a reset, never an exception.

/** RFC 9113 §7. */
export const errorCode = {
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  connectError: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const;

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(errorCode).map(([name, code]) => [code, name.replace(/[A-Z]/g, '_$&').toUpperCase()]),
);

/** `PROTOCOL_ERROR`, as RFC 9113 §7 has it; a code that it does not define, which peers may send, is `other`. */
export function errorCodeName(code: number): string {
  return code === errorCode.http11Required ? 'HTTP_1_1_REQUIRED' : (names.get(code) ?? 'other');
}

/** The peer broke the protocol in a way that leaves no common state: GOAWAY with `code`, then the end (RFC 9113 §5.4.1). */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: number;
  /** The frames that there were too many of, if that is what was wrong: one of a few fixed texts. */
  readonly flood: string | undefined;

  constructor(code: number, message: string, flood?: string) {
    super(message);
    this.code = code;
    this.flood = flood;
  }
}
