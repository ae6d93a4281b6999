// What an option is. Tables of these are the one schema from which parsing, `--help` and errors derive.
import { resolve } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import { parseListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { parseByteSize, parseDurationMs } from '../base/units.ts';

/** How values of one kind are written. */
export interface OptionType<T> {
  /** Stands for the value in help texts; names the unit or the form. */
  readonly placeholder: string;
  /** Paths are taken relative to `workingDirectory`. @throws CacheError `invalid_argument`, saying what is wrong. */
  parse(text: string, workingDirectory: string): T;
}

export interface Option<T> {
  readonly flag: `--${string}`;
  readonly environment: `KILN_${string}`;
  readonly type: OptionType<T>;
  /** A value that works, for help texts and errors. */
  readonly example: string;
  /** `text` is parsed as if it had been given; `derived` says in words where the value comes from. */
  readonly default: { readonly text: string } | { readonly derived: string };
  /** May be given several times; values in the environment are separated by commas. */
  readonly repeats?: true;
  readonly help: string;
}

/** Options by the name under which their values are handed on. Keys keep the order of the help text. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** The values given or defaulted, per option; an empty list when there is a derived default and nothing was given. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: readonly (Table[Name] extends Option<infer T> ? T : never)[];
};

export const byteSize: OptionType<number> = { placeholder: 'SIZE', parse: parseByteSize };

/** In milliseconds. */
export const duration: OptionType<number> = { placeholder: 'DURATION', parse: parseDurationMs };

/** An absolute path. */
export function path(placeholder: 'DIR' | 'FILE'): OptionType<string> {
  return {
    placeholder,
    parse(text, workingDirectory) {
      if (text === '' || text.includes('\0')) throw new CacheError('invalid_argument', `${JSON.stringify(text)} is not a path`);
      return resolve(workingDirectory, text);
    },
  };
}

export const listenAddress: OptionType<ListenAddress> = {
  placeholder: 'HOST:PORT|unix:PATH',
  parse(text, workingDirectory) {
    const address = parseListenAddress(text);
    return address.kind === 'unix' ? { kind: 'unix', path: resolve(workingDirectory, address.path) } : address;
  },
};

/** One of a few words. */
export function oneOf<const Words extends readonly string[]>(...words: Words): OptionType<Words[number]> {
  return {
    placeholder: words.join('|'),
    parse(text) {
      const word = words.find((candidate) => candidate === text);
      if (word === undefined) throw new CacheError('invalid_argument', `${JSON.stringify(text)} is none of ${words.join(', ')}`);
      return word;
    },
  };
}
