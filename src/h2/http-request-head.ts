// The head of an HTTP request, from the header block of its stream (RFC 9113 §8.3.1).
import type { HttpHeaders } from '../base/http-exchange.ts';
import type { HeaderBlock } from './stream.ts';

/** What an HttpExchange tells of its request. */
export interface HttpRequestHead {
  readonly method: string;
  /** Path and query as sent; empty for CONNECT. */
  readonly target: string;
  /** With `host` taken from `:authority`, as an HTTP/1.1 request would have it. */
  readonly headers: HttpHeaders;
  readonly contentLength: number | undefined;
  /** The client waits for "100 Continue". */
  readonly expectsContinue: boolean;
}

/** Parsed once for each distinct block. The engine has checked already that the head is well-formed. */
export function requestHeadOf(block: HeaderBlock): HttpRequestHead {
  if (block.memo === undefined) block.memo = parseHead(block);
  return block.memo as HttpRequestHead;
}

function parseHead(block: HeaderBlock): HttpRequestHead {
  const headers = new Map<string, string>();
  for (let index = 0; index < block.fields.length; index += 2) {
    const name = block.fields[index] ?? '';
    const value = block.fields[index + 1] ?? '';
    if (name.startsWith(':')) continue;
    const earlier = headers.get(name);
    // Cookies may be split into several fields, and are one value again with this separator (RFC 9113 §8.2.3).
    const separator = name === 'cookie' ? '; ' : ', ';
    headers.set(name, earlier === undefined ? value : earlier + separator + value);
  }
  const authority = block.get(':authority');
  if (authority !== undefined) headers.set('host', authority);
  const length = headers.get('content-length')?.split(',', 1)[0];
  return {
    method: block.get(':method') ?? '',
    target: block.get(':path') ?? '',
    headers: Object.fromEntries(headers),
    contentLength: length === undefined ? undefined : Number(length),
    expectsContinue: headers.get('expect')?.toLowerCase() === '100-continue',
  };
}
