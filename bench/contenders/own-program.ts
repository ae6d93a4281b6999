// Starts a server that is a program of ours, in a process of its own.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import type { StartPlace } from './contender.ts';

/** With the Node of this process; `detail` is its second word. It says by the ready file where it listens. */
export function startProgram(name: string, { file, detail, at }: { readonly file: URL; readonly detail: string; readonly at: StartPlace }): Promise<ServerProcess> {
  const readyFile = join(at.directory, 'ready.json');
  const secret = at.tls === undefined ? [] : [at.tls.certificateFile, at.tls.keyFile];
  const words = [process.execPath, file.pathname, readyFile, detail, ...secret];
  return startServer({ name, words, core: at.core, authority: at.tls?.authority, readiness: { kind: 'ready-file', path: readyFile } });
}

/** Writes the answer where the server can read it. */
export function answerFile({ directory, answer }: StartPlace): string {
  const file = join(directory, 'answer');
  writeFileSync(file, answer);
  return file;
}
