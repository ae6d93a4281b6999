// The port of rights. Services and HTTP adapters ask it before they call a verb; stores never do.

/** What a caller may want. */
export type Right = 'read' | 'write';

/** Who asks. Anonymous is an identity like any other: what it may do is configuration. */
export interface Caller {
  readonly kind: 'anonymous';
}

export const anonymous: Caller = { kind: 'anonymous' };

/** Decides about one right in one instance. Answers at once: nothing on the way of a request waits for it. */
export interface Authorizer {
  allows(caller: Caller, right: Right, instance: string): boolean;
  /** @throws CacheError `permission_denied` with a text that says what is allowed instead. */
  require(caller: Caller, right: Right, instance: string): void;
}
