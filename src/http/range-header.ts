// Which part of a blob a request asks for (RFC 9110 §14.2). What is not understood is ignored, as the RFC has it: the
// answer is then the whole.
import type { ByteRange } from '../blob/blob-store.ts';
import type { HttpHeaders } from '../base/http-exchange.ts';

/**
 * One range; several would need a multipart body, which no client of a cache asks for. Positions may have any number of
 * digits: what is beyond the exact integers is beyond every blob.
 */
const single = /^bytes=(?:(\d+)-(\d+)?|-(\d+))$/;

/**
 * The range that is wanted of `sizeBytes` bytes; undefined for all of them, `unsatisfiable` when none of them are in it.
 * A condition (If-Range) is never met, since blobs have no validators: that, too, asks for the whole.
 */
export function wantedRange(headers: HttpHeaders, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const { range, 'if-range': condition } = headers;
  const parts = range === undefined || condition !== undefined ? null : single.exec(range.trim());
  if (parts === null) return undefined;
  const [, first, last, suffix] = parts;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), sizeBytes);
    return length === 0 ? 'unsatisfiable' : { offset: sizeBytes - length, length };
  }
  const offset = Number(first);
  const end = last === undefined ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== undefined && Number(last) < offset) return undefined;
  return offset >= sizeBytes ? 'unsatisfiable' : { offset, length: end - offset };
}
