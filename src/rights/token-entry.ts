// An identity with one token as it stands in a tokens file: a list in YAML, one entry per identity.
import { CacheError } from '../base/cache-error.ts';
import type { IdentityDefinition } from './identity.ts';

/** Lines that end in a line break; without grants, the entry adds a token to what other entries of its name may do. Texts are quoted: to YAML a name like `no` or `1e3` is none. */
export function tokenEntry({ name, tokens, grants }: IdentityDefinition): string {
  const lines = [`- name: ${JSON.stringify(name)}`, `  tokens: [${tokens.join(', ')}]`];
  if (grants.length > 0) lines.push('  grants:');
  for (const { instances, rights } of grants) {
    lines.push(`    - instances: [${instances.map((text) => JSON.stringify(text)).join(', ')}]`, `      rights: [${rights.join(', ')}]`);
  }
  return `${lines.join('\n')}\n`;
}

/** A name in any form that YAML has for it, in quotes or not. Names of identities have no blanks, quotes, commas and colons. */
const nameInEntry = /[\s{,](?:name|"name"|'name')\s*:\s*["']?([^\s"',}]+)/g;

/** Whether a tokens file has an entry of that name, as `tokenEntry` or a person writes it. */
export function hasEntryNamed(text: string, name: string): boolean {
  const lines = text.split(/\r?\n/).filter((line) => !/^\s*#/.test(line));
  return lines.some((line) => line.matchAll(nameInEntry).some(([, found]) => found === name));
}

/** A line that may stand in a file to whose end an entry can be added: of an entry, or of no meaning. */
const fittingLine = /^(?:- .*|-| .*|#.*|---\s*|\s*)$/;

/**
 * The text of a tokens file with one entry more.
 * @throws CacheError `failed_precondition` for a file to whose end nothing can be added.
 */
export function withTokenEntry(text: string, entry: string, path: string): string {
  const kept = text.trim() === '[]' ? '' : text;
  const misfit = kept.split(/\r?\n/).findIndex((line) => !fittingLine.test(line));
  if (misfit !== -1) {
    throw new CacheError('failed_precondition', `${path}:${misfit + 1}: to this file no entry can be added: it is not a list with "- name: ..." at the beginning of lines\nleave --file out, and paste what is printed where it belongs`);
  }
  return `${kept}${kept === '' || kept.endsWith('\n') ? '' : '\n'}${entry}`;
}
