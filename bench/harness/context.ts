// What a benchmark works with.
import type { Contender } from '../contenders/contender.ts';
import type { Pinning } from './pinning.ts';
import type { Section } from './report.ts';
import type { TlsFiles } from './tls-files.ts';

export interface BenchContext {
  readonly quick: boolean;
  readonly rounds: number;
  readonly pinning: Pinning;
  /** The one that all others are compared with. */
  readonly kiln: Contender;
  /** Those that were asked for and can be had. */
  readonly references: readonly Contender[];
  /** Path of h2load; undefined where it is not installed. */
  readonly h2load: string | undefined;
  /** For servers that are measured over TLS. */
  readonly tls: TlsFiles;
  /** Names of the attacks to measure; none: all. */
  readonly attacks: readonly string[];
  /** A directory that nobody else has and that goes with the run. */
  newDirectory(): string;
  /** A line of a table that will be long in coming. */
  progress(line: string): void;
  /** A table is complete. */
  report(section: Section): void;
  /** Something could not be measured. */
  missing(what: string): void;
  /** A server gave a wrong answer, so its figures mean nothing. */
  wrong(what: string): void;
}

export interface Benchmark {
  readonly name: string;
  /** One line for `--list`. */
  readonly title: string;
  run(context: BenchContext): Promise<void>;
}
