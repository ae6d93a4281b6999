// Where values come from. Each source gives a tree of texts in the form of the schema, and knows for each place in it
// what to call it.
import type { KeyForm } from './key.ts';

/** Where a value was given. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'file'; readonly file: string; /** From 1. */ readonly line: number; readonly column: number };

/** A place in a tree: names of keys, and indexes into lists. */
export type Place = readonly (string | number)[];

/** Texts under the names of groups and keys. */
export interface TextTree {
  readonly [name: string]: unknown;
}

/** What a name without a value has: `key:`, `key: ~`, `key: null`. */
export const nothing = Symbol('nothing');

export interface Source {
  readonly tree: TextTree;
  /** What relative paths in it are relative to; absolute. */
  readonly directory: string;
  /** Where the value at `place` was given, or else what is nearest above it. */
  origin(place: Place): Origin;
  /** Where the last name of `place` was given. */
  originOfName(place: Place): Origin;
  /** How a key at `place` is written in this source with the value of its example, for advice. */
  example(place: Place, form: KeyForm): string;
}

/** Something wrong in a configuration. */
export interface Mistake {
  /** One line: where, the value, and what is wrong with it. */
  readonly problem: string;
  /** One line: what to do. */
  readonly advice: string;
  readonly origin: Origin;
}

/** How an origin is written before a problem; empty for a default. */
export function formatOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'default': return '';
    case 'flag': return origin.flag;
    case 'environment': return origin.variable;
    case 'file': return `${origin.file}:${origin.line}:${origin.column}`;
  }
}

/** The value at `place`, or undefined. */
export function valueAt(tree: unknown, place: Place): unknown {
  let value = tree;
  for (const step of place) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

/** A tree to be filled. */
export class TreeBuilder {
  readonly tree: Record<string, unknown> = {};

  /** Puts `value` at `path`, below groups that are made if need be. */
  set(path: readonly string[], value: unknown): void {
    let group = this.tree;
    for (const name of path.slice(0, -1)) group = (group[name] ??= {}) as Record<string, unknown>;
    group[path.at(-1) ?? ''] = value;
  }
}
