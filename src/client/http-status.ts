// What the status of an HTTP answer means to a client: the error table read from its other side, and what proxies on the
// way and other parts of the server add to it.
import { failures, isFailureKind, kindOfHttpStatus } from '../base/failures.ts';
import type { FailureKind } from '../base/failures.ts';
import type { HttpHeaders } from '../base/http-exchange.ts';

/** Statuses that no row of the table has. */
const others: Readonly<Record<number, FailureKind>> = {
  405: 'unimplemented',
  408: 'unavailable',
  411: 'invalid_argument',
  413: 'invalid_argument',
  414: 'invalid_argument',
  415: 'invalid_argument',
  421: 'invalid_argument',
  431: 'invalid_argument',
  502: 'unavailable',
};

/** The kind of a failure: as the server names it, if that goes with its status. */
export function kindOfAnswer(status: number, headers: HttpHeaders): FailureKind {
  const named = headers['kiln-code'];
  if (named !== undefined && isFailureKind(named) && failures[named].httpStatus === status) return named;
  // One that nobody foresaw is a proxy's, most likely.
  return kindOfHttpStatus(status) ?? others[status] ?? (status > 500 ? 'unavailable' : 'invalid_argument');
}
