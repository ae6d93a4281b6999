// Help texts, made from the keys of the schema.
import type { GroupFacts, Key } from './key.ts';

/** Wide enough for a terminal, narrow enough to read. */
const lineCharsMax = 100;
const indent = '      ';

/** One paragraph per option: how it is written, what it does, its environment variable and default; by group. */
export function optionHelp(keys: readonly Key[]): string {
  const paragraphs: string[] = [];
  let group: GroupFacts | undefined;
  for (const key of keys) {
    if (key.flag === undefined) continue;
    if (key.group !== group && key.group !== undefined) paragraphs.push('', `${key.group.title}:`);
    group = key.group;
    const value = 'text' in key.default ? key.default.text : key.default.derived;
    paragraphs.push(`  ${key.flag} ${key.placeholder}`, ...wrap(key.help), ...wrap(`[${key.environment ?? 'no variable'}; default: ${value}]`));
  }
  return paragraphs.join('\n');
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = indent.trimEnd();
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > lineCharsMax) {
      lines.push(line);
      line = indent.trimEnd();
    }
    line += line === '' ? `${indent}${word}` : ` ${word}`;
  }
  return [...lines, line];
}
