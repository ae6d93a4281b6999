// What `kiln help` prints.
import { optionHelp } from '../config/option-help.ts';
import type { OptionTable } from '../config/option.ts';

/** What help needs to know of a command. */
export interface CommandSummary {
  readonly name: string;
  readonly synopsis: string;
  readonly summary: string;
  readonly options?: OptionTable;
  /** Paragraphs after the options. */
  readonly notes?: string;
}

export function generalHelp(commands: readonly CommandSummary[]): string {
  const width = Math.max(...commands.map(({ synopsis }) => synopsis.length));
  const lines = commands.map(({ synopsis, summary }) => `  kiln ${synopsis.padEnd(width)}  ${summary}`);
  return [
    'Kiln: one cache for every build tool.',
    '',
    ...lines,
    '',
    'Start here:   kiln serve',
    'All options:  kiln help serve',
    '',
  ].join('\n');
}

export function commandHelp(command: CommandSummary): string {
  const options = command.options === undefined ? [] : ['Options, each with its environment variable; an option goes before the variable:', optionHelp(command.options), ''];
  const notes = command.notes === undefined ? [] : [command.notes, ''];
  return [`kiln ${command.synopsis}`, `  ${command.summary}`, '', ...options, ...notes].join('\n');
}
