// What came of a run, as data: the JSON file is this, and the tables are made from it. The format is described in
// docs/benchmarks.md; change `reportVersion` with it.
import { cpus, loadavg, release, totalmem } from 'node:os';
import { compare, measureNames, measures } from './measures.ts';
import type { Measured } from './measures.ts';
import type { Pinning } from './pinning.ts';
import type { Spread } from './statistics.ts';

export const reportVersion = 2;

/** The figures of one server in one table. */
export interface Result {
  readonly server: string;
  /** What made the load; absent where there was none. */
  readonly generator?: 'h2load' | 'own';
  /** Operations in each round; absent where nothing is counted. */
  readonly operations?: number;
  readonly measured: Measured;
}

/** One table: several servers under the same load. */
export interface Section {
  readonly benchmark: string;
  /** Tells the tables of one benchmark apart, such as "4 x 32". */
  readonly shape: string;
  /** What exactly was done. */
  readonly description: string;
  /** Who the others are compared with; absent where there is nothing to compare. */
  readonly own?: string;
  readonly results: readonly Result[];
  readonly notes: readonly string[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the last minute when the run began: figures taken beside other work are worth less. */
  readonly loadAverage: number;
  readonly serverCore: number | undefined;
  readonly generatorCore: number | undefined;
}

export interface Report {
  readonly version: typeof reportVersion;
  /** ISO 8601. */
  readonly date: string;
  readonly command: string;
  readonly quick: boolean;
  readonly rounds: number;
  readonly machine: Machine;
  /** Microseconds of one fdatasync of 4 KiB on the disk that the servers wrote to. */
  readonly syncMicroseconds: Spread;
  readonly sections: readonly Section[];
  /** What could not be measured, and why. */
  readonly missing: readonly string[];
  /** Answers that were wrong; such a run ends with status 1. */
  readonly wrong: readonly string[];
}

export function describeMachine(pinning: Pinning): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: `Linux ${release()}`,
    node: process.versions.node,
    loadAverage: loadavg()[0] ?? NaN,
    serverCore: pinning.server,
    generatorCore: pinning.generator,
  };
}

/** Of the whole run: a wrong answer is a failure, a slow one is not, nor is a reference that is not there. */
export function exitStatus({ wrong }: Pick<Report, 'wrong'>): 0 | 1 {
  return wrong.length === 0 ? 0 : 1;
}

/** The file's content: the report, with the units and with Kiln's ratios to each reference spelt out. */
export function reportJson(report: Report): string {
  const units = Object.fromEntries(measureNames.map((name) => [name, measures[name].unit]));
  const sections = report.sections.map((section) => ({ ...section, ratios: ratiosOf(section) }));
  return `${JSON.stringify({ ...report, units, sections }, undefined, 2)}\n`;
}

/** By reference and measure: Kiln's median over the reference's. */
export function ratiosOf({ own, results }: Section): Record<string, Record<string, number>> {
  const ours = results.find(({ server }) => server === own);
  if (ours === undefined) return {};
  const others = results.filter((result) => result !== ours);
  return Object.fromEntries(
    others.map(({ server, measured }) => {
      const ratios = measureNames.flatMap((name) => {
        const ratio = compare(name, ours.measured, measured)?.ratio;
        return ratio === undefined ? [] : [[name, ratio] as const];
      });
      return [server, Object.fromEntries(ratios)];
    }),
  );
}
