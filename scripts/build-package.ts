// Puts what ships into dist/, for `npm pack`: Node strips no types below node_modules, and starts a few files in half the time of
// hundreds. What Kiln depends on is imported as before. Never part of working in a clone, where bin/kiln runs the source whatever
// dist/ holds.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bundle } from './bundle.ts';

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
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--outDir', building, ...options], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the source does not compile; "npm run check" shows why');
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

try {
  compile('-p', join(root, 'tsconfig.build.json'));
  bundle(root, { directory: building, ending: '.js', takesDependencies: false, more: entryFiles().map((path) => path.replace(/^\.\.\//, '')) });
  declareEntries();
  rmSync(dist, { recursive: true, force: true });
  renameSync(building, dist);
} catch (thrown) {
  console.error(`no package was built: ${String(thrown)}`);
  process.exitCode = 1;
} finally {
  rmSync(building, { recursive: true, force: true });
}
