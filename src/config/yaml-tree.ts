// Reads YAML into a tree of texts that remembers where each of them stood. Of YAML, as much is taken as a configuration
// needs: maps, lists and scalars. Aliases, merge keys and tags are refused by name, since each makes a file mean
// something else than it seems to say.
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Node, Pair, Scalar } from 'yaml';
import { nothing } from './source.ts';
import type { Mistake, Place } from './source.ts';
import { yamlSyntaxMistake } from './yaml-syntax.ts';

/** Files above this are none that people write. */
export const configurationBytesMax = 1024 * 1024;

export interface Position {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export interface YamlTree {
  /** Maps as objects, lists as arrays, scalars as texts or `nothing`; undefined for an empty file. */
  readonly root: unknown;
  readonly mistakes: readonly Mistake[];
  /** Where the value at `place` stands, or else what is nearest above it. */
  positionOf(place: Place): Position;
  /** Where the last name of `place` stands. */
  positionOfName(place: Place): Position;
}

/** @param file for texts. */
export function readYamlTree(file: string, bytes: Uint8Array): YamlTree {
  const text = decode(file, bytes);
  if (typeof text !== 'string') return { root: undefined, mistakes: [text], positionOf: () => start, positionOfName: () => start };
  return new TreeReader(file, text).read();
}

/** The parser takes seconds for what this finds at once. */
const tooDeep = /(?:[[{]\s*){64}/;

const start: Position = { line: 1, column: 1 };

class TreeReader implements YamlTree {
  root: unknown;
  readonly mistakes: Mistake[] = [];
  readonly #file: string;
  readonly #text: string;
  readonly #lines = new LineCounter();
  /** By place, as text: bounded by the size of the file. */
  readonly #values = new Map<string, Position>();
  readonly #names = new Map<string, Position>();

  constructor(file: string, text: string) {
    this.#file = file;
    this.#text = text;
  }

  read(): this {
    const document = this.#parse();
    if (document === undefined) return this;
    let reported = -1;
    for (const error of [...document.errors, ...document.warnings]) {
      if (error.pos[0] === reported) continue; // one slip is often two errors
      reported = error.pos[0];
      const position = this.#position(reported);
      this.mistakes.push(yamlSyntaxMistake(error.code, error.message, { ...position, file: this.#file, text: this.#text }));
    }
    // What follows a syntax error is guesswork; to check it would report what nobody wrote.
    if (document.errors.length === 0 && document.contents !== null) this.root = this.#value(document.contents, []);
    return this;
  }

  positionOf(place: Place): Position {
    for (let length = place.length; length >= 0; length -= 1) {
      const position = this.#values.get(nameOf(place.slice(0, length)));
      if (position !== undefined) return position;
    }
    return start;
  }

  positionOfName(place: Place): Position {
    return this.#names.get(nameOf(place)) ?? this.positionOf(place);
  }

  #parse(): ReturnType<typeof parseDocument> | undefined {
    const deep = tooDeep.exec(this.#text);
    if (deep !== null) return this.#refuseDepth(deep.index);
    try {
      // Any level but silent reports several documents in one file; nothing is printed by this call.
      return parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false, logLevel: 'error' });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // that of a full stack
      return this.#refuseDepth(0);
    }
  }

  #refuseDepth(offset: number): undefined {
    this.#refuse(offset, 'lists or maps are nested too deeply to be read', 'no key is nested more than five levels deep');
  }

  #value(node: Node, place: Place): unknown {
    const offset = node.range?.[0] ?? 0;
    this.#values.set(nameOf(place), this.#position(offset));
    if (isAlias(node)) {
      const fix = /^[a-z]/i.test(node.source) ? 'write the value itself here' : `if the text "*${node.source}" is meant, put it into quotes`;
      return this.#refuse(offset, `*${node.source} is an alias of YAML, which is not read here`, fix);
    }
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) {
      const sign = this.#text.lastIndexOf(`&${node.anchor}`, offset);
      this.#refuse(sign === -1 ? offset : sign, `&${node.anchor} is an anchor of YAML, which is not read here`, 'leave it out, and write the value wherever it is needed');
    }
    if (isScalar(node)) return textOf(node);
    if (isSeq(node)) return node.items.map((item, index) => this.#value(item as Node, [...place, index]));
    return isMap(node) ? this.#map(node.items as Pair[], place) : undefined;
  }

  #map(pairs: readonly Pair[], place: Place): Record<string, unknown> {
    const tree: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const { key, value } of pairs) {
      const offset = (key as Node).range?.[0] ?? 0;
      if (!isScalar(key)) {
        this.#refuse(offset, 'a list or map cannot be the name of a key', 'write "name: value"');
        continue;
      }
      const name = String(textOf(key) === nothing ? key.source ?? '' : textOf(key));
      const here = [...place, name];
      if (name in tree) {
        const first = this.positionOfName(here);
        this.#refuse(offset, `${JSON.stringify(name)} is given twice in the same place; the first is on line ${first.line}`, 'remove one of the two');
        continue;
      }
      this.#names.set(nameOf(here), this.#position(offset));
      tree[name] = value === null || value === undefined ? nothing : this.#value(value as Node, here);
    }
    return tree;
  }

  #refuse(offset: number, problem: string, advice: string): undefined {
    const position = this.#position(offset);
    this.mistakes.push({ origin: { kind: 'file', file: this.#file, ...position }, problem: `${this.#file}:${position.line}:${position.column}: ${problem}`, advice });
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return line === 0 ? start : { line, column: col };
  }
}

/** Of plain scalars what was written, whatever YAML makes of it: 0777 and 1e3 are not numbers here before their key says so. */
function textOf(scalar: Scalar): string | typeof nothing {
  if (scalar.type !== 'PLAIN') return String(scalar.value);
  return scalar.value === null ? nothing : (scalar.source ?? '');
}

function nameOf(place: Place): string {
  return JSON.stringify(place);
}

/** The text, or what keeps it from being one. */
function decode(file: string, bytes: Uint8Array): string | Mistake {
  const at = (position: Position, problem: string, advice: string): Mistake => ({
    origin: { kind: 'file', file, ...position },
    problem: `${file}:${position.line}:${position.column}: ${problem}`,
    advice,
  });
  if (bytes.byteLength > configurationBytesMax) return at(start, `the file is larger than ${configurationBytesMax / 1024} KiB`, 'a configuration is some hundred lines; is this the right file?');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const advice = 'save the file as UTF-8';
    if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) return at(start, 'the file is UTF-16, not UTF-8', advice);
    return at(firstInvalid(bytes), 'here is a byte that is not UTF-8', advice);
  }
}

/** Where the first invalid sequence stands: after the last character that can be read. */
function firstInvalid(bytes: Uint8Array): Position {
  const decoder = new TextDecoder('utf-8');
  const readable = decoder.decode(bytes).split('�')[0] ?? '';
  const lines = readable.split('\n');
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 };
}
