// How a reference server is started and how it says where it listens: the same ready file as Kiln's.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

export interface ReferenceArguments {
  readonly readyFile: string;
  /** How many of the numbered blobs are to be there from the start; for some servers a file to answer with. */
  readonly detail: string;
  /** PEM; absent where plaintext is spoken. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

/** The words after the program. @throws Error when there are too few. */
export function referenceArguments(): ReferenceArguments {
  const [, , readyFile, detail, certificateFile, keyFile] = process.argv;
  if (readyFile === undefined || detail === undefined) throw new Error('usage: server READY_FILE DETAIL [CERTIFICATE KEY]');
  const tls = certificateFile === undefined || keyFile === undefined ? undefined : { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
  return { readyFile, detail, tls };
}

/** Writes the ready file and ends the process on SIGTERM. */
export function announce(readyFile: string, port: number): void {
  writeFileSync(`${readyFile}.partial`, JSON.stringify({ pid: process.pid, http: `http://127.0.0.1:${port}` }));
  renameSync(`${readyFile}.partial`, readyFile);
  process.on('SIGTERM', () => process.exit(0));
}
