// Help texts, made from the keys of the schema.
import type { GroupFacts, Key } from './key.ts';
import { paragraph } from './paragraph.ts';

const indent = 6;

/** One paragraph per option, under the title of its group: how it is written, what it does, variable and default. */
export function optionHelp(keys: readonly Key[]): string {
  const lines: string[] = [];
  let group: GroupFacts | undefined;
  for (const key of keys) {
    if (key.group !== group && key.group !== undefined) {
      lines.push('', `${key.group.title}:`);
      if (key.group.help !== undefined) lines.push(...paragraph(key.group.help, 2));
    }
    group = key.group;
    lines.push(`  ${spelling(key)}`, ...paragraph(key.help, indent), ...paragraph(`[${facts(key).join('; ')}]`, indent));
  }
  return lines.join('\n');
}

function spelling(key: Key): string {
  if (key.flag !== undefined) return `${key.flag} ${key.placeholder}${key.shape === 'list' ? ' (may be given several times)' : ''}`;
  return key.from === 'file' ? `${key.name}, in the file only` : `${key.name}, in the file or the variable only`;
}

function facts({ environment, default: initial, reload }: Key): string[] {
  return [environment ?? [], `default: ${'text' in initial ? initial.text : initial.derived}`, reload === true ? 'SIGHUP changes it' : []].flat();
}
