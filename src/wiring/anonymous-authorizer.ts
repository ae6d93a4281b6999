// Rights when nobody has credentials: every caller may do the same, in every instance.
import type { Authorizer, Caller, Right } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';

export class AnonymousAuthorizer implements Authorizer {
  readonly #granted: 'none' | 'read' | 'write';

  /** `write` includes `read`. */
  constructor(granted: 'none' | 'read' | 'write') {
    this.#granted = granted;
  }

  allows(_caller: Caller, right: Right, _instance: string): boolean {
    return (right === 'read' && this.#granted !== 'none') || (right === 'write' && this.#granted === 'write');
  }

  allowsSomewhere(caller: Caller, right: Right): boolean {
    return this.allows(caller, right, '');
  }

  require(caller: Caller, right: Right, instance: string): void {
    if (this.allows(caller, right, instance)) return;
    if (right !== 'write') throw new CacheError('permission_denied', `nobody has the right to ${right} here`);
    throw new CacheError('permission_denied', 'this cache may be read only; whoever runs it allows uploads with --allow-anonymous write');
  }

  requireSomewhere(caller: Caller, right: Right): void {
    this.require(caller, right, '');
  }
}
