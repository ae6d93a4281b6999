// What values of configuration look like. Every value is written as text, whichever way it comes: flags and variables
// are text anyway, and of a YAML scalar its source counts. So `0777`, `yes` or `1e3` mean the same everywhere, and
// nothing is guessed.
import { resolve } from 'node:path';
import * as z from 'zod/mini';
import { CacheError } from '../base/cache-error.ts';
import { parseListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { formatByteSize, formatDuration, parseByteSize, parseDurationMs } from '../base/units.ts';

/** What an editor is told about a value (JSON Schema). */
export type JsonForm = Readonly<Record<string, unknown>>;

/** One kind of value. */
export interface ValueType<T> {
  /** Stands for the value in help texts; names the unit or the form. */
  readonly placeholder: string;
  readonly schema: z.ZodMiniType<T, string>;
  /** @throws CacheError `invalid_argument` that says what is wrong with the text. */
  readonly parse: (text: string) => T;
  readonly json: JsonForm;
  /** The only values there are, if they are few. */
  readonly words?: readonly string[];
  /** Of values that contain a path: the same text with that path taken relative to `directory`. */
  readonly resolve?: (text: string, directory: string) => string;
}

/** Least and greatest value, as they are written. */
export interface Bounds {
  readonly min: string;
  readonly max: string;
}

/**
 * A type of texts that `parse` reads. What `parse` refuses with a CacheError `invalid_argument` becomes a mistake with
 * the text of that error.
 */
export function textType<T>(placeholder: string, json: JsonForm, parse: (text: string) => T): ValueType<T> {
  const schema = z.pipe(
    z.string(),
    z.transform((text: string, context): T => {
      try {
        return parse(text);
      } catch (error) {
        if (!(error instanceof CacheError)) throw error;
        context.issues.push({ code: 'custom', message: error.message, input: text });
        return z.NEVER;
      }
    }),
  );
  return { placeholder, json, schema, parse };
}

export function refuse(text: string, problem: string): never {
  throw new CacheError('invalid_argument', `${JSON.stringify(text)} ${problem}`);
}

/** Bytes. */
export function byteSize(bounds: Bounds): ValueType<number> {
  const json = { type: 'string', pattern: '^\\d+(\\.\\d+)? ?([KMGTkmgt][iI]?)?[bB]$' };
  return textType('SIZE', json, bounded(parseByteSize, bounds, (bytes) => formatByteSize(bytes).replace(' ', '')));
}

/** Milliseconds. */
export function duration(bounds: Bounds): ValueType<number> {
  const json = { type: 'string', pattern: '^\\d+(\\.\\d+)? ?(ms|s|m|h|d)$' };
  return textType('DURATION', json, bounded(parseDurationMs, bounds, (ms) => formatDuration(ms).replace(' ', '')));
}

/** A whole number of things. */
export function count(bounds: Bounds): ValueType<number> {
  const json = { type: 'integer', minimum: Number(bounds.min), maximum: Number(bounds.max) };
  return textType('NUMBER', json, bounded(parseCount, bounds, String));
}

function parseCount(text: string): number {
  // A leading zero is octal to some readers and decimal to others.
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text)) refuse(text, /^0\d+$/.test(text) ? 'begins with a zero; write the number without it' : 'is not a whole number');
  return Number(text);
}

/** From 0 to 1. */
export const ratio: ValueType<number> = textType('RATIO', { type: 'number', minimum: 0, maximum: 1 }, (text) => {
  if (/^\d+(?:\.\d+)?%$/.test(text)) refuse(text, `is a percentage; as a ratio it is ${Number.parseFloat(text) / 100}`);
  const value = /^(?:\d+|\d*\.\d+)$/.test(text) ? Number(text) : Number.NaN;
  return value >= 0 && value <= 1 ? value : refuse(text, 'is not a ratio from 0 to 1');
});

/** A share of something, as a number from 0 to 1. */
export const percentage: ValueType<number> = textType('PERCENT', { type: 'string', pattern: '^\\d+(\\.\\d+)?%$' }, (text) => {
  if (!/^\d+(?:\.\d+)?%$/.test(text)) refuse(text, /^\d*\.?\d+$/.test(text) ? 'has no percent sign' : 'is not a percentage');
  const value = Number.parseFloat(text) / 100;
  return value <= 1 ? value : refuse(text, 'is more than 100%');
});

export const yesOrNo: ValueType<boolean> = textType('true|false', { type: 'boolean' }, (text) => {
  if (text === 'true' || text === 'false') return text === 'true';
  const meant = ['yes', 'on', '1', 'y'].includes(text.toLowerCase()) || text.toLowerCase() === 'true';
  return refuse(text, /^(?:yes|no|on|off|y|n|0|1|true|false)$/i.test(text) ? `is not read as a yes or no; write ${meant}` : 'is neither true nor false');
});

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(...words: Words): ValueType<Words[number]> {
  const type = textType(words.join('|'), { enum: words }, (text): Words[number] => {
    return words.find((candidate) => candidate === text) ?? refuse(text, `is none of ${words.join(', ')}`);
  });
  return { ...type, words };
}

/** A path; absolute once it has been resolved. */
export function path(placeholder: 'DIR' | 'FILE'): ValueType<string> {
  return { ...textType(placeholder, { type: 'string', minLength: 1 }, checkedPath), resolve: (text, directory) => resolve(directory, text) };
}

/** `HOST:PORT` or `unix:PATH`; the path is absolute once it has been resolved. */
export const listenAddress: ValueType<ListenAddress> = {
  ...textType('HOST:PORT|unix:PATH', { type: 'string', minLength: 1 }, (text) => {
    const address = parseListenAddress(text);
    if (address.kind === 'unix') checkedPath(address.path);
    return address;
  }),
  resolve: (text, directory) => (text.startsWith('unix:') ? `unix:${resolve(directory, text.slice('unix:'.length))}` : text),
};

function checkedPath(text: string): string {
  if (text === '' || text.includes('\0')) refuse(text, 'is not a path');
  // It may be a private key, which no error may contain.
  if (text.includes('-----BEGIN ')) throw new CacheError('invalid_argument', 'what is given (and not shown here) is the content of a file, and should be its path');
  if (text.startsWith('~')) refuse(text, 'begins with ~, which only a shell replaces; write the whole path');
  if (/^\$\{?\w/.test(text)) refuse(text, 'begins with a variable, which only a shell replaces; write the whole path');
  return text;
}

/** An HTTP or HTTPS address without credentials, which would end up in logs. */
export const httpUrl: ValueType<string> = textType('URL', { type: 'string', format: 'uri', pattern: '^https?://' }, (text) => {
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\//.test(text)) return refuse(text, 'is not a URL that begins with http:// or https://');
  if (url.username !== '' || url.password !== '') throw new CacheError('invalid_argument', 'a URL here has no user and no password; send them as a header');
  return text;
});

/** Any text on one line. */
export function line(placeholder: string, pattern: RegExp, problem: string): ValueType<string> {
  return textType(placeholder, { type: 'string', pattern: pattern.source }, (text) => (pattern.test(text) ? text : refuse(text, problem)));
}

/** As `line`, but the text is in no error. */
export function secretLine(placeholder: string, pattern: RegExp, problem: string): ValueType<string> {
  return textType(placeholder, { type: 'string', pattern: pattern.source }, (text) => {
    if (pattern.test(text)) return text;
    throw new CacheError('invalid_argument', `what is given (and not shown here) ${problem}`);
  });
}

/** `off` as a further value, which is read as `value`. */
export function orOff<T, Off>(type: ValueType<T>, value: Off): ValueType<T | Off> {
  const json = { anyOf: [{ const: 'off' }, type.json] };
  return textType(`${type.placeholder}|off`, json, (text) => (text === 'off' ? value : type.parse(text)));
}

function bounded(parse: (text: string) => number, { min, max }: Bounds, format: (value: number) => string): (text: string) => number {
  const [least, greatest] = [parse(min), parse(max)];
  return (text) => {
    const value = parse(text);
    if (value < least) return refuse(text, `is too small; the least is ${format(least)}`);
    return value <= greatest ? value : refuse(text, `is too large; the most is ${format(greatest)}`);
  };
}
