// Rights when nobody has credentials: every caller may do the same, in every instance.
import type { Authorizer, Caller, Right } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';

export class AnonymousAuthorizer implements Authorizer {
  readonly #granted: Right;

  /** `write` includes `read`. */
  constructor(granted: Right) {
    this.#granted = granted;
  }

  allows(_caller: Caller, right: Right, _instance: string): boolean {
    return right === 'read' || this.#granted === 'write';
  }

  require(caller: Caller, right: Right, instance: string): void {
    if (this.allows(caller, right, instance)) return;
    throw new CacheError('permission_denied', 'this cache may be read only; whoever runs it allows uploads with --allow-anonymous write');
  }
}
