// Reports as text for a terminal.
import { compare, measureNames, measures } from './measures.ts';
import type { MeasureInfo, MeasureName, Measured } from './measures.ts';
import type { Machine, Result, Section } from './report.ts';
import type { Spread } from './statistics.ts';

/** What ratios are given for: the others follow from them or speak for themselves. */
const compared: readonly MeasureName[] = ['operationsPerSecond', 'cpuPerOperation', 'p99', 'readyMs'];

/** A heading, one line per server with median (min..max), and how Kiln does against each of the others. */
export function sectionText(section: Section): string {
  const { results, own } = section;
  const names = measureNames.filter((name) => results.some(({ measured }) => measured[name] !== undefined));
  const ours = results.find(({ server }) => server === own);
  const head = ['', ...names.map((name) => measures[name].head), ours === undefined || results.length < 2 ? '' : `${own} against it`];
  const lines = results.map((result) => [result.server, ...names.map((name) => cell(name, result.measured[name])), against(ours, result)]);
  const title = `${section.benchmark}${section.shape === '' ? '' : ` ${section.shape}`}: ${section.description}`;
  return ['', title, ...aligned([head, ...lines]), ...section.notes.map((note) => `  note: ${note}`)].join('\n');
}

function cell(name: MeasureName, spread: Spread | undefined): string {
  if (spread === undefined) return '-';
  const { digits }: MeasureInfo = measures[name];
  const [median, min, max] = [spread.median, spread.min, spread.max].map((value) => grouped(value, digits));
  return spread.samples.length === 1 ? (median ?? '') : `${median} (${min}..${max})`;
}

function against(ours: Result | undefined, other: Result): string {
  if (ours === undefined || ours === other) return '';
  return comparisonText(ours.measured, other.measured);
}

/** Such as "8.9x ops/s, 10.1x less CPU us/op"; a worse one is told as such. */
export function comparisonText(own: Measured, reference: Measured): string {
  const parts = compared.flatMap((name) => {
    const comparison = compare(name, own, reference);
    if (comparison === undefined) return [];
    const { advantage } = comparison;
    const factor = (advantage >= 1 ? advantage : 1 / advantage).toFixed(1);
    return [`${factor}x ${advantage >= 1 ? 'better' : 'WORSE'} ${measures[name].head}`];
  });
  return parts.join(', ');
}

export function machineText(machine: Machine): string {
  const gibibytes = (machine.memoryBytes / 1024 ** 3).toFixed(0);
  return `${machine.cpu}, ${machine.cores} cores, ${gibibytes} GiB, ${machine.kernel}, Node ${machine.node}, load ${machine.loadAverage.toFixed(1)}`;
}

/** Thousands apart, so that a figure of six digits can be read. */
function grouped(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The first and last column to the left, figures to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const last = widths.length - 1;
  return rows.map((row) => row.map((text, column) => (column === 0 || column === last ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0))).join('  ').trimEnd()).map((line) => `  ${line}`);
}
