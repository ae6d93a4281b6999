// Compiles what ships into dist/, for `npm pack`: Node strips no types below node_modules. Never part of working in a
// clone, where bin/kiln runs the source whatever dist/ holds.
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Beside dist/, so that it can be renamed; of this process, so that two builds do not meet. */
const building = join(root, `dist.${process.pid}`);

/** What other programs import: the values of "types" in package.json's exports, as source. */
function entryFiles(): string[] {
  const { exports = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports?: Record<string, string | { types: string }> };
  return Object.values(exports).flatMap((target) => (typeof target === 'string' ? [] : [target.types.replace('./dist/', '../src/').replace(/\.d\.ts$/, '.ts')]));
}

function compile(...options: readonly string[]): void {
  // As a script, since node_modules/.bin is on PATH under npm only.
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--outDir', building, ...options], { cwd: root, stdio: 'inherit' });
}

/** Declarations of the entries and of what they mention, not of the whole server. */
function declareEntries(): void {
  const configuration = join(building, 'tsconfig.json');
  const options = { noEmit: false, rootDir: '../src', declaration: true, emitDeclarationOnly: true };
  writeFileSync(configuration, JSON.stringify({ extends: '../tsconfig.json', compilerOptions: options, files: entryFiles(), include: [] }));
  compile('-p', configuration);
  rmSync(configuration);
  // The compiler leaves ".ts" in declarations, which older ones do not resolve to ".d.ts".
  for (const path of filesOf('.d.ts')) writeFileSync(path, readFileSync(path, 'utf8').replace(/(['"])(\.{1,2}\/[^'"\n]*)\.ts\1/g, '$1$2.js$1'));
}

function filesOf(ending: string): string[] {
  return globSync(`**/*${ending}`, { cwd: building }).map((path) => join(building, path));
}

/** The compiler rewrites imports only. A name of a source file in any other place would not be found in the package. */
function refuseSourceNames(): void {
  for (const path of filesOf('.js')) {
    const [found] = /(['"`])\.{1,2}\/[^'"`\n]*\.ts\1/.exec(readFileSync(path, 'utf8')) ?? [];
    if (found !== undefined) throw new Error(`${path} names ${found}, which is not in the package: take the ending from import.meta.url`);
  }
}

try {
  compile('-p', join(root, 'tsconfig.build.json'));
  declareEntries();
  refuseSourceNames();
  rmSync(dist, { recursive: true, force: true });
  renameSync(building, dist);
} finally {
  rmSync(building, { recursive: true, force: true });
}
