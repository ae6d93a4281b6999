// Parts of blobs over HTTP (RFC 9110 §14): what is asked for, and what a reply holds.
import { CacheError } from '../base/cache-error.ts';
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

/** @throws CacheError `data_loss` when the body begins behind `wantedOffset`, or does not say where. */
export function rangeOf({ status, headers, contentLength }: HttpReply, wantedOffset: number): SentRange {
  if (status !== 206) return { offset: 0, totalBytes: contentLength };
  const sent = headers['content-range'] ?? '';
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/i.exec(sent) ?? [];
  if (first === undefined || Number(first) > wantedOffset) {
    throw new CacheError('data_loss', `the answer to a request for bytes from ${wantedOffset} on does not have them: its content-range is ${JSON.stringify(sent.slice(0, 80))}`);
  }
  return { offset: Number(first), totalBytes: total === undefined || total === '*' ? undefined : Number(total) };
}
