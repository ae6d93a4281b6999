// What is in effect and where it comes from, as YAML that can be used as a configuration file. Secrets are left out.
import { stringify } from 'yaml';
import type { Key } from './key.ts';
import type { Configuration } from './read-configuration.ts';
import { serveKeys } from './serve-schema.ts';
import { valueAt } from './source.ts';
import type { Origin } from './source.ts';

/** Room for most values. */
const commentColumn = 40;

export function effectiveYaml(configuration: Configuration): string {
  const lines: string[] = [`# What kiln serve would run with${configuration.file === undefined ? '' : `, given ${configuration.file}`}, and where each value comes from.`];
  let above: readonly string[] = [];
  for (const key of serveKeys) {
    const groups = key.path.slice(0, -1);
    lines.push(...newGroups(groups, above));
    above = groups;
    const indent = indentOf(groups.length);
    lines.push(...linesOf(key, configuration, commentColumn - indent.length).map((line) => `${indent}${line}`));
  }
  return `${lines.join('\n')}\n`;
}

/** The names of the groups that begin here, one below the other. */
function newGroups(groups: readonly string[], above: readonly string[]): string[] {
  const shared = groups.findIndex((name, depth) => name !== above[depth]);
  if (shared === -1) return [];
  return groups.slice(shared).flatMap((name, index) => ['', `${indentOf(shared + index)}${name}:`]);
}

function indentOf(depth: number): string {
  return '  '.repeat(depth);
}

/** @param column where comments begin, unless the value is longer. */
function linesOf(key: Key, configuration: Configuration, column: number): string[] {
  const commented = ([first = '', ...rest]: readonly string[], comment: string) => [`${first.padEnd(column)} # ${comment}`, ...rest];
  const name = key.path.at(-1) ?? '';
  const { given, options } = configuration;
  const value = valueAt(given, key.path);
  const origin = originText(configuration.originOf(key.name));
  if (value === undefined) {
    if ('text' in key.default) return commented(key.shape === 'list' ? [`${name}:`, `  - ${scalar(key.default.text)}`] : [`${name}: ${scalar(key.default.text)}`], 'default');
    if (key.name === 'data') return commented([`data: ${scalar(options.dataDirectory)}`], `default: ${key.default.derived}`);
    return [`# ${name}: ${key.default.derived}`];
  }
  if (key.secret === true) return [`# ${name}: hidden, from ${origin}`];
  if (key.shape === 'nested') return commented([`${name}:`, ...stringify(value).trimEnd().split('\n').map((line) => `  ${line}`)], origin);
  if (Array.isArray(value)) return commented([`${name}:`, ...value.map((one) => `  - ${listed(one)}`)], origin);
  return typeof value === 'string' ? commented([`${name}: ${scalar(value)}`], origin) : [];
}

/** A value of a list: a text, or a structure of texts. */
function listed(value: unknown): string {
  if (typeof value !== 'object' || value === null) return scalar(String(value));
  return `{${Object.entries(value).map(([name, text]) => `${name}: ${scalar(String(text))}`).join(', ')}}`;
}

/** Plain where that is what YAML reads again, and quoted otherwise. Numbers stay plain: editors expect them so. */
function scalar(text: string): string {
  const isPlain = /^[A-Za-z0-9/.][\w./%@+:-]*$/.test(text) && !text.endsWith(':') && !/^(?:null)$/i.test(text);
  return isPlain ? text : JSON.stringify(text);
}

function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'default': return 'default';
    case 'flag': return origin.flag;
    case 'environment': return origin.variable;
    case 'file': return `${origin.file}:${origin.line}`;
  }
}
