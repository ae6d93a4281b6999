// The real server with TLS, and what its clients need to believe it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeServerCertificate } from '../../src/testing/certificates.ts';
import { startDaemon } from '../e2e/daemon.ts';
import type { Daemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';

export interface TlsDaemon extends Daemon {
  /** PEM: who has signed the certificate, which is for localhost and 127.0.0.1. */
  readonly caFile: string;
  /** Of its own; gone after the test. */
  readonly directory: string;
}

export async function startTlsDaemon(t: TestContext, flags: readonly string[] = []): Promise<TlsDaemon> {
  const directory = temporaryDirectory(t, 'tls');
  const [caFile, certificateFile, keyFile] = ['ca.pem', 'server.pem', 'server.key'].map((name) => join(directory, name)) as [string, string, string];
  const { authority, server } = makeServerCertificate();
  writeFileSync(caFile, authority.certificate);
  writeFileSync(certificateFile, server.certificate);
  writeFileSync(keyFile, server.key, { mode: 0o600 });
  const daemon = await startDaemon(t, join(directory, 'data'), { flags: ['--tls-certificate', certificateFile, '--tls-key', keyFile, ...flags] });
  return Object.assign(daemon, { caFile, directory });
}
