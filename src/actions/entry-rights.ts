// Who may replace entries (action results, and values of tools under an action's key), and what others are told.
import type { Authorizer, Caller } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';
import type { Counter, Meter, MetricDefinition } from '../base/metrics.ts';
import type { ValueKind } from '../blob/value-store.ts';
import type { ActionKey } from './action-cache.ts';

const keptEntries: MetricDefinition = {
  name: 'kiln_entries_kept_total',
  help: 'Writes that met another entry under their key and came from callers without the right to overwrite: the first entry was kept. By kind: action_result, opaque.',
};

export class EntryRights {
  readonly #authorizer: Authorizer;
  readonly #log: Log;
  readonly #kept: Readonly<Record<ValueKind, Counter>>;

  constructor(authorizer: Authorizer, meter: Meter, log: Log) {
    this.#authorizer = authorizer;
    this.#log = log;
    this.#kept = { action_result: meter.counter(keptEntries, { kind: 'action_result' }), opaque: meter.counter(keptEntries, { kind: 'opaque' }) };
  }

  /** Whether the entries that `caller` writes take the place of others; otherwise the first one stays (CT-9). */
  mayReplace(caller: Caller, instance: string): boolean {
    return this.#authorizer.allows(caller, 'overwrite', instance);
  }

  /**
   * What a write ends with that met another entry: `already_exists`, and not `permission_denied`, on which Bazel fetches new
   * credentials and asks a second time. The text is the same for all entries of an instance: Bazel shows equal warnings once.
   */
  kept(caller: Caller, kind: ValueKind, { instance, actionDigest }: ActionKey): CacheError {
    this.#kept[kind].add();
    this.#log.debug('another entry was kept', { caller: caller.name, kind, instance, function: actionDigest.function.name, hash: actionDigest.hash });
    const why = this.#authorizer.whyNot(caller, 'overwrite', instance);
    return new CacheError('already_exists', `not stored: another entry is here under the same key, and the first one is kept; ${why}`);
  }
}
