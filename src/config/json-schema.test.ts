// The JSON Schema for editors agrees with what Kiln itself takes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { exampleInYaml } from './file-source.ts';
import { configurationJsonSchema } from './json-schema.ts';
import { serveKeys } from './serve-schema.ts';

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly required?: readonly string[];
}

/** As much of JSON Schema as the schema uses, read from its specification and not from our generator. */
function accepts(schema: Schema, value: unknown): boolean {
  const { anyOf, pattern, minimum, maximum, minLength, items, properties = {}, additionalProperties, required = [] } = schema;
  if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
  if ('const' in schema && schema.const !== value) return false;
  if (anyOf !== undefined && !anyOf.some((one) => accepts(one, value))) return false;
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => typesOf(value).includes(type))) return false;
  if (typeof value === 'string' && ((pattern !== undefined && !new RegExp(pattern, 'u').test(value)) || value.length < (minLength ?? 0))) return false;
  if (typeof value === 'number' && (value < (minimum ?? -Infinity) || value > (maximum ?? Infinity))) return false;
  if (Array.isArray(value)) return items === undefined || value.every((one) => accepts(items, one));
  if (typeof value !== 'object' || value === null) return true;
  return (
    required.every((name) => name in value) &&
    Object.entries(value).every(([name, one]) => {
      const member = properties[name] ?? additionalProperties;
      return typeof member === 'object' ? accepts(member, one) : member !== false;
    })
  );
}

function typesOf(value: unknown): readonly string[] {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  return Number.isInteger(value) ? ['integer', 'number'] : [typeof value];
}

const schema = configurationJsonSchema() as Schema;

describe('the JSON Schema of the configuration', () => {
  for (const key of serveKeys) {
    it(`accepts the example and the default of ${key.name}`, () => {
      const example = key.name === 'rights.identities' ? key.example.replaceAll('HEX', '0'.repeat(64)) : key.example;
      const texts = [exampleInYaml({ ...key, example }), ...('text' in key.default ? [exampleInYaml({ ...key, example: key.default.text })] : [])];
      for (const text of texts) {
        const yaml = [...key.path.slice(0, -1).map((name, depth) => `${name}:\n${'  '.repeat(depth + 1)}`), `${key.path.at(-1)}: ${text}`].join('');
        assert.ok(accepts(schema, parse(yaml)), yaml);
      }
    });
  }

  const refused: readonly string[] = [
    'max-sise: 10GiB',
    'max-size: 10',
    'listen: 127.0.0.1:9092',
    'log: {level: loud}',
    'limits: {connections: 0}',
    'limits: {streams: many}',
    'metrics: {enabled: maybe}',
    'traces: {sample-ratio: 2}',
    'traces: {endpoint: localhost}',
    'rights: {identities: [{tokens: []}]}',
    'rights: {identities: [{name: ci, grants: [{instances: ["*"], rights: [reed]}]}]}',
    'rights: {identities: [{name: ci, tokens: [secret]}]}',
    'data: ""',
  ];
  for (const yaml of refused) it(`refuses ${yaml}`, () => assert.ok(!accepts(schema, parse(yaml))));

  it('accepts groups whose keys are commented out', () => {
    assert.ok(accepts(schema, parse('log:\nlisten:\nrights: {identities: }')));
  });
});
