// What the status of an HTTP answer means to a client: the reverse of the server's table, which several codes share
// rows of, and what proxies on the way add to it.
import type { Code } from '../base/cache-error.ts';
import type { HttpHeaders } from '../base/http-exchange.ts';

const codes: Readonly<Record<number, Code>> = {
  400: 'invalid_argument',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  405: 'unimplemented',
  408: 'unavailable',
  409: 'aborted',
  411: 'invalid_argument',
  413: 'invalid_argument',
  414: 'invalid_argument',
  415: 'invalid_argument',
  416: 'out_of_range',
  421: 'invalid_argument',
  429: 'unavailable',
  431: 'invalid_argument',
  499: 'cancelled',
  500: 'internal',
  501: 'unimplemented',
  502: 'unavailable',
  503: 'unavailable',
  504: 'deadline_exceeded',
  507: 'resource_exhausted',
};

/** Those that the server may name where the status is shared. */
const shared: ReadonlySet<string> = new Set<Code>(['failed_precondition', 'already_exists', 'data_loss']);

/** The code of a failure. A status that nobody foresaw is `unavailable` above 500: a proxy's, most likely. */
export function codeOfHttpStatus(status: number, headers: HttpHeaders): Code {
  const named = headers['kiln-code'];
  if (named !== undefined && shared.has(named)) return named as Code;
  return codes[status] ?? (status > 500 ? 'unavailable' : 'invalid_argument');
}
