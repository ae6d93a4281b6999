// Things that must have their counterpart: a dependency its line, a format its page, a write path its crash test,
// a container its bound.
import { reachable } from './reachability.ts';
import { findingAt, isProduction } from './tree.ts';
import type { Finding, Rule, Source, Tree } from './tree.ts';

const dependencyPage = 'docs/dependencies.md';
/** | `name` | from | why | licence | what would replace it | */
const dependencyRow = /^\| `([^`]+)` \|(.+)\|$/;
const dependencyColumns = 4;

interface DependencyLine {
  readonly line: number;
  readonly home: string;
  readonly complete: boolean;
}

/** Every dependency has a complete line, an exact version and, if it ships, one folder that imports it. */
export const dependencies: Rule = {
  name: 'dependency',
  *check(tree) {
    const lines = dependencyLines(tree);
    const known = new Set<string>();
    for (const path of ['package.json', 'test/clients/package.json']) {
      for (const [name, version] of declaredIn(tree, path)) {
        known.add(name);
        if (!lines.has(name)) yield { path, line: 1, message: `${name} has no line in ${dependencyPage}` };
        if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) yield { path, line: 1, message: `${name} ${version}: pin the exact version` };
      }
    }
    for (const [name, { line, complete }] of lines) {
      if (!known.has(name)) yield { path: dependencyPage, line, message: `${name} is no dependency any more: delete the line` };
      if (!complete) yield { path: dependencyPage, line, message: `${name}: say where it is imported, why, its licence and what would replace it` };
    }
    for (const source of tree.sources) if (isProduction(source)) yield* strayImports(tree, source, lines);
  },
};

function* strayImports(tree: Tree, source: Source, lines: ReadonlyMap<string, DependencyLine>): Generator<Finding> {
  const shipped = new Map(declaredIn(tree, 'package.json', ['dependencies', 'optionalDependencies']));
  for (const { specifier, offset } of source.imports) {
    if (/^(?:\.|node:)/.test(specifier)) continue;
    const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
    const home = lines.get(name)?.home;
    if (!shipped.has(name)) yield findingAt(source, offset, `${name} is not installed where Kiln runs: it is missing from dependencies in package.json`);
    else if (home !== undefined && !source.path.startsWith(home)) {
      yield findingAt(source, offset, `${name} is imported from ${home} only (${dependencyPage}), so that it can be replaced in one place`);
    }
  }
}

function dependencyLines(tree: Tree): ReadonlyMap<string, DependencyLine> {
  const lines = new Map<string, DependencyLine>();
  for (const [index, text] of (tree.files.get(dependencyPage) ?? '').split('\n').entries()) {
    const [, name, rest] = dependencyRow.exec(text) ?? [];
    if (name === undefined || rest === undefined) continue;
    const cells = rest.split('|').map((cell) => cell.trim());
    const complete = cells.length === dependencyColumns && cells.every((cell) => cell !== '');
    lines.set(name, { line: index + 1, home: (cells[0] ?? '').replaceAll('`', ''), complete });
  }
  return lines;
}

const dependencyKinds = ['dependencies', 'optionalDependencies', 'devDependencies'] as const;

function declaredIn(tree: Tree, path: string, kinds: readonly (typeof dependencyKinds)[number][] = dependencyKinds): [string, string][] {
  const declared = JSON.parse(tree.files.get(path) ?? '{}') as Record<string, Record<string, string> | undefined>;
  return kinds.flatMap((kind) => Object.entries(declared[kind] ?? {}));
}

/** `const recordMagic = 'KILNREC1'`, a number, or bytes made from either. */
const magicConstant = /\bconst (\w*[mM]agic\w*)[^=\n]*=\s*/g;
const magicLiteral = /'([^'\n]+)'|"([^"\n]+)"|\b(0x[\da-fA-F_]+)\b/;

/** What is written to disk is written down in docs/formats/ first. */
export const formatPages: Rule = {
  name: 'format-page',
  *check(tree) {
    const pages = [...tree.files].filter(([path]) => path.startsWith('docs/formats/') && path.endsWith('.md')).map(([, text]) => text ?? '');
    for (const source of tree.sources) {
      if (!isProduction(source)) continue;
      for (const match of source.code.matchAll(magicConstant)) {
        const initializer = source.text.slice(match.index + match[0].length).split(';')[0] ?? '';
        const literal = magicLiteral.exec(initializer)?.slice(1).find((group) => group !== undefined);
        if (literal === undefined) yield findingAt(source, match.index, `${match[1]}: write the magic as a literal, so that its page can be found`);
        else if (!pages.some((page) => page.includes(literal))) yield findingAt(source, match.index, `no page in docs/formats/ describes the format with magic ${literal}`);
      }
    }
  },
};

/** A write path gives files their names, or makes them durable. `#inner` is told by a decorator, which does neither itself. */
const writePath = /(?<!#inner)\.(?:rename|syncData)\(/;

/** A write path is reached by a test that crashes, through imports or as a program that it names. */
export const crashTests: Rule = {
  name: 'crash-test',
  *check(tree) {
    const byPath = new Map(tree.sources.map((source) => [source.path, source]));
    const tests = tree.sources.flatMap(({ path }) => (path.endsWith('.crash.test.ts') || path.startsWith('test/crash/') ? [path] : []));
    const proven = reachable(byPath, tests);
    for (const source of tree.sources) {
      if (!isProduction(source) || source.folder !== 'engine' || proven.has(source.path)) continue;
      const at = source.code.search(writePath);
      if (at !== -1) yield findingAt(source, at, 'no crash test (*.crash.test.ts or test/crash/) proves this write path');
    }
  },
};

/** Names become files in one audited place. */
export const durablePath: Rule = {
  name: 'durable-path',
  *check(tree) {
    for (const source of tree.sources) {
      if (!isProduction(source) || source.folder === 'engine' || source.folder === 'platform') continue;
      for (const match of source.code.matchAll(/\.(?:rename|createExclusive)\(/g)) {
        yield findingAt(source, match.index, `${match[0]}): files are written by engine/ only, which syncs before it acknowledges`);
      }
    }
  },
};

/** Containers that hold what others put in. ActionCache and BuildCache are nouns of the domain, not such containers. */
const boundedClass = /\bclass (\w*(?:Queue|(?<!Action|Build)Cache|Pool|Semaphore|Lane|BoundedMap))\b[^{]*\{/g;
const madeContainer = /\bnew (\w*(?:Queue|(?<!Action|Build)Cache|Pool|Semaphore|Lane|BoundedMap))(?:<[^()]*>)?\(([^)]*)/g;
/** A field that fills up while somebody else is slow. */
const waitingField = /^\s+(?:readonly )?(#?\w*(?:queue|cache|pending|waiting|waiters|backlog)\w*)\b[^=;\n]*=\s*(?:new (?:Map|Set|Array)\b|\[\])/gim;
const limitName = /\w+Max\b/;
/** A duration without its unit. */
const unitless = /\b(\w*(?:[tT]imeout|[tT]tl|[dD]elay|[iI]nterval|[pP]eriod))\??: number\b/g;

/** Everything has a bound, a unit and a name. */
export const bounds: Rule = {
  name: 'bound',
  *check(tree) {
    for (const source of tree.sources) {
      if (!isProduction(source)) continue;
      const limited = limitName.test(source.code);
      for (const pattern of [boundedClass, waitingField]) {
        for (const match of source.code.matchAll(pattern)) {
          if (!limited) yield findingAt(source, match.index, `${match[1]} has no bound: take a limit whose name ends in Max, and refuse what is over it`);
        }
      }
      for (const match of source.code.matchAll(madeContainer)) {
        if (/^\s*$|\bInfinity\b|\bMAX_SAFE_INTEGER\b/.test(match[2] ?? '')) {
          yield findingAt(source, match.index, `new ${match[1]} without a limit: what has no bound is bounded by the out-of-memory killer`);
        }
      }
      for (const match of source.code.matchAll(unitless)) yield findingAt(source, match.index, `${match[1]}: say the unit, such as ${match[1]}Ms`);
    }
  },
};
