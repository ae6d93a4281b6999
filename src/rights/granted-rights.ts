// What one identity may do, in a form that answers quickly.
import type { Right } from '../base/authorizer.ts';
import { covers, parseInstancePattern } from './instance-pattern.ts';
import type { InstancePattern } from './instance-pattern.ts';
import { everyRight } from './identity.ts';
import type { GrantDefinition } from './identity.ts';

/** One bit per right: a check is a comparison or two, since every call makes one. */
const bitOf: Readonly<Record<Right, number>> = { read: 1, write: 2, overwrite: 4, execute: 8, admin: 16 };

export class GrantedRights {
  static readonly none: GrantedRights = new GrantedRights([]);
  readonly #grants: readonly { readonly pattern: InstancePattern; readonly bits: number }[];

  /** @throws CacheError `invalid_argument` for a malformed pattern. */
  constructor(definitions: readonly GrantDefinition[]) {
    this.#grants = definitions.flatMap(({ instances, rights }) => {
      const bits = rights.reduce((sum, right) => sum | bitOf[right], 0);
      return instances.map((text) => ({ pattern: parseInstancePattern(text), bits }));
    });
  }

  has(right: Right, instance: string): boolean {
    const bit = bitOf[right];
    for (const { pattern, bits } of this.#grants) if ((bits & bit) !== 0 && covers(pattern, instance)) return true;
    return false;
  }

  hasSomewhere(right: Right): boolean {
    return this.#grants.some(({ bits }) => (bits & bitOf[right]) !== 0);
  }

  /** For texts: the rights in one instance. May be empty. */
  namesIn(instance: string): readonly Right[] {
    return everyRight.filter((right) => this.has(right, instance));
  }
}
