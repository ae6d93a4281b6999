// A token, made as people make one.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const kiln = resolve(import.meta.dirname, '../../bin/kiln');

/** Adds an entry with one grant, `PATTERN=RIGHTS`, to the tokens file, and gives the token. */
export function createToken(file: string, grant: string): string {
  const { status, stdout, stderr } = spawnSync(kiln, ['token', 'create', '--file', file, '--grant', grant], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`kiln token create ended with ${status}:\n${stderr}`);
  return stdout.trim();
}
