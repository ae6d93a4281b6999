// The build tools of test/clients/, installed on first use, so that neither users nor other tests download them.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const clients = resolve(import.meta.dirname, '../clients');

/** A tool that is there, or why not and how to get it. */
export type Client = { readonly program: string; readonly lacking: false } | { readonly program: ''; readonly lacking: string };

/** Where npm has no build of a tool for this platform. */
const elsewhere: Readonly<Record<string, string>> = {
  bazel: 'npm has Bazel for Linux and macOS on x64 only; run these tests on one of them',
  moon: 'npm has moon for Linux and macOS, on x64 and arm64; run these tests on one of them',
};

/** The tool called `name`. @throws when the tools cannot be installed: without a network nothing is proven. */
export function realClient(name: 'bazel' | 'moon'): Client {
  if (!isInstalled()) install();
  const program = join(clients, 'node_modules/.bin', name);
  if (!isBuiltForThisMachine(name)) return { program: '', lacking: `no ${name} for ${process.platform} ${process.arch}: ${elsewhere[name] ?? ''}` };
  return { program, lacking: false };
}

/** npm writes the installed tree down last, so this also tells a broken installation from a whole one. */
function isInstalled(): boolean {
  const installed = join(clients, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return false;
  const versions = (path: string): Record<string, { version?: string } | undefined> =>
    (JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, { version?: string }> }).packages;
  const wanted = versions(join(clients, 'package-lock.json'));
  return Object.entries(versions(installed)).every(([path, found]) => wanted[path]?.version === found?.version);
}

function isBuiltForThisMachine(name: 'bazel' | 'moon'): boolean {
  if (name === 'bazel') return existsSync(join(clients, `node_modules/@bazel/bazel-${process.platform}_${process.arch}`));
  return ['', '-gnu', '-musl'].some((libc) => {
    const platform = process.platform === 'darwin' ? 'macos' : process.platform;
    return existsSync(join(clients, `node_modules/@moonrepo/core-${platform}-${process.arch}${libc}`));
  });
}

function install(): void {
  const { status, stdout, stderr } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: clients, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ci in test/clients ended with ${status}:\n${stdout}${stderr}`);
}
