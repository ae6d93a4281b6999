// Counts who is turned away for want of rights or credentials: the first sign of a wrong token in a build's
// configuration, and of somebody who guesses.
import type { Authenticator, Authorizer, Caller, ConnectionCredentials, Right } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { noMeter } from '../base/metrics.ts';
import type { Counter, Meter, MetricDefinition } from '../base/metrics.ts';

const refusals: MetricDefinition = {
  name: 'kiln_auth_refusals_total',
  help: 'Requests refused for who made them, by reason: wrong_credentials, no_credentials (some would help), no_right.',
};

type Reason = 'wrong_credentials' | 'no_credentials' | 'no_right';

/** `rights`, with refusals counted. The names of callers are no labels: they are in the log. */
export function meteredRights(rights: Authenticator & Authorizer, meter: Meter): Authenticator & Authorizer {
  return meter === noMeter ? rights : new MeteredRights(rights, meter);
}

class MeteredRights implements Authenticator, Authorizer {
  readonly #inner: Authenticator & Authorizer;
  readonly #refusals: Readonly<Record<Reason, Counter>>;

  constructor(inner: Authenticator & Authorizer, meter: Meter) {
    this.#inner = inner;
    const counter = (reason: Reason): Counter => meter.counter(refusals, { reason });
    this.#refusals = { wrong_credentials: counter('wrong_credentials'), no_credentials: counter('no_credentials'), no_right: counter('no_right') };
  }

  get generation(): number {
    return this.#inner.generation;
  }

  identify(authorization: string | undefined, connection?: ConnectionCredentials): MaybePromise<Caller> {
    try {
      const caller = this.#inner.identify(authorization, connection);
      return isPromise(caller) ? this.#identifiedLater(caller) : caller;
    } catch (thrown) {
      this.#countUnknown(thrown, authorization === undefined ? 'no_credentials' : 'wrong_credentials');
      throw thrown;
    }
  }

  allows(caller: Caller, right: Right, instance: string): boolean {
    return this.#inner.allows(caller, right, instance);
  }

  allowsSomewhere(caller: Caller, right: Right): boolean {
    return this.#inner.allowsSomewhere(caller, right);
  }

  whyNot(caller: Caller, right: Right, instance: string): string {
    return this.#inner.whyNot(caller, right, instance);
  }

  require(caller: Caller, right: Right, instance: string): void {
    try {
      this.#inner.require(caller, right, instance);
    } catch (thrown) {
      this.#countRefused(thrown);
      throw thrown;
    }
  }

  requireSomewhere(caller: Caller, right: Right): void {
    try {
      this.#inner.requireSomewhere(caller, right);
    } catch (thrown) {
      this.#countRefused(thrown);
      throw thrown;
    }
  }

  async #identifiedLater(caller: Promise<Caller>): Promise<Caller> {
    try {
      return await caller;
    } catch (thrown) {
      this.#countUnknown(thrown, 'wrong_credentials');
      throw thrown;
    }
  }

  #countUnknown(thrown: unknown, reason: Reason): void {
    if (CacheError.from(thrown).code === 'unauthenticated') this.#refusals[reason].add();
  }

  #countRefused(thrown: unknown): void {
    const { code } = CacheError.from(thrown);
    if (code === 'unauthenticated') this.#refusals.no_credentials.add();
    else if (code === 'permission_denied') this.#refusals.no_right.add();
  }
}
