// Who a caller is and what it may do, by the identities, passwords and anonymous rights of one moment. A reload puts
// others in their place at once.
import { anonymous } from '../base/authorizer.ts';
import type { Authenticator, Authorizer, Caller, ClientCertificate, ConnectionCredentials, Right } from '../base/authorizer.ts';
import { BoundedMap } from '../base/bounded-map.ts';
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { parseAuthorization } from './authorization-header.ts';
import type { Credentials } from './authorization-header.ts';
import { CertificateOwners } from './certificate-owners.ts';
import type { PasswordCheck } from './password-check.ts';
import type { RightsDefinition } from './rights-definition.ts';
import { RightsTable } from './rights-table.ts';
import { hashOfToken } from './token.ts';

/** More than the tokens of a company. */
const rememberedMax = 1_024;

export class Rights implements Authenticator, Authorizer {
  readonly #passwords: PasswordCheck;
  readonly #log: Log;
  #table: RightsTable;
  #certificates: CertificateOwners;
  #generation = 0;
  /**
   * Headers that hold a known token: a client whose header blocks differ from call to call, by a deadline for instance,
   * would else have a hash computed for each, which costs ten times as much as finding it here. How long the search
   * takes tells nothing of what is in it: a Map compares texts only when their hashes are equal, and those are seeded
   * per process. Headers with passwords are never kept as they are (password-check.ts).
   */
  #remembered = new BoundedMap<string, Caller>(rememberedMax);

  /** @throws CacheError `invalid_argument` as `replace` does. */
  constructor(definition: RightsDefinition, passwords: PasswordCheck, log: Log) {
    this.#passwords = passwords;
    this.#log = log;
    this.#table = new RightsTable(definition);
    this.#certificates = new CertificateOwners(definition.identities);
    passwords.replace(definition.passwords);
  }

  get generation(): number {
    return this.#generation;
  }

  /**
   * From now on these count, for every question that is asked. Calls that were let in before go on.
   * @throws CacheError `invalid_argument` (a malformed pattern, a token of two identities); nothing is changed then.
   */
  replace(definition: RightsDefinition): void {
    const table = new RightsTable(definition);
    this.#certificates = new CertificateOwners(definition.identities);
    this.#table = table;
    this.#passwords.replace(definition.passwords);
    this.#remembered = new BoundedMap(rememberedMax);
    this.#generation += 1;
  }

  /**
   * A header goes before a certificate: it is about this request, the certificate about whoever holds the connection,
   * which may be a proxy for many.
   */
  identify(authorization: string | undefined, connection?: ConnectionCredentials): MaybePromise<Caller> {
    // Some tools always show a token, also to a cache that has never heard of any (Turborepo, Rush): where nobody has
    // credentials, none are wrong.
    if (!this.#table.credentialsConfigured) return anonymous;
    if (authorization === undefined) return connection?.certificate === undefined ? this.#withoutCredentials() : this.#ownerOfCertificate(connection, connection.certificate);
    const remembered = this.#remembered.get(authorization);
    if (remembered !== undefined) return remembered;
    const credentials = parseAuthorization(authorization);
    const caller = this.#ownerOfToken(credentials);
    if (caller !== undefined) {
      this.#remembered.set(authorization, caller);
      return caller;
    }
    if (credentials.kind === 'token') throw this.#wrongToken();
    const { user, password } = credentials;
    const right = this.#passwords.check(authorization, { user, password, connection });
    return isPromise(right) ? right.then((isRight) => this.#userNamed(user, isRight)) : this.#userNamed(user, right);
  }

  /** Refused by the headers alone, strangers do not get to fill the memory with requests that ask for nothing they may have. */
  #withoutCredentials(): Caller {
    if (this.#table.admitsAnonymous) return anonymous;
    this.#log.debug('no credentials were shown');
    throw new CacheError('unauthenticated', `to use this cache, ${waysToShowCredentials}`);
  }

  /** A certificate that is nobody's is no wrong credential: many clients show the only one they have to every server. */
  #ownerOfCertificate(connection: ConnectionCredentials, { subject }: ClientCertificate): Caller {
    const owner = this.#certificates.ownerOf(connection);
    if (owner !== undefined) return owner;
    if (this.#table.admitsAnonymous) return anonymous;
    this.#log.debug('a client certificate is that of no identity', { subject });
    throw new CacheError('unauthenticated', `the client certificate of ${JSON.stringify(subject)} belongs to no identity of this server; whoever runs it adds it to one (rights.identities, certificates)`);
  }

  /**
   * Tokens are found by their SHA-256. How long that takes may depend on how much of it equals the hash of a known
   * token, but that helps nobody: to steer the hash of what one sends, one would have to invert SHA-256.
   * Tools that know no bearer tokens send one as password of any user, or as user without a password.
   */
  #ownerOfToken(credentials: Credentials): Caller | undefined {
    if (credentials.kind === 'token') return this.#table.ownerOf(hashOfToken(credentials.token));
    const { user, password } = credentials;
    return this.#table.ownerOf(hashOfToken(password === '' ? user : password));
  }

  allows(caller: Caller, right: Right, instance: string): boolean {
    return this.#table.rightsOf(caller).has(right, instance);
  }

  allowsSomewhere(caller: Caller, right: Right): boolean {
    return this.#table.rightsOf(caller).hasSomewhere(right);
  }

  require(caller: Caller, right: Right, instance: string): void {
    if (!this.allows(caller, right, instance)) throw this.#refused(caller, right, instance);
  }

  requireSomewhere(caller: Caller, right: Right): void {
    if (!this.allowsSomewhere(caller, right)) throw this.#refused(caller, right, undefined);
  }

  whyNot(caller: Caller, right: Right, instance: string): string {
    return this.#lacking(caller, right, instance).message;
  }

  #wrongToken(): CacheError {
    this.#log.debug('an unknown token was shown');
    return new CacheError('unauthenticated', 'this token is not known here: revoked, of another server, or not copied whole');
  }

  /** One text for both, so that nobody learns which users there are. */
  #userNamed(user: string, isRight: boolean): Caller {
    if (isRight) return { kind: 'identity', name: user };
    // A name that is not known may be a secret in the wrong place.
    this.#log.debug('a wrong password was shown', { user: this.#table.knows(user) ? user : undefined });
    throw new CacheError('unauthenticated', 'wrong user or password, and no token of this server');
  }

  #refused(caller: Caller, right: Right, instance: string | undefined): CacheError {
    this.#log.debug('a right was lacking', { caller: caller.name, right, instance });
    return this.#lacking(caller, right, instance);
  }

  #lacking(caller: Caller, right: Right, instance: string | undefined): CacheError {
    if (caller.kind === 'identity') {
      const where = instance === undefined ? '' : ` in ${nameOf(instance)}`;
      const others = instance === undefined ? [] : this.#table.rightsOf(caller).namesIn(instance);
      const instead = others.length === 0 ? '' : `, only ${others.join(' and ')}`;
      return new CacheError('permission_denied', `${JSON.stringify(caller.name)} may not ${verbs[right]}${where}${instead}; whoever runs the server can grant it`);
    }
    if (this.#table.credentialsConfigured) {
      return new CacheError('unauthenticated', `to ${verbs[right]} here, ${waysToShowCredentials}`);
    }
    if (right === 'write') {
      return new CacheError('permission_denied', 'this cache may be read only; whoever runs it allows uploads with --allow-anonymous write, or gives out tokens ("kiln token create")');
    }
    if (right === 'overwrite') {
      return new CacheError('permission_denied', 'callers without credentials may write here and not overwrite; whoever runs the server allows it with --allow-anonymous overwrite, or gives out tokens that may ("kiln token create --grant \'*=read,write,overwrite\'")');
    }
    return new CacheError('permission_denied', `nobody may ${verbs[right]} here yet; whoever runs the server gives out tokens that may ("kiln token create --grant '*=${right}'")`);
  }
}

const waysToShowCredentials = 'show credentials: a token ("Authorization: Bearer TOKEN"), or user and password';

const verbs: Readonly<Record<Right, string>> = { read: 'read', write: 'write', overwrite: 'overwrite', execute: 'execute actions', admin: 'administer the server' };

function nameOf(instance: string): string {
  return instance === '' ? 'the instance without a name' : `instance ${JSON.stringify(instance)}`;
}
