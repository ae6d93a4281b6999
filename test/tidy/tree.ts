// The repository as the rules see it: every file that git tracks or would track, read once.
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { readImports, splitText } from './source-text.ts';
import type { ImportedModule } from './source-text.ts';

/** An import with its target inside the repository, if it is a relative one. */
export interface Import extends ImportedModule {
  readonly target: string | undefined;
}

/** A TypeScript file that people write. */
export interface Source {
  readonly path: string;
  readonly text: string;
  /** The text without comments, strings, templates and regular expressions; offsets agree with `text`. */
  readonly code: string;
  readonly comments: string;
  readonly imports: readonly Import[];
  /** Under src/: the layer folder; else the top folder. */
  readonly folder: string;
  readonly isTest: boolean;
}

export interface Tree {
  /** Text by path; a file with a NUL byte counts as binary and has undefined. */
  readonly files: ReadonlyMap<string, string | undefined>;
  readonly sizeBytes: ReadonlyMap<string, number>;
  readonly sources: readonly Source[];
}

/** What a rule found. `path` and the rule's name are what tidy.allow.ts goes by. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export interface Rule {
  readonly name: string;
  check(tree: Tree): Iterable<Finding>;
}

/** Generated from proto/, never edited, exempt from every rule about style. */
export const generatedFolder = 'src/proto/gen/';

/** True for code that ships: under src/, not a test and not what only tests use. */
export function isProduction(source: Source): boolean {
  return source.path.startsWith('src/') && !source.isTest && source.folder !== 'testing';
}

export function findingAt(source: { readonly path: string; readonly text: string }, offset: number, message: string): Finding {
  return { path: source.path, line: source.text.slice(0, offset).split('\n').length, message };
}

/** A tree of the given files, for samples. */
export function treeOf(files: Readonly<Record<string, string>>): Tree {
  return build(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]));
}

/** The work tree below `root`: tracked files and new ones that no .gitignore names. */
export function readTree(root: string): Tree {
  // The caller may not own the clone (a container, a CI runner); for listing files that does not matter.
  const listed = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const paths = [...new Set(listed.split('\0'))].filter((path) => path !== '' && isFile(posix.join(root, path))).toSorted();
  return build(paths.map((path) => [path, readFileSync(posix.join(root, path))]));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function build(files: readonly (readonly [string, Buffer])[]): Tree {
  const texts = files.map(([path, bytes]) => [path, bytes.includes(0) ? undefined : bytes.toString('utf8')] as const);
  return {
    files: new Map(texts),
    sizeBytes: new Map(files.map(([path, bytes]) => [path, bytes.byteLength])),
    sources: texts.flatMap(([path, text]) => (text === undefined || !path.endsWith('.ts') || path.startsWith(generatedFolder) ? [] : [sourceOf(path, text)])),
  };
}

function sourceOf(path: string, text: string): Source {
  const { code, comments } = splitText(text);
  const [top = '', below = ''] = path.split('/');
  const imports = readImports(text, code).map((one) => ({
    ...one,
    target: one.specifier.startsWith('.') ? posix.join(posix.dirname(path), one.specifier) : undefined,
  }));
  return { path, text, code, comments, imports, folder: top === 'src' ? below : top, isTest: path.endsWith('.test.ts') };
}
