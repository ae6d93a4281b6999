// Puts the program and the entries of its threads into a few files: hundreds of modules take Node as many searches, which is most of
// a start.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildSync } from 'esbuild';

/** Prebuilt binaries, which stay where they are. */
const native = ['@napi-rs/blake-hash', 'node-unix-socket-linux-x64-gnu'];

export interface BundleTarget {
  readonly directory: string;
  /** Of the files: `.js` or `.mjs`. */
  readonly ending: string;
  /** Whether dependencies are taken in, or imported as before. */
  readonly takesDependencies: boolean;
  /** Beside the program, relative to `root`: what else is put under its own path below the directory. */
  readonly more?: readonly string[];
}

/** The entries of threads: who starts one names it to `entryBeside`, and finds it in its own folder, which is that of the bundle. */
function threadEntries(root: string): string[] {
  return globSync('src/**/*.ts', { cwd: root, exclude: (path) => path.endsWith('.test.ts') || path === 'src/testing' }).flatMap((path) =>
    [...readFileSync(join(root, path), 'utf8').matchAll(/entryBeside\(import\.meta\.url, '\.\/([\w-]+\.ts)'\)/g)].map(([, name = '']) => join(path, '..', name)),
  );
}

/**
 * Everything lies in `cli/` below the directory: paths that the program takes from its own are as deep as those in src/.
 * @returns what was read, as paths relative to `root`.
 * @throws Error that says what is wrong with the source.
 */
export function bundle(root: string, { directory, ending, takesDependencies, more = [] }: BundleTarget): readonly string[] {
  const entries = ['src/cli/main.ts', ...threadEntries(root)].map((path) => ({ in: path, out: `cli/${basename(path, '.ts')}` }));
  const others = more.map((path) => ({ in: path, out: path.replace(/^src\/(.*)\.ts$/, '$1') }));
  const { metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: [...entries, ...others],
    chunkNames: 'cli/[name]-[hash]',
    outdir: directory,
    outExtension: { '.js': ending },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'esnext',
    ...(takesDependencies ? { external: native } : { packages: 'external' }),
    // For dependencies that are no modules.
    ...(takesDependencies ? { banner: { js: "import { createRequire as createRequireHere } from 'node:module'; const require = createRequireHere(import.meta.url);" } } : {}),
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
  });
  return Object.keys(metafile.inputs);
}
