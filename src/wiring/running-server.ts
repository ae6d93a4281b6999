// What there is to see of a server that runs, and how to end it.
import type { ListenAddress } from '../base/listen-address.ts';
import type { LimitOptions, TlsOptions } from '../config/serve-options.ts';
import type { AnonymousRights } from '../rights/rights-definition.ts';
import type { RightsOptions } from './rights.ts';
import type { DrainLimits, DrainProgress, StopOutcome } from './drain.ts';

/** Where clients find the server. */
export type ServedAddress = ListenAddress & { readonly tls: boolean };

/** What can change in a running server. */
export interface ReloadOptions extends RightsOptions {
  /** Heeded by a server that speaks TLS. */
  readonly tls: TlsOptions | undefined;
  readonly drain: DrainLimits;
  /** Those of connections count; the rest are heeded at the start alone. */
  readonly limits: LimitOptions;
}

export interface RunningServer {
  /** As bound, in the order asked for; at least one. */
  readonly addresses: readonly ServedAddress[];
  readonly dataDirectory: string;
  readonly maxBytes: number;
  readonly usedBytes: number;
  /** What callers without credentials may do. */
  readonly anonymousRight: AnonymousRights;
  /**
   * Takes what can change while it runs from other options, and reads the files of credentials again; calls that were
   * let in and connections that are open go on.
   * @throws CacheError `invalid_argument` or `failed_precondition` that says what to do; nothing has changed then.
   */
  reload(options: ReloadOptions): Promise<void>;
  /** What goes on at the moment. */
  readonly progress: DrainProgress;
  /**
   * Takes no new work, lets running calls finish, closes the stores, each within its limit. A second call gives the
   * outcome of the first.
   */
  stop(): Promise<StopOutcome>;
}
