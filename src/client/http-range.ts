// Parts of blobs over HTTP (RFC 9110 §14): what is asked for, and what a reply holds.
import type { HttpReply } from '../base/http-client.ts';
import type { ByteRange } from '../blob/blob-store.ts';

/** Value of the range header for a range that is not empty. */
export function rangeHeader({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${offset + length - 1}`;
}

export interface SentRange {
  /** Where the body of the reply begins within the blob. A server may answer with all of it. */
  readonly offset: number;
  /** Length of the whole blob; undefined when the reply does not say it. */
  readonly totalBytes: number | undefined;
}

export function rangeOf({ status, headers, contentLength }: HttpReply): SentRange {
  if (status !== 206) return { offset: 0, totalBytes: contentLength };
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '') ?? [];
  return { offset: Number(first ?? 0), totalBytes: total === undefined ? undefined : Number(total) };
}
