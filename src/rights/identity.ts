// Who may do what, as it is written down: in the configuration, in a tokens file, or by an htpasswd file.
import type { Right } from '../base/authorizer.ts';

/** Every right there is, in the order in which texts name them. */
export const everyRight: readonly Right[] = ['read', 'write', 'overwrite', 'execute', 'admin'];

/** Rights in the instances that the patterns cover (instance-pattern.ts). */
export interface GrantDefinition {
  readonly instances: readonly string[];
  readonly rights: readonly Right[];
}

/** Definitions of the same name are one identity: their tokens, certificates and grants add up. */
export interface IdentityDefinition {
  readonly name: string;
  /** Each `sha256:` and 64 lower-case hex digits; see token.ts. */
  readonly tokens: readonly string[];
  /** Patterns of client certificates; see certificate-pattern.ts. */
  readonly certificates?: readonly string[];
  readonly grants: readonly GrantDefinition[];
}
