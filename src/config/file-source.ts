// Values given in a YAML file.
import { dirname } from 'node:path';
import type * as z from 'zod/mini';
import type { ReadSource } from './command-line.ts';
import { lookInto } from './key.ts';
import type { KeyForm } from './key.ts';
import { nothing } from './source.ts';
import type { TextTree } from './source.ts';
import { readYamlTree } from './yaml-tree.ts';

/**
 * @param file absolute.
 * @param schema of the whole file. It is not applied here; it only tells where a name without a value is all right.
 */
export function readFileSource(file: string, bytes: Uint8Array, schema: z.ZodMiniType): ReadSource {
  const yaml = readYamlTree(file, bytes);
  const root = yaml.root === undefined ? nothing : yaml.root;
  return {
    mistakes: yaml.mistakes,
    source: {
      // Whatever the root is, also a list or a text: the schema says what is wrong with it.
      tree: (settled(root, schema) ?? (lookInto(schema).element === undefined ? {} : [])) as TextTree,
      directory: dirname(file),
      origin: (place) => ({ kind: 'file', file, ...yaml.positionOf(place) }),
      originOfName: (place) => ({ kind: 'file', file, ...yaml.positionOfName(place) }),
      example: (place, form) => `${place.findLast((step) => typeof step === 'string') ?? ''}: ${exampleInYaml(form)}`,
    },
  };
}

/**
 * A group or list whose members are all commented out (`log:` alone) counts as not given. Other names without a value
 * keep `nothing`, which every schema refuses.
 */
function settled(value: unknown, schema: z.ZodMiniType | undefined): unknown {
  const { key, members, element } = schema === undefined ? {} : lookInto(schema);
  if (value === nothing) return members !== undefined || element !== undefined || key?.shape === 'pairs' ? undefined : nothing;
  if (Array.isArray(value)) return value.map((one) => (one === nothing ? nothing : settled(one, element)));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, member]) => [name, settled(member, members?.get(name))] as const);
  return Object.fromEntries(entries.filter(([, member]) => member !== undefined));
}

export function exampleInYaml({ shape, example }: KeyForm): string {
  if (shape === 'pairs') return `{${example.replace('=', ': ')}}`;
  return shape === 'one' ? example : `[${example}]`;
}
