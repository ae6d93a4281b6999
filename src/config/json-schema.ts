// The schema of the configuration file for editors: completion, help on hovering, errors while typing.
import type * as z from 'zod/mini';
import { lookInto } from './key.ts';
import type { KeyForm, SchemaPlace } from './key.ts';
import { serveSchema } from './serve-schema.ts';
import type { JsonForm } from './value-type.ts';

/** As JSON Schema, draft 7, which every editor's YAML support knows. */
export function configurationJsonSchema(): JsonForm {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Configuration of kiln serve',
    ...formOf(serveSchema),
  };
}

function formOf(schema: z.ZodMiniType): JsonForm {
  const at = lookInto(schema);
  const { key, members, group } = at;
  if (members === undefined) return key === undefined ? {} : { ...valueForm(key, at), ...aboutKey(key) };
  const required = [...members].filter(([, member]) => lookInto(member).required).map(([name]) => name);
  return {
    ...(group === undefined ? {} : { title: group.title, ...(group.help === undefined ? {} : { description: group.help }) }),
    // A group whose keys are all commented out is null in YAML.
    type: group === undefined ? 'object' : ['object', 'null'],
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    properties: Object.fromEntries([...members].map(([name, member]) => [name, formOf(member)])),
  };
}

function valueForm({ shape, json }: KeyForm, { element }: SchemaPlace): JsonForm {
  switch (shape) {
    case 'one': return json;
    case 'list': return { type: ['array', 'null'], items: element === undefined || lookInto(element).members === undefined ? json : { anyOf: [json, formOf(element)] } };
    case 'pairs': return { type: ['object', 'null'], additionalProperties: json };
    case 'nested': return { type: ['array', 'null'], items: element === undefined ? {} : formOf(element) };
  }
}

function aboutKey({ help, shape, json, example, default: initial }: KeyForm): JsonForm {
  const typed = (text: string) => (json['type'] === 'integer' || json['type'] === 'number' ? Number(text) : json['type'] === 'boolean' ? text === 'true' : text);
  const shown = 'text' in initial ? { default: shape === 'list' ? [initial.text] : typed(initial.text) } : {};
  return { description: 'text' in initial ? help : `${help} Default: ${initial.derived}.`, ...shown, ...(shape === 'one' ? { examples: [typed(example)] } : {}) };
}
