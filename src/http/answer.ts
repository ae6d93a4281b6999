// What a route gives back: one answer, sent by whoever called it. Texts are for people who read build logs: short,
// with what was wrong and what to do, and nothing about the inside of the server.
import type { ByteSource } from '../base/byte-source.ts';
import type { CacheError } from '../base/cache-error.ts';
import { failures, kindOfHttpStatus } from '../base/failures.ts';
import type { FailureKind } from '../base/failures.ts';
import type { HttpHeaders } from '../base/http-exchange.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers?: HttpHeaders;
  /** Default: no bytes. Whoever sends the answer disposes it. */
  readonly body?: ByteSource | Uint8Array;
}

/** What was stored came from clients, so nobody may take it for a page of this server. */
const bytesHeaders: HttpHeaders = { 'content-type': 'application/octet-stream', 'x-content-type-options': 'nosniff' };

/** Texts repeat what was asked for, so they are not to be taken for pages either. */
const textHeaders: HttpHeaders = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };

export function textAnswer(status: number, text: string, headers?: HttpHeaders): HttpAnswer {
  return { status, headers: { ...textHeaders, ...headers }, body: Buffer.from(`${text}\n`) };
}

/**
 * There is nothing under a path that is served. Told from the 404 of any other server, which Kiln's own clients must not
 * take for a miss.
 */
export function absentAnswer(text: string): HttpAnswer {
  return textAnswer(404, text, { 'kiln-code': 'not_found' });
}

/** `json` is serialised already, or a value to serialise. */
export function jsonAnswer(json: Uint8Array | Readonly<Record<string, unknown>>): HttpAnswer {
  const body = json instanceof Uint8Array ? json : Buffer.from(`${JSON.stringify(json)}\n`);
  return { status: 200, headers: { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' }, body };
}

export function bytesAnswer(body: ByteSource | Uint8Array): HttpAnswer {
  return { status: 200, headers: bytesHeaders, body };
}

/** `range` of something with `wholeBytes` bytes (RFC 9110 §15.3.7). */
export function partAnswer(body: ByteSource, { offset, length }: { readonly offset: number; readonly length: number }, wholeBytes: number): HttpAnswer {
  return { status: 206, headers: { ...bytesHeaders, 'content-range': `bytes ${offset}-${offset + length - 1}/${wholeBytes}` }, body };
}

/** The answer to a HEAD whose GET would send `sizeBytes` bytes, without opening them. */
export function headAnswer(sizeBytes: number): HttpAnswer {
  return bytesAnswer({ sizeBytes, async *[Symbol.asyncIterator]() {}, async [Symbol.asyncDispose]() {} });
}

/** 200 without a body: the one status of a stored value that every build tool takes for success. */
export const storedAnswer: HttpAnswer = { status: 200 };

export function methodNotAllowed(method: string, allowed: readonly string[]): HttpAnswer {
  const allow = allowed.join(', ');
  return textAnswer(405, `${method} is not served here, only ${allow}`, { allow });
}

/** RFC 9110 §11.6.1. Basic comes first for clients that read one challenge only: more of them know it. */
const wantedCredentials = 'Basic realm="kiln", charset="UTF-8", Bearer realm="kiln"';

/** The answer of the error table. The text of an `internal` failure stays in the log. */
export function errorAnswer(error: CacheError): HttpAnswer {
  const text = error.code === 'internal' ? 'internal error; the log of the server has more' : error.message;
  const challenge = error.code === 'unauthenticated' ? wantedCredentials : undefined;
  const { httpStatus } = failures[error.kind];
  return textAnswer(httpStatus, text, { ...kindHeader(error.kind, httpStatus), 'retry-after': retryAfterSeconds(error), 'www-authenticate': challenge });
}

/** Where the status by itself would mean another row of the table: Kiln's own clients tell them apart by this. */
function kindHeader(kind: FailureKind, httpStatus: number): HttpHeaders {
  return kindOfHttpStatus(httpStatus) === kind ? {} : { 'kiln-code': kind };
}

function retryAfterSeconds({ details }: CacheError): string | undefined {
  for (const detail of details) if (detail.kind === 'retry_after') return String(Math.ceil(detail.delayMs / 1000));
  return undefined;
}
