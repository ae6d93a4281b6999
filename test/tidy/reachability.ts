// Files that nobody uses. What ships must be reached from bin/ or be exported by package.json; the rest from a test, a
// script or package.json.
import { posix } from 'node:path';
import { findingAt, isProduction } from './tree.ts';
import type { Rule, Source, Tree } from './tree.ts';

/** A TypeScript file named in a string or a script, such as a worker's entry or a program that a test starts. */
const namedFile = /[\w./-]*\w\.ts\b/g;

export const noUnusedFiles: Rule = {
  name: 'unused-file',
  *check(tree) {
    const byPath = new Map(tree.sources.map((source) => [source.path, source]));
    const launched = [...entriesIn(tree, byPath, (path) => path.startsWith('bin/')), ...exportedEntries(tree, byPath)];
    const scripted = entriesIn(tree, byPath, (path) => path === 'package.json' || path.startsWith('.ci/') || path.endsWith('.sh'));
    const tests = tree.sources.filter(({ isTest }) => isTest).map(({ path }) => path);
    const shipped = reachable(byPath, launched);
    const used = reachable(byPath, [...launched, ...scripted, ...tests]);
    for (const source of tree.sources) {
      if (source.isTest) continue;
      if (isProduction(source) && !shipped.has(source.path)) {
        yield findingAt(source, 0, 'nothing that ships imports this file: wire it in, move it to testing/, or delete it');
      } else if (!used.has(source.path)) {
        yield findingAt(source, 0, 'no test, script or other file uses this file: delete it');
      }
    }
  },
};

function entriesIn(tree: Tree, byPath: ReadonlyMap<string, Source>, wanted: (path: string) => boolean): string[] {
  return [...tree.files].filter(([path]) => wanted(path)).flatMap(([path, text]) => filesNamedIn(path, text ?? '', byPath));
}

/** What package.json exports, as source: `./dist/x.js` is compiled from `src/x.ts`. */
function exportedEntries(tree: Tree, byPath: ReadonlyMap<string, Source>): string[] {
  const compiled = [...(tree.files.get('package.json') ?? '').matchAll(/"\.\/dist\/([\w./-]+)\.js"/g)];
  return compiled.map(([, name]) => `src/${name}.ts`).filter((path) => byPath.has(path));
}

/** A name counts relative to the file that holds it and relative to the root; a shell variable before it is dropped. */
function filesNamedIn(path: string, text: string, byPath: ReadonlyMap<string, Source>): string[] {
  return [...text.replace(/\$\w+|\$\{\w+\}/g, '').matchAll(namedFile)].flatMap(([name]) => {
    const relative = name.replace(/^\/+/, '');
    return [posix.join(posix.dirname(path), relative), posix.normalize(relative)].filter((candidate) => byPath.has(candidate));
  });
}

/** All that `entries` import or name, and what these do. */
export function reachable(byPath: ReadonlyMap<string, Source>, entries: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const source = byPath.get(path);
    if (source === undefined || seen.has(path)) continue;
    seen.add(path);
    waiting.push(...source.imports.flatMap(({ target }) => target ?? []), ...filesNamedIn(path, stringsOf(source), byPath));
  }
  return seen;
}

/** What is in neither half of the split: the contents of strings, templates and regular expressions. */
function stringsOf({ text, code, comments }: Source): string {
  let strings = '';
  for (let at = 0; at < text.length; at += 1) strings += code[at] === ' ' && comments[at] === ' ' ? text[at] : ' ';
  return strings;
}
