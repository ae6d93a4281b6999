// What `kiln help` prints.

/** Options as text; loaded when asked for. */
type OptionTexts = () => Promise<string>;

/** What help needs to know of a command. */
export interface CommandSummary {
  readonly name: string;
  readonly synopsis: string;
  readonly summary: string;
  readonly options?: OptionTexts;
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

export async function commandHelp(command: CommandSummary): Promise<string> {
  const options = command.options === undefined ? [] : ['Options, each with its environment variable; an option goes before the variable:', await command.options(), ''];
  const notes = command.notes === undefined ? [] : [command.notes, ''];
  return [`kiln ${command.synopsis}`, `  ${command.summary}`, '', ...options, ...notes].join('\n');
}
