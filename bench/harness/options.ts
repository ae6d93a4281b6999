// The words of the command line, checked before anything is started.
import { parseArgs } from 'node:util';

/** What every benchmark is told. */
export interface BenchOptions {
  /** Benchmarks to run, in their order; none: all. */
  readonly names: readonly string[];
  /** Everything once and small: shows that the benchmark works, its figures mean little. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Where to write the figures. */
  readonly jsonFile: string | undefined;
  /** References to compare with; undefined: all that are found. */
  readonly references: readonly string[] | undefined;
  /** Names of the attacks that the benchmark `attacks` is to measure; none: all. */
  readonly attacks: readonly string[];
  readonly list: boolean;
  readonly help: boolean;
}

const roundsDefault = 5;
const roundsMax = 1_000;

export const usage = `npm run bench -- [NAME ...] [--quick] [--rounds N] [--json FILE] [--reference NAME ...] [--attack NAME ...] [--list]

  NAME               benchmarks to run (default: all)
  --quick            everything once and small, under two minutes: only whether the answers are right counts
  --rounds N         interleaved rounds of each measurement (default: ${roundsDefault}; --quick: 1)
  --json FILE        write the figures there as well; docs/benchmarks.md has the format
  --reference NAME   compare with that one only; may be repeated, or be a list with commas; "none" measures Kiln alone
  --attack NAME      let the benchmark "attacks" measure that one only; may be repeated
  --list             what can be measured and compared with here
  --help             this

The status is 1 when an answer was wrong, 2 when the words make no sense, and never anything because of a time.`;

/** @throws Error whose text is meant for the person at the terminal. */
export function parseWords(words: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      reference: { type: 'string', multiple: true },
      attack: { type: 'string', multiple: true, default: [] },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    names: positionals,
    quick: values.quick,
    rounds: values.rounds === undefined ? (values.quick ? 1 : roundsDefault) : parseRounds(values.rounds),
    jsonFile: values.json,
    references: values.reference?.flatMap((list) => list.split(',')).filter((name) => name !== 'none' && name !== ''),
    attacks: values.attack,
    list: values.list,
    help: values.help,
  };
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= roundsMax) return rounds;
  throw new Error(`--rounds ${text}: give a whole number from 1 to ${roundsMax}`);
}

/** @throws Error that names what is wrong and what there is. */
export function checkNames(kind: string, wanted: readonly string[], known: readonly string[]): void {
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no ${kind} is called ${unknown.join(', ')}; there are: ${known.join(', ')}`);
}
