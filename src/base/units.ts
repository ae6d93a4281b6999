// Sizes and durations as people write and read them: `10GiB`, `3h`. Everywhere else they are numbers whose
// name carries the unit.
import { CacheError } from './cache-error.ts';

const sizeUnits: ReadonlyMap<string, number> = new Map([
  ['b', 1],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  ['tib', 2 ** 40],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['tb', 1e12],
]);

const durationUnits: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/**
 * Bytes, a safe integer. The unit is required, since a bare number is as often meant as megabytes as bytes;
 * letters may have either case.
 * @throws CacheError `invalid_argument` that says what is wrong with the text.
 */
export function parseByteSize(text: string): number {
  return parseQuantity(text, { units: sizeUnits, kind: 'size', unitNames: 'B, KiB, MiB, GiB, TiB, KB, MB, GB or TB' });
}

/**
 * Milliseconds, a safe integer.
 * @throws CacheError `invalid_argument` that says what is wrong with the text.
 */
export function parseDurationMs(text: string): number {
  return parseQuantity(text, { units: durationUnits, kind: 'duration', unitNames: 'ms, s, m, h or d' });
}

interface QuantityKind {
  readonly units: ReadonlyMap<string, number>;
  readonly kind: string;
  readonly unitNames: string;
}

function parseQuantity(text: string, { units, kind, unitNames }: QuantityKind): number {
  const parts = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text.trim());
  if (parts === null) {
    const several = new RegExp(`^(?:\\d+(?:\\.\\d+)? ?(?:${[...units.keys()].join('|')}) ?){2,}$`, 'i').test(text.trim());
    throw new CacheError('invalid_argument', `${JSON.stringify(text)} ${several ? `has several units; write one number with one unit (${unitNames})` : `is not a ${kind}`}`);
  }
  const [, number = '', unit = ''] = parts;
  if (unit === '') throw new CacheError('invalid_argument', `${JSON.stringify(text)} has no unit (${unitNames})`);
  const factor = units.get(unit.toLowerCase());
  if (factor === undefined) {
    throw new CacheError('invalid_argument', `${JSON.stringify(text)} has the unknown unit ${JSON.stringify(unit)} (known: ${unitNames})`);
  }
  const value = Math.round(Number(number) * factor);
  if (!Number.isSafeInteger(value)) throw new CacheError('invalid_argument', `the ${kind} ${JSON.stringify(text)} is too large`);
  return value;
}

/** A size in the largest binary unit of which there is at least one, with at most one decimal: `1.5 GiB`. */
export function formatByteSize(bytes: number): string {
  return format(bytes, [['TiB', 2 ** 40], ['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10], ['B', 1]]);
}

/** A duration in the largest unit of which there is at least one, with at most one decimal: `2.5 h`. */
export function formatDuration(ms: number): string {
  return format(ms, [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1_000], ['ms', 1]]);
}

function format(value: number, units: readonly (readonly [name: string, factor: number])[]): string {
  const smallest = units.at(-1);
  const [name, factor] = units.find(([, unitFactor]) => value >= unitFactor) ?? smallest ?? ['', 1];
  return `${Math.round((value / factor) * 10) / 10} ${name}`;
}
