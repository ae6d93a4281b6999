// The certificate of all servers that are measured over TLS: made for this run, and good for loopback only.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeServerCertificate } from '../../src/testing/certificates.ts';

/** PEM files, of a key on the curve P-256. */
export interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Who signed it, as PEM: what a client is to trust. */
  readonly authority: string;
}

export function writeTlsFiles(directory: string): TlsFiles {
  const { authority, server } = makeServerCertificate();
  const [certificateFile, keyFile] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  writeFileSync(certificateFile, server.certificate);
  writeFileSync(keyFile, server.key, { mode: 0o600 });
  return { certificateFile, keyFile, authority: authority.certificate };
}
