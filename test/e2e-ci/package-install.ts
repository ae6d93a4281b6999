// The npm package as a user gets it: packed from this tree, and installed into an empty folder by the npm and the Node
// of the machine, not by those that npm scripts bring.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

export const root: string = resolve(import.meta.dirname, '../..');

/** Downloads what the package depends on, once per machine, and unpacks a Node. */
const npmTimeoutMs = 200_000;

export interface Tarball {
  readonly path: string;
  /** Packed and unpacked. */
  readonly bytes: number;
  readonly unpackedBytes: number;
  readonly files: readonly { readonly path: string; readonly size: number; readonly mode: number }[];
}

/** The environment of a user's shell: without what npm adds for scripts, which would lead a second npm back here. */
export function userEnvironment(): Record<string, string> {
  const added = /^(?:npm_(?!config_)|npm_config_(?:local_prefix|prefix|global_prefix)$|NODE|INIT_CWD$)/;
  const kept = Object.entries(process.env).filter(([name, value]) => value !== undefined && !added.test(name)) as [string, string][];
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => !directory.includes('node_modules') && !directory.includes('node-gyp-bin'));
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter) };
}

/** Runs npm in `directory`. @throws with what it printed unless it ends well. */
export function npm(args: readonly string[], directory: string): string {
  const { status, signal, stdout, stderr } = spawnSync('npm', args, { cwd: directory, env: userEnvironment(), encoding: 'utf8', timeout: npmTimeoutMs });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} ended with ${status ?? signal}:\n${stdout}${stderr}`);
  return stdout;
}

/** `npm pack` of this tree into `directory`. */
export function pack(directory: string): Tarball {
  const printed = npm(['pack', '--json', '--pack-destination', directory], root);
  // What prepack prints comes first.
  const [described] = JSON.parse(printed.slice(printed.indexOf('[\n'))) as [{ filename: string; size: number; unpackedSize: number; files: Tarball['files'] }];
  return { path: join(directory, described.filename), bytes: described.size, unpackedBytes: described.unpackedSize, files: described.files };
}

/** A user's project below `directory` with the package in it. Nothing that comes along may run a script. */
export function installInto(directory: string, tarball: Tarball): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "name": "project", "private": true, "type": "module" }\n');
  npm(['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball.path], directory);
}
