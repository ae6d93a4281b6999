// Everything that rights are made of, at one moment.
import type { PasswordHashes } from './htpasswd.ts';
import type { IdentityDefinition } from './identity.ts';

/** What callers without credentials may do, in every instance; `write` includes `read`. */
export type AnonymousRights = 'none' | 'read' | 'write';

export interface RightsDefinition {
  readonly identities: readonly IdentityDefinition[];
  /** A user with the name of an identity has its grants; any other may read and write in every instance. */
  readonly passwords: PasswordHashes;
  readonly anonymous: AnonymousRights;
  /** Whether showing credentials can help anybody; also true while the files that hold them are empty. */
  readonly credentialsConfigured: boolean;
}
