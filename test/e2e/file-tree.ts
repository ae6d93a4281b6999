// What stands in a directory, for comparing the outputs of two builds byte by byte, and how to get rid of it.
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { TestContext } from 'node:test';

/** Path below `directory` → kind, permission to execute, and hash or link target. Directories count, links are not followed. */
export function describeTree(directory: string): Readonly<Record<string, string>> {
  const described: Record<string, string> = {};
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const full = join(directory, path);
    const status = lstatSync(full);
    if (status.isDirectory()) described[`${path}/`] = 'directory';
    else if (status.isSymbolicLink()) described[path] = `link to ${relative(directory, readlinkSync(full))}`;
    else described[path] = `${(status.mode & 0o100) === 0 ? 'file' : 'program'} ${hashOf(full)}`;
  }
  return described;
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** An empty directory, removed at the end of the test. */
export function temporaryDirectory(t: TestContext, name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `kiln-${name}-`));
  t.after(() => removeTree(directory));
  return directory;
}

/** Removes a tree, also one whose directories nobody may write, as Bazel leaves its outputs. */
export function removeTree(directory: string): void {
  if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return;
  makeWritable(directory);
  rmSync(directory, { recursive: true, force: true });
}

function makeWritable(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) makeWritable(join(directory, entry.name));
  }
}
