// What HTTP/1.1 is refused before any handler sees it, and in which words.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { nodeHttp } from './node-http-module.ts';

/** Why a request was refused, or its connection closed; few, since they are counted. */
export type Http1Refusal =
  | 'foreign' // another protocol
  | 'malformed'
  | 'header_size'
  | 'header_timeout'
  | 'host' // none, or several
  | 'expectation'
  | 'pipelined' // too many requests ahead of their answers
  | 'proxy'
  | 'stall';

export const http1Refusals: readonly Http1Refusal[] = ['foreign', 'malformed', 'header_size', 'header_timeout', 'host', 'expectation', 'pipelined', 'proxy', 'stall'];

/** The answer to a request that could be parsed. */
export interface UnservableRequest {
  readonly reason: Http1Refusal;
  readonly status: number;
  readonly text: string;
}

/** What the protocol forbids although it can be parsed. */
export function unservable({ headers, rawHeaders, httpVersion }: IncomingMessage): UnservableRequest | undefined {
  // RFC 9112 §3.2. node:http would take the first of several, and whoever stands before it perhaps another one.
  const hosts = hostCount(rawHeaders);
  if (httpVersion === '1.1' && hosts === 0) return { reason: 'host', status: 400, text: 'a request of HTTP/1.1 has a Host header' };
  if (hosts > 1) return { reason: 'host', status: 400, text: 'a request has one Host header, not several' };
  const { expect } = headers;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    return { reason: 'expectation', status: 417, text: 'only the expectation 100-continue is met here' };
  }
  return undefined;
}

/** @param rawHeaders names and values alternating. */
function hostCount(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count;
}

/** What node:http adds to an error of its parser. */
export type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer };

/** The last words to a connection whose bytes node:http could not parse. */
export interface LastWords {
  readonly reason: Http1Refusal;
  readonly answer: string | Uint8Array;
}

export interface LastWordsContext {
  readonly socket: Socket;
  readonly limits: { readonly headerBytesMax: number; readonly headersTimeoutMs: number };
  /** To whom speaks another protocol. */
  readonly foreignAnswer: Uint8Array;
}

export function lastWordsTo(error: ParserError, { socket, limits, foreignAnswer }: LastWordsContext): LastWords {
  if (isForeign(socket, error)) return { reason: 'foreign', answer: foreignAnswer };
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return { reason: 'header_size', answer: rawAnswer(431, 'Request Header Fields Too Large', `URL and headers take more than ${limits.headerBytesMax} bytes`) };
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { reason: 'header_timeout', answer: rawAnswer(408, 'Request Timeout', `the headers did not come within ${limits.headersTimeoutMs} ms`) };
  }
  const text = error.code === 'HPE_INVALID_EOF_STATE' ? 'the request ended before it was complete' : 'this is not HTTP/1.1, nor HTTP/2 with prior knowledge';
  return { reason: 'malformed', answer: rawAnswer(400, 'Bad Request', text) };
}

/** True when the connection begins with a line that has neither a method nor a version of HTTP in it. */
function isForeign(socket: Socket, { code, rawPacket }: ParserError): boolean {
  if (code !== 'HPE_INVALID_METHOD' || rawPacket === undefined || socket.bytesRead > rawPacket.byteLength) return false;
  const [line, ...rest] = rawPacket.toString('latin1').split('\n', 2);
  if (line === undefined || rest.length === 0 || line.includes(' HTTP/')) return false;
  return !nodeHttp.METHODS.includes(line.trimEnd().split(' ', 1)[0] ?? '');
}

/** A whole answer of HTTP/1.1 that ends the connection. */
export function rawAnswer(status: number, reason: string, text: string): string {
  return (
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n` +
    `content-length: ${Buffer.byteLength(text) + 1}\r\n\r\n${text}\n`
  );
}
