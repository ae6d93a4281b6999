// The generated messages are current, and they say what proto/fields.tsv says: nothing more, nothing less.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { ScalarType } from '@bufbuild/protobuf';
import type { DescEnum, DescField, DescFile, DescMessage, DescMethod } from '@bufbuild/protobuf';

const root = join(import.meta.dirname, '..', '..');
const generated = join(root, 'src', 'proto', 'gen');

/** Relative paths, sorted. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
}

/** The descriptor of every generated file. */
async function descriptors(): Promise<DescFile[]> {
  const found: DescFile[] = [];
  for (const path of await filesBelow(generated)) {
    const module = (await import(join(generated, path))) as Readonly<Record<string, unknown>>;
    const file = Object.entries(module).find(([name]) => name.startsWith('file_'))?.[1];
    assert.ok(file !== undefined, `${path} exports its file descriptor`);
    found.push(file as DescFile);
  }
  return found;
}

function messageRows(message: DescMessage): string[] {
  const name = message.typeName;
  const rows = message.fields.map((field) => ['message', name, field.name, field.number, typeOf(field), labelsOf(field)].join('\t'));
  if (rows.length === 0) rows.push(['message', name, '(empty)', '', '', ''].join('\t'));
  for (const { start, end } of message.proto.reservedRange) {
    const last = end - 1; // ranges of messages exclude their end
    rows.push(['reserved', name, start === last ? `${start}` : `${start} to ${last}`].join('\t'));
  }
  assert.deepEqual(message.proto.reservedName, [], `${name} reserves no names`);
  return [...rows, ...message.nestedEnums.flatMap(enumRows), ...message.nestedMessages.flatMap(messageRows)];
}

function enumRows(description: DescEnum): string[] {
  return description.values.map(({ name, number }) => ['enum', description.typeName, name, number].join('\t'));
}

function methodRow(method: DescMethod): string {
  const request = `${method.proto.clientStreaming ? 'stream ' : ''}${method.input.typeName}`;
  const response = `${method.proto.serverStreaming ? 'stream ' : ''}${method.output.typeName}`;
  return ['rpc', `/${method.parent.typeName}/${method.name}`, request, response].join('\t');
}

function typeOf(field: DescField): string {
  switch (field.fieldKind) {
    case 'map': {
      const value = field.message ?? field.enum;
      return `map<${scalarName(field.mapKey)},${value === undefined ? scalarName(field.scalar) : value.typeName}>`;
    }
    case 'list': {
      const element = field.message ?? field.enum;
      return `repeated ${element === undefined ? scalarName(field.scalar) : element.typeName}`;
    }
    case 'message':
      return field.message.typeName;
    case 'enum':
      return `${field.proto.proto3Optional ? 'optional ' : ''}${field.enum.typeName}`;
    case 'scalar':
      return `${field.proto.proto3Optional ? 'optional ' : ''}${scalarName(field.scalar)}`;
  }
}

function scalarName(scalar: ScalarType | undefined): string {
  const name = Object.entries(ScalarType).find(([, value]) => value === scalar)?.[0];
  assert.ok(name !== undefined, 'a scalar type has a name');
  return name.toLowerCase();
}

function labelsOf(field: DescField): string {
  const labels = field.oneof === undefined ? [] : [`oneof ${field.oneof.name}`];
  if (field.deprecated) labels.push('deprecated');
  return labels.join('; ');
}

/** The rows of the table with every type written in full, sorted. */
async function tableRows(): Promise<string[]> {
  const text = await readFile(join(root, 'proto', 'fields.tsv'), 'utf8');
  const rows = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split('\t'));
  const names = new Set(rows.filter(([kind]) => kind !== 'rpc').map(([, name = '']) => name));
  return rows.map((row) => normalised(row, names)).toSorted();
}

function normalised([kind = '', name = '', a = '', b = '', type = '', label = '']: readonly string[], names: ReadonlySet<string>): string {
  switch (kind) {
    case 'rpc':
      return [kind, name, inFull(a, name.slice(1).replace('/', '.'), names), inFull(b, name.slice(1).replace('/', '.'), names)].join('\t');
    case 'message':
      return [kind, name, a, b, inFull(type, name, names), label].join('\t');
    case 'enum':
      return [kind, name, a, b].join('\t');
    case 'reserved':
      return [kind, name, b].join('\t');
    default:
      return assert.fail(`unknown kind ${kind} in fields.tsv`);
  }
}

/** `type` with each name in it resolved from the innermost scope outwards. */
function inFull(type: string, scope: string, names: ReadonlySet<string>): string {
  return type.replaceAll(/[A-Za-z_][\w.]*/g, (name) => {
    for (let inside = scope; inside !== ''; inside = inside.slice(0, Math.max(0, inside.lastIndexOf('.')))) {
      if (names.has(`${inside}.${name}`)) return `${inside}.${name}`;
    }
    return name;
  });
}

describe('generated messages', () => {
  it('are what scripts/generate-proto.sh makes of proto/, byte by byte', { timeout: 120_000 }, async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'kiln-proto-'));
    try {
      const fresh = join(scratch, 'gen');
      await promisify(execFile)(join(root, 'scripts', 'generate-proto.sh'), [fresh]);
      const names = await filesBelow(fresh);
      assert.ok(names.length >= 19, `the compiler wrote ${names.length} files`);
      assert.deepEqual(await filesBelow(generated), names);
      for (const name of names) {
        const [kept, made] = await Promise.all([readFile(join(generated, name), 'utf8'), readFile(join(fresh, name), 'utf8')]);
        assert.ok(kept === made, `${name} differs from what its .proto makes; run npm run generate`);
      }
    } finally {
      await rm(scratch, { recursive: true });
    }
  });

  it('have the names, numbers, types and labels of proto/fields.tsv, and no others', async () => {
    const compiled: string[] = [];
    for (const file of await descriptors()) {
      assert.equal(file.edition, 999, `${file.name} is proto3`);
      compiled.push(...file.messages.flatMap(messageRows), ...file.enums.flatMap(enumRows));
      for (const service of file.services) compiled.push(...service.methods.map(methodRow));
      assert.deepEqual(file.extensions, [], `${file.name} declares no extensions`);
    }
    assert.ok(compiled.length > 500, `${compiled.length} facts were compiled`);
    const table = await tableRows();
    assert.equal(new Set(table).size, table.length, 'no row twice');
    assert.deepEqual(compiled.toSorted(), table);
  });
});
