// From client certificates to identities, by the patterns of one moment. Never changed: a reload makes another one.
import type { Caller, ConnectionCredentials } from '../base/authorizer.ts';
import { parseCertificatePattern } from './certificate-pattern.ts';
import type { CertificatePattern } from './certificate-pattern.ts';
import type { IdentityDefinition } from './identity.ts';

const ranks: readonly CertificatePattern['rank'][] = ['exact', 'wildcard', 'every'];

export class CertificateOwners {
  /** In the order in which they are tried. */
  readonly #patterns: readonly { readonly pattern: CertificatePattern; readonly owner: Caller }[];
  /** Requests of one connection show the same object. */
  readonly #known = new WeakMap<ConnectionCredentials, { readonly owner: Caller | undefined }>();

  /** @throws CacheError `invalid_argument` for a malformed pattern. */
  constructor(identities: readonly IdentityDefinition[]) {
    const patterns = identities.flatMap(({ name, certificates = [] }) => {
      const owner: Caller = { kind: 'identity', name };
      return certificates.map((text) => ({ pattern: parseCertificatePattern(text), owner }));
    });
    this.#patterns = ranks.flatMap((rank) => patterns.filter(({ pattern }) => pattern.rank === rank));
  }

  /** Whose certificate the connection has shown: exact patterns go before wildcards, and of equals the first one counts. */
  ownerOf(credentials: ConnectionCredentials): Caller | undefined {
    const { certificate } = credentials;
    if (certificate === undefined) return undefined;
    const known = this.#known.get(credentials);
    if (known !== undefined) return known.owner;
    const owner = this.#patterns.find(({ pattern }) => pattern.covers(certificate))?.owner;
    this.#known.set(credentials, { owner });
    return owner;
  }
}
