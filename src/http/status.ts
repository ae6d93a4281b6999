// The HTTP side of the closed set of failures: a new Code does not compile until it has a row here.
import type { Code } from '../base/cache-error.ts';

export const httpStatusOf = {
  cancelled: 499,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 507, // the store is full and the client should not hurry back; overload is `unavailable`
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 416,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
} as const satisfies Record<Code, number>;
