// Help texts, made from the option table.
import type { OptionTable } from './option.ts';

/** Wide enough for a terminal, narrow enough to read. */
const lineCharsMax = 100;
const indent = '      ';

/** One paragraph per option: how it is written, what it does, its environment variable and default. */
export function optionHelp(table: OptionTable): string {
  return Object.values(table)
    .map((option) => {
      const value = 'text' in option.default ? option.default.text : option.default.derived;
      return [`  ${option.flag} ${option.type.placeholder}`, ...wrap(option.help), `${indent}[${option.environment}; default: ${value}]`].join('\n');
    })
    .join('\n');
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
