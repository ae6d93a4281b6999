// The ports of rights: who a caller is, and what that caller may do. Services and HTTP adapters ask before they call
// a verb; stores never do.
import type { MaybePromise } from './maybe-promise.ts';

/**
 * What a caller may want. `write` adds blobs, action results and values of tools; `overwrite`, beside it, puts results and
 * values in the place of others, where `write` alone leaves the first one (CT-9). `execute` queues actions, `admin` looks
 * into and steers the daemon itself (profiles, for instance). None includes another; configuration may grant several at once.
 */
export type Right = 'read' | 'write' | 'overwrite' | 'execute' | 'admin';

/** Who asks. Made by an Authenticator only; what it may do is asked of the Authorizer, never read from here. */
export interface Caller {
  /** `anonymous` has shown no credentials; what it may do is configuration like for anybody else. */
  readonly kind: 'anonymous' | 'identity';
  /** For logs and errors; never a secret. */
  readonly name: string;
}

export const anonymous: Caller = { kind: 'anonymous', name: 'anonymous' };

/** Whom a client certificate names. Every part of it was vouched for by an authority that the server trusts. */
export interface ClientCertificate {
  /** As in RFC 4514, the most specific name first: `CN=ci,O=Example`. Long; for comparing and for logs. */
  readonly subject: string;
  /** Every CN of the subject, unescaped. */
  readonly commonNames: readonly string[];
  /** Of the subject alternative name. */
  readonly dnsNames: readonly string[];
  readonly uris: readonly string[];
  readonly emails: readonly string[];
}

/**
 * What a connection shows beside the header of a request; one object for all requests of a connection, so that it also
 * tells them apart from those of others.
 */
export interface ConnectionCredentials {
  readonly certificate?: ClientCertificate;
}

/** Finds out who asks. */
export interface Authenticator {
  /**
   * `authorization` is the header's value, or undefined when there is none; then the certificate of the `connection`
   * counts, if there is one. Answers at once for what it has seen before; a first look at a slow password hash may take
   * a promise.
   * @throws CacheError `unauthenticated` for credentials that are wrong or of no known scheme, and for absent ones where
   *   nobody may do anything without: then nothing more of the request is taken. Elsewhere absent ones are `anonymous`.
   */
  identify(authorization: string | undefined, connection?: ConnectionCredentials): MaybePromise<Caller>;
  /** Rises when what `identify` answers may have changed (a reload); whoever remembers answers asks again then. */
  readonly generation: number;
}

/** Decides about one right in one instance. Answers at once: nothing on the way of a request waits for it. */
export interface Authorizer {
  allows(caller: Caller, right: Right, instance: string): boolean;
  /** Whether there is an instance in which `caller` has `right`: for what belongs to no instance, such as metrics. */
  allowsSomewhere(caller: Caller, right: Right): boolean;
  /**
   * @throws CacheError `unauthenticated` (an anonymous caller lacks the right, and credentials would help) or
   *   `permission_denied`, with a text that says what is allowed instead.
   */
  require(caller: Caller, right: Right, instance: string): void;
  /** What `require` would say to a caller who lacks the right: which one, and how it is got. For texts of other refusals. */
  whyNot(caller: Caller, right: Right, instance: string): string;
  /** As `require`, for `allowsSomewhere`. */
  requireSomewhere(caller: Caller, right: Right): void;
}
