// Who makes a call, found out once per header block: a client's credentials repeat with every call, so the ones after
// the first cost a comparison (bench/unary).
import { anonymous } from '../base/authorizer.ts';
import type { Authenticator, Caller } from '../base/authorizer.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { HeaderBlock } from '../h2/stream.ts';

/** Of one header block. */
export class CallerMemo {
  #caller: MaybePromise<Caller> = anonymous;
  /** What the authenticator's was when it was asked; undefined when it has to be asked. */
  #generation: number | undefined;

  /**
   * A promise while a first look at a password is under way; calls that come meanwhile wait for the same one.
   * @throws CacheError as `identify`, then or by the promise. Failures are not remembered here.
   */
  callerOf(headers: HeaderBlock, authenticator: Authenticator): MaybePromise<Caller> {
    const { generation } = authenticator;
    if (this.#generation === generation) return this.#caller;
    const caller = authenticator.identify(headers.get('authorization'));
    this.#remember(caller, generation);
    if (isPromise(caller)) {
      caller.then(
        (known) => this.#caller === caller && this.#remember(known, generation),
        () => this.#caller === caller && this.#remember(anonymous, undefined),
      );
    }
    return caller;
  }

  #remember(caller: MaybePromise<Caller>, generation: number | undefined): void {
    this.#caller = caller;
    this.#generation = generation;
  }
}
