// What `kiln help` prints.
import { paragraph } from '../config/paragraph.ts';

/** Options as text; loaded when asked for. */
type OptionTexts = () => Promise<string>;

/** What help needs to know of a command. */
export interface CommandSummary {
  readonly name: string;
  readonly synopsis: string;
  readonly summary: string;
  readonly options?: OptionTexts;
  /** Paragraphs after the options, each on one line however long it is; indentation stays. */
  readonly notes?: string;
}

export function generalHelp(commands: readonly CommandSummary[]): string {
  const width = Math.max(...commands.map(({ synopsis }) => synopsis.length));
  const lines = commands.flatMap(({ synopsis, summary }) => paragraph(summary, width + 9, `  kiln ${synopsis}`));
  return [
    'Kiln: one cache for every build tool.',
    '',
    ...lines,
    '',
    'Start here:     kiln serve',
    'All options:    kiln help serve',
    'What is in use: kiln config print',
    '',
  ].join('\n');
}

export async function commandHelp(command: CommandSummary): Promise<string> {
  const options = command.options === undefined ? [] : [await command.options(), ''];
  const notes = command.notes === undefined ? [] : [...command.notes.split('\n').flatMap(fitted), ''];
  return [`kiln ${command.synopsis}`, `  ${command.summary}`, '', ...options, ...notes].join('\n');
}

/** A line that fits the terminal, or as many as it takes, indented alike. */
function fitted(line: string): string[] {
  const text = line.trimStart();
  return paragraph(text, line.length - text.length);
}
