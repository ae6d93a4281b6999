// Label values that clients make up, kept few: so many distinct ones, and one for all others.

/** What all names beyond the bound are called. */
export const otherName = 'other';

/** Values by name, for a bounded number of names. */
export class BoundedNames<V> {
  readonly #namesMax: number;
  readonly #make: (name: string) => V;
  readonly #byName = new Map<string, V>();
  #other: V | undefined;

  /** `make` is called once for each of the first `namesMax` names, and once with `other` for the rest. */
  constructor(namesMax: number, make: (name: string) => V) {
    this.#namesMax = namesMax;
    this.#make = make;
  }

  of(name: string): V {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#byName.size >= this.#namesMax || name === otherName) return (this.#other ??= this.#make(otherName));
    const made = this.#make(name);
    this.#byName.set(name, made);
    return made;
  }
}
