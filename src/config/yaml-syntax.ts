// What is no YAML, in words that say what to type instead.
import type { ErrorCode } from 'yaml';
import type { Mistake } from './source.ts';

interface Where {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Of the whole file. Lines may hold secrets, so no error repeats one. */
  readonly text: string;
}

/** @param message of the parser, for what happens too seldom to have words of its own. */
export function yamlSyntaxMistake(code: ErrorCode, message: string, { file, line, column, text }: Where): Mistake {
  const [problem, advice] = wordsFor(code, message, text.split('\n')[line - 1] ?? '');
  return { origin: { kind: 'file', file, line, column }, problem: `${file}:${line}:${column}: ${problem}`, advice };
}

type Words = readonly [problem: string, advice: string];

function wordsFor(code: ErrorCode, message: string, line: string): Words {
  // A flow list begins with a bracket, and so does the written form of an IPv6 address.
  if (/\[[0-9a-f]*:[0-9a-f:.]*\]:\d/i.test(line)) return ['an IPv6 address without quotes is read as a list', 'put it into quotes: "[::1]:9092"'];
  return special.find((row) => row.code === code && row.message.test(message))?.words ?? plain[code] ?? [`this is not YAML: ${lowerFirst(message)}`, 'write "name: value", with the keys of a group indented below its name'];
}

/** Errors of which several kinds have one code. */
const special: readonly { readonly code: ErrorCode; readonly message: RegExp; readonly words: Words }[] = [
  { code: 'BAD_INDENT', message: /flow .*\]$/i, words: ['a list in [ ] does not end', 'close it with ]'] },
  { code: 'BAD_INDENT', message: /flow/i, words: ['a map in { } does not end', 'close it with }'] },
  { code: 'MISSING_CHAR', message: /quote/, words: ['a quoted text does not end', 'add the closing quote'] },
  { code: 'MISSING_CHAR', message: /Implicit map keys/, words: ['here is a name without a value', 'write "name: value", with a colon and a space'] },
];

const besideGroup: Words = [
  'a value contains ": ", or the next line is indented although it begins no group',
  'put a value with ": " into quotes, and let keys of one group begin in the same column',
];

const plain: Readonly<Partial<Record<ErrorCode, Words>>> = {
  TAB_AS_INDENT: ['a tab is used for indentation', 'YAML is indented with spaces: replace the tab'],
  BAD_INDENT: ['the indentation fits no line above', 'keys of one group begin in the same column'],
  BLOCK_AS_IMPLICIT_KEY: besideGroup,
  MULTILINE_IMPLICIT_KEY: besideGroup,
  MISSING_CHAR: ['a list in [ ] or a map in { } does not end, or lacks a comma', 'close it, and put commas between its elements'],
  BAD_SCALAR_START: ['a value cannot begin with this character in YAML', 'put the value into quotes'],
  BAD_DQ_ESCAPE: ['a backslash between double quotes begins an escape, and this is none', 'use single quotes, which leave a backslash alone'],
  BAD_ALIAS: ['* begins an alias in YAML', 'put it into quotes: "*"'],
  MULTIPLE_DOCS: ['a second document begins here, after ---', 'keep one document per file'],
  TAG_RESOLVE_FAILED: ['! begins a tag in YAML, which is not read here', 'leave the tag out, or put the value into quotes'],
  BAD_DIRECTIVE: ['% begins a directive of YAML, which is not read here', 'leave the line out'],
  UNEXPECTED_TOKEN: ['here is something behind a value that has ended', 'begin a comment with #, put commas between elements, and a value with special characters into quotes'],
  RESOURCE_EXHAUSTION: ['lists or maps are nested too deeply to be read', 'no key is nested more than five levels deep'],
};

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
