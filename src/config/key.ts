// What a configuration key is: a value type with what people must know about it, and its place in a schema. Flags,
// variables, help texts, the reference page and the JSON Schema are all read off the schema by `keysOf`.
import * as z from 'zod/mini';
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
  /** Of a list whose values may be structures: the member that a value alone stands for. */
  readonly member?: string;
  /** Where it may be given; default: everywhere. A secret on a command line is seen by every process. */
  readonly from?: 'file' | 'file-and-environment';
}

/** What is known of a key of a structure. */
export type MemberFacts = Pick<KeyFacts, 'help' | 'example' | 'secret'>;

/** What is known of a group of keys. */
export interface GroupFacts {
  readonly title: string;
  readonly help?: string;
}

/** How the text of a flag or variable becomes what the schema takes: one value, several, or names with values. */
type Shape = 'one' | 'list' | 'pairs' | 'nested';

/** A key wherever it stands. */
export interface KeyForm extends KeyFacts {
  readonly shape: Shape;
  readonly placeholder: string;
  readonly json: JsonForm;
  readonly resolve: ValueType<unknown>['resolve'];
  readonly words: readonly string[];
}

const keyRegistry = z.registry<KeyForm>();
const groupRegistry = z.registry<GroupFacts>();

/** One key of a schema, with its place and its names. */
export interface Key extends KeyForm {
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

/** A key of a structure that must be given. */
export function requiredKey<T>(type: ValueType<T>, facts: MemberFacts): z.ZodMiniType<T, string> {
  return register(z.pipe(type.schema, z.transform((value: T) => value)), type, { ...facts, default: { derived: 'none' } }, 'one');
}

/** A key of a structure with a list that must be given and has at least one element. */
export function requiredListKey<T>(type: ValueType<T>, facts: MemberFacts): z.ZodMiniArray<z.ZodMiniType<T, string>> {
  return register(z.array(type.schema).check(z.minLength(1)), type, { ...facts, default: { derived: 'none' } }, 'list');
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

/**
 * A key with a list of values, at least one, each of which may also be written as a structure: the value is its member
 * `member` then. What the schema gives are structures.
 */
export function mixedListKey<T, Name extends string, Members extends z.core.$ZodLooseShape>(
  type: ValueType<T>,
  { member, help, others }: { readonly member: Name; readonly help: string; readonly others: Members },
  facts: KeyFacts & { readonly default: { readonly text: string } },
): z.ZodMiniPrefault<z.ZodMiniArray<z.ZodMiniType<Record<Name, T> & z.output<z.ZodMiniObject<Members>>, unknown>>> {
  const own = register(z.pipe(type.schema, z.transform((value: T) => value)), type, { ...facts, help, default: { derived: 'none' } }, 'one');
  const whole = z.strictObject({ [member]: own, ...others });
  const text = z.pipe(type.schema, z.transform((value: T) => ({ [member]: value })));
  const element = z.union([text, whole]) as unknown as z.ZodMiniType<Record<Name, T> & z.output<z.ZodMiniObject<Members>>, unknown>;
  const list = z.prefault(z.array(element).check(z.minLength(1)), [facts.default.text]);
  return register(list, type, { ...facts, member }, 'list');
}

/** A key with names of the user's choice, each with a value. */
export function pairsKey<T>(names: ValueType<string>, type: ValueType<T>, facts: KeyFacts): z.ZodMiniPrefault<z.ZodMiniRecord<z.ZodMiniType<string, string>, z.ZodMiniType<T, string>>> {
  return register(z.prefault(z.record(names.schema, type.schema), {}), type, facts, 'pairs');
}

/**
 * A key with a list of structures, for the file only. Their members are keys as well, whose names, defaults and
 * reloading count for nothing outside the structure.
 */
export function nestedKey<Schema extends z.ZodMiniObject>(schema: Schema, facts: KeyFacts & { readonly from: 'file' }): z.ZodMiniPrefault<z.ZodMiniArray<Schema>> {
  const list = z.prefault(z.array(schema), []);
  keyRegistry.add(list, { ...facts, shape: 'nested', placeholder: 'LIST', json: {}, resolve: undefined, words: [] });
  return list;
}

/** Keys under a common name. */
export function group<Shape extends z.core.$ZodLooseShape>(facts: GroupFacts, shape: Shape): z.ZodMiniPrefault<z.ZodMiniObject<Shape, z.core.$strict>> {
  const members = z.prefault(z.strictObject(shape), {} as never); // every member has a default or may be absent
  groupRegistry.add(members, facts);
  return members;
}

function register<Schema extends z.ZodMiniType>(schema: Schema, type: ValueType<unknown>, facts: KeyFacts, shape: Shape): Schema {
  const { placeholder, json, resolve, words = [] } = type;
  keyRegistry.add(schema, { ...facts, shape, placeholder, json, resolve, words });
  return schema;
}

/** What a schema says of one place in its trees. */
export interface SchemaPlace {
  /** The innermost key at or above the place. */
  readonly key: KeyForm | undefined;
  /** Of a group or structure: its members by name, in order. */
  readonly members: ReadonlyMap<string, z.ZodMiniType> | undefined;
  readonly group: GroupFacts | undefined;
  /** Of a list: one of its elements. */
  readonly element: z.ZodMiniType | undefined;
  /** Whether it must be given. */
  readonly required: boolean;
}

/** What stands at the root of `schema`. `above`: the innermost key above it. */
export function lookInto(schema: z.ZodMiniType, above?: KeyForm): SchemaPlace {
  const key = keyRegistry.get(schema) ?? above;
  const unwrapped = schema instanceof z.ZodMiniPrefault || schema instanceof z.ZodMiniOptional ? (schema.def.innerType as z.ZodMiniType) : schema;
  // Of a text and a structure, the text has no places in it.
  const inner = unwrapped instanceof z.ZodMiniUnion ? (unwrapped.def.options[1] as z.ZodMiniType) : unwrapped;
  return {
    key,
    group: groupRegistry.get(schema),
    members: inner instanceof z.ZodMiniObject ? new Map(Object.entries(inner.shape as Record<string, z.ZodMiniType>)) : undefined,
    required: unwrapped === schema,
    element: inner instanceof z.ZodMiniArray ? (inner.def.element as z.ZodMiniType) : undefined,
  };
}

/** The keys of a schema, in the order in which they are written there; groups are entered, structures are not. */
export function keysOf(schema: z.ZodMiniType): readonly Key[] {
  return keysBelow(schema, [], undefined);
}

function keysBelow(schema: z.ZodMiniType, path: readonly string[], within: GroupFacts | undefined): Key[] {
  const { key: form, members, group: facts } = lookInto(schema);
  if (form !== undefined) return [{ ...form, path, name: path.join('.'), group: within, ...namesOf(path, form) }];
  return [...(members ?? [])].flatMap(([name, member]) => keysBelow(member, [...path, name], facts));
}

function namesOf(path: readonly string[], { from }: KeyFacts): Pick<Key, 'flag' | 'environment'> {
  const name = path.join('-');
  return {
    flag: from === undefined ? `--${name}` : undefined,
    environment: from === 'file' ? undefined : `KILN_${name.replaceAll('-', '_').toUpperCase()}`,
  };
}
