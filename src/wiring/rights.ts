// Rights as the options and the files they name give them, at the start and at every reload.
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import { monotonicClock } from '../platform/clocks.ts';
import { systemRandom } from '../platform/random.ts';
import { readSmallFile, readSmallFileAgain } from '../platform/small-file.ts';
import { entryBeside, Thread } from '../platform/thread.ts';
import type { ThreadLimits } from '../platform/thread.ts';
import { htpasswdBytesMax, readHtpasswd } from '../rights/htpasswd.ts';
import type { IdentityDefinition } from '../rights/identity.ts';
import { PasswordCheck, passwordCheckLimits } from '../rights/password-check.ts';
import { Rights } from '../rights/rights.ts';
import type { AnonymousRights, RightsDefinition } from '../rights/rights-definition.ts';
import type { PasswordQuestion } from './password-thread.ts';

/** What of the options rights are made of. */
export interface RightsOptions {
  readonly allowAnonymous: AnonymousRights | undefined;
  readonly rights: {
    readonly tokensFile: string | undefined;
    readonly htpasswdFile: string | undefined;
    /** Those of the tokens file included. */
    readonly identities: readonly IdentityDefinition[];
  };
}

/** Disposing it ends the thread that checks passwords. */
export interface OpenRights extends Disposable {
  readonly rights: Rights;
  /** What callers without credentials may do. */
  readonly anonymous: AnonymousRights;
  /**
   * Takes the rights of `options`, and reads the htpasswd file again. Rights that were granted to credentials are not
   * granted to everyone because the last credentials are gone, and those of identities not to every user because the last
   * identity is; a restart is needed for that.
   * @throws CacheError `invalid_argument` or `failed_precondition`; the rights are what they were then.
   */
  reload(options: RightsOptions): Promise<void>;
}

/** A heap for bcrypt and nothing else; kept between the checks of a busy minute. */
const threadLimits: ThreadLimits = { idleMs: 30_000, heapMiBMax: 64 };

/** Whether anybody is meant to show credentials, even if the files that hold them are empty at the moment. */
export function credentialsConfigured({ rights }: RightsOptions): boolean {
  return rights.tokensFile !== undefined || rights.htpasswdFile !== undefined || rights.identities.length > 0;
}

/** Whether anybody is meant to have rights by name, even if the file that says so is empty at the moment. */
function identitiesConfigured({ rights }: RightsOptions): boolean {
  return rights.tokensFile !== undefined || rights.identities.length > 0;
}

/** @throws CacheError `invalid_argument` or `failed_precondition`; first line what is wrong, second line what to do. */
export async function openRights(options: RightsOptions, { log, meter }: { readonly log: Log; readonly meter: Meter }): Promise<OpenRights> {
  using opening = new DisposableStack();
  const thread = opening.use(new Thread(entryBeside(import.meta.url, './password-thread.ts'), threadLimits));
  const matches = async (password: string, hash: string): Promise<boolean> => {
    const question: PasswordQuestion = { password, hash };
    return (await thread.call(question)) === true;
  };
  let definition = await definitionOf(options, undefined);
  const passwords = new PasswordCheck({ clock: monotonicClock, random: systemRandom, matches }, passwordCheckLimits);
  meterChecks(passwords, meter);
  const rights = new Rights(definition, passwords, log);
  const opened = opening.move();
  return {
    rights,
    get anonymous() {
      return definition.anonymous;
    },
    async reload(changed) {
      const next = await definitionOf(changed, definition);
      rights.replace(next);
      definition = next;
    },
    [Symbol.dispose]: () => opened.dispose(),
  };
}

function meterChecks(passwords: PasswordCheck, meter: Meter): void {
  const { checksMax, waitingMax } = passwordCheckLimits;
  meter.gauge({ name: 'kiln_password_checks', help: 'Passwords being checked, and in line to be.' }, () => passwords.checks);
  meter.gauge({ name: 'kiln_password_checks_max', help: 'The bound of kiln_password_checks.' }, () => checksMax + waitingMax);
}

async function definitionOf(options: RightsOptions, before: RightsDefinition | undefined): Promise<RightsDefinition> {
  const { htpasswdFile, identities } = options.rights;
  const hasCredentials = before?.credentialsConfigured === true || credentialsConfigured(options);
  const read = before === undefined ? readSmallFile : readSmallFileAgain;
  return {
    identities,
    passwords: htpasswdFile === undefined ? new Map() : readHtpasswd(await read(htpasswdFile, htpasswdBytesMax + 1), htpasswdFile),
    anonymous: options.allowAnonymous ?? (hasCredentials ? 'none' : 'overwrite'),
    credentialsConfigured: hasCredentials,
    identitiesConfigured: before?.identitiesConfigured === true || identitiesConfigured(options),
  };
}
