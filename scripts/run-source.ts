// What bin/kiln runs in a clone: the source, bundled when it has changed since the last start. To bundle it takes less than to strip
// the types of all its files, and a start from a bundle takes half of one from the source. Where there can be no bundle, the source
// itself is run: nothing can be kept here, the bundler is not installed, or there is a mistake in the source, which Node then shows.
import { enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { KeptBundles } from './kept-bundles.ts';

const root = resolve(import.meta.dirname, '..');
/** Of what a bundle is, beside the files that go into it. */
const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts/bundle.ts'];

async function bundled(): Promise<string | undefined> {
  if (process.env['NODE_DISABLE_COMPILE_CACHE'] !== undefined) return undefined; // who says that wants nothing kept
  const kept = new KeptBundles(root);
  process.once('exit', () => kept.leave());
  const current = kept.current();
  if (current !== undefined) return current;
  try {
    const { bundle } = await import('./bundle.ts');
    return kept.make((directory) => [...bundle(root, { directory, ending: '.mjs', takesDependencies: true }), ...settings]);
  } catch {
    return undefined;
  }
}

// As bin/kiln does, for who runs this file without it.
process.env['NODE_COMPILE_CACHE'] ??= join(root, 'node_modules', '.cache', 'kiln');
enableCompileCache(process.env['NODE_COMPILE_CACHE']);
const program = await bundled();
await (program === undefined ? import('../src/cli/main.ts') : import(pathToFileURL(program).href));
