// Everything that rights are made of, at one moment.
import type { PasswordHashes } from './htpasswd.ts';
import type { IdentityDefinition } from './identity.ts';

/** What callers without credentials may do, in every instance; each includes those before it. */
export type AnonymousRights = 'none' | 'read' | 'write' | 'overwrite';

export interface RightsDefinition {
  readonly identities: readonly IdentityDefinition[];
  /** A user with the name of an identity has its grants; about others see `identitiesConfigured`. */
  readonly passwords: PasswordHashes;
  /**
   * Whether anybody says by name who may do what; also true while the file for that is empty. Then a user without an
   * identity may do what callers without credentials may, so that whoever removes an identity takes rights and gives none.
   * Where nobody does, every user may read and write in every instance, and overwrite in none.
   */
  readonly identitiesConfigured: boolean;
  readonly anonymous: AnonymousRights;
  /** Whether showing credentials can help anybody; also true while the files that hold them are empty. */
  readonly credentialsConfigured: boolean;
}
