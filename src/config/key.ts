// What a configuration key is: a value type with what people must know about it, and its place in a schema. Flags,
// variables, help texts, the reference page and the JSON Schema are all read off the schema by `keysOf`.
import * as z from 'zod/mini';
import { assert } from '../base/assert.ts';
import type { JsonForm, ValueType } from './value-type.ts';

/** What is known of one key beside its type. */
export interface KeyFacts {
  /** Whole sentences. */
  readonly help: string;
  /** A value that works, as text; of a list, one element. */
  readonly example: string;
  /** `text` is read as if it had been given; `derived` says in words where the value comes from. */
  readonly default: { readonly text: string } | { readonly derived: string };
  /** Whether SIGHUP applies a change to a running server; by default it takes a restart. */
  readonly reload?: true;
  /** Its value is shown to nobody. */
  readonly secret?: true;
  /** Where it may be given; default: everywhere. A secret on a command line is seen by every process. */
  readonly from?: 'file' | 'file-and-environment';
}

/** What is known of a group of keys. */
export interface GroupFacts {
  readonly title: string;
  readonly help?: string;
}

/** How the text of a flag or variable becomes what the schema takes: one value, several, or names with values. */
type Shape = 'one' | 'list' | 'pairs' | 'nested';

interface RegisteredKey extends KeyFacts {
  readonly shape: Shape;
  readonly placeholder: string;
  readonly json: JsonForm;
  readonly resolve: ValueType<unknown>['resolve'];
}

const keyRegistry = z.registry<RegisteredKey>();
const groupRegistry = z.registry<GroupFacts>();

/** One key of a schema, with its place and its names. */
export interface Key extends RegisteredKey {
  readonly path: readonly string[];
  /** `drain.timeout` */
  readonly name: string;
  readonly group: GroupFacts | undefined;
  /** Undefined when it may not be given so. */
  readonly flag: `--${string}` | undefined;
  readonly environment: `KILN_${string}` | undefined;
}

/** A key that always has a value: one whose default is a text. */
export function key<T>(type: ValueType<T>, facts: KeyFacts & { readonly default: { readonly text: string } }): z.ZodMiniPrefault<z.ZodMiniType<T, string>> {
  return register(z.prefault(type.schema, facts.default.text), type, facts, 'one');
}

/** A key that may have no value. */
export function optionalKey<T>(type: ValueType<T>, facts: KeyFacts & { readonly default: { readonly derived: string } }): z.ZodMiniOptional<z.ZodMiniType<T, string>> {
  return register(z.optional(type.schema), type, facts, 'one');
}

/** A key with a list of values, at least one unless the default is none. */
export function listKey<T>(type: ValueType<T>, facts: KeyFacts): z.ZodMiniPrefault<z.ZodMiniArray<z.ZodMiniType<T, string>>> {
  const initial = 'text' in facts.default ? [facts.default.text] : [];
  const list = z.array(type.schema);
  return register(z.prefault(initial.length === 0 ? list : list.check(z.minLength(1)), initial), type, facts, 'list');
}

/** A key with names of the user's choice, each with a value. */
export function pairsKey<T>(names: ValueType<string>, type: ValueType<T>, facts: KeyFacts): z.ZodMiniPrefault<z.ZodMiniRecord<z.ZodMiniType<string, string>, z.ZodMiniType<T, string>>> {
  return register(z.prefault(z.record(names.schema, type.schema), {}), type, facts, 'pairs');
}

/** A key whose value is a structure of its own, for the file only; `json` of nested values comes from their own registration. */
export function nestedKey<Schema extends z.ZodMiniType>(schema: Schema, facts: KeyFacts & { readonly from: 'file' }): z.ZodMiniPrefault<z.ZodMiniArray<Schema>> {
  const list = z.prefault(z.array(schema), []);
  keyRegistry.add(list, { ...facts, shape: 'nested', placeholder: 'LIST', json: {}, resolve: undefined });
  return list;
}

/** Keys under a common name. */
export function group<Shape extends z.core.$ZodLooseShape>(facts: GroupFacts, shape: Shape): z.ZodMiniPrefault<z.ZodMiniObject<Shape, z.core.$strict>> {
  const members = z.prefault(z.strictObject(shape), {} as never); // every member has a default or may be absent
  groupRegistry.add(members, facts);
  return members;
}

function register<Schema extends z.ZodMiniType>(schema: Schema, type: ValueType<unknown>, facts: KeyFacts, shape: Shape): Schema {
  const { placeholder, json, resolve } = type;
  keyRegistry.add(schema, { ...facts, shape, placeholder, json, resolve });
  return schema;
}

/** The keys of a schema, in the order in which they are written there; groups are entered. */
export function keysOf(schema: z.ZodMiniObject): readonly Key[] {
  return keysBelow(schema, [], undefined);
}

function keysBelow(schema: z.ZodMiniObject, above: readonly string[], within: GroupFacts | undefined): Key[] {
  return Object.entries(schema.shape).flatMap(([name, member]) => {
    const path = [...above, name];
    const registered = keyRegistry.get(member as z.ZodMiniType);
    if (registered !== undefined) return [{ ...registered, path, name: path.join('.'), group: within, ...namesOf(path, registered) }];
    assert(member instanceof z.ZodMiniPrefault && member.def.innerType instanceof z.ZodMiniObject, `${path.join('.')} is a key or a group`);
    return keysBelow(member.def.innerType, path, groupRegistry.get(member));
  });
}

function namesOf(path: readonly string[], { from }: KeyFacts): Pick<Key, 'flag' | 'environment'> {
  const name = path.join('-');
  return {
    flag: from === undefined ? `--${name}` : undefined,
    environment: from === 'file' ? undefined : `KILN_${name.replaceAll('-', '_').toUpperCase()}`,
  };
}
