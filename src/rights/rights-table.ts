// The rights of one moment, looked up quickly. Never changed: a reload makes another one.
import type { Caller } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import { GrantedRights } from './granted-rights.ts';
import type { GrantDefinition, IdentityDefinition } from './identity.ts';
import type { AnonymousRights, RightsDefinition } from './rights-definition.ts';

const anonymousGrants: Readonly<Record<AnonymousRights, readonly GrantDefinition[]>> = {
  none: [],
  read: [{ instances: ['*'], rights: ['read'] }],
  write: [{ instances: ['*'], rights: ['read', 'write'] }],
  overwrite: [{ instances: ['*'], rights: ['read', 'write', 'overwrite'] }],
};

/** Digits of a token's hash that a text shows; enough to find it in a file. */
const shownHashChars = 'sha256:'.length + 8;

export class RightsTable {
  readonly credentialsConfigured: boolean;
  /** Whether callers without credentials may do anything. */
  readonly admitsAnonymous: boolean;
  readonly #anonymous: GrantedRights;
  readonly #byName = new Map<string, GrantedRights>();
  readonly #byToken = new Map<string, Caller>();

  /** @throws CacheError `invalid_argument`. */
  constructor({ identities, identitiesConfigured, passwords, anonymous, credentialsConfigured }: RightsDefinition) {
    this.credentialsConfigured = credentialsConfigured;
    this.admitsAnonymous = anonymous !== 'none';
    this.#anonymous = new GrantedRights(anonymousGrants[anonymous]);
    for (const [name, definitions] of Map.groupBy(identities, (identity) => identity.name)) this.#add(name, definitions);
    // A file of users is what a team shares; whoever wants to tell them apart writes down identities, for all of them.
    const shared = identitiesConfigured ? this.#anonymous : new GrantedRights(anonymousGrants.write);
    for (const user of passwords.keys()) if (!this.#byName.has(user)) this.#byName.set(user, shared);
  }

  #add(name: string, definitions: readonly IdentityDefinition[]): void {
    this.#byName.set(name, new GrantedRights(definitions.flatMap(({ grants }) => grants)));
    const caller: Caller = { kind: 'identity', name };
    for (const token of definitions.flatMap(({ tokens }) => tokens)) {
      const owner = this.#byToken.get(token)?.name ?? name;
      if (owner !== name) {
        throw new CacheError('invalid_argument', `token ${token.slice(0, shownHashChars)}... belongs to both ${JSON.stringify(owner)} and ${JSON.stringify(name)}\nmake one for each with "kiln token create"`);
      }
      this.#byToken.set(token, caller);
    }
  }

  ownerOf(tokenHash: string): Caller | undefined {
    return this.#byToken.get(tokenHash);
  }

  knows(name: string): boolean {
    return this.#byName.has(name);
  }

  /** By name, so that a caller of an earlier table has what that name has now. */
  rightsOf(caller: Caller): GrantedRights {
    return caller.kind === 'anonymous' ? this.#anonymous : (this.#byName.get(caller.name) ?? GrantedRights.none);
  }
}
