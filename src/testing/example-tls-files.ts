// Files for the examples of the keys about TLS, which make sense together only.
import { makeServerCertificate } from './certificates.ts';

const { authority, server } = makeServerCertificate();

/** By the paths that the keys have as examples. */
export const exampleTlsFiles: ReadonlyMap<string, string> = new Map([
  ['/etc/kiln/tls/fullchain.pem', server.certificate],
  ['/etc/kiln/tls/privkey.pem', server.key],
  ['/etc/kiln/tls/clients.pem', authority.certificate],
]);

/** What must be given beside a key, by its name: environment variables, and the same as YAML. */
export function besideTlsKey(name: string): { readonly environment: Record<string, string>; readonly yaml: string } {
  if (!name.startsWith('tls.')) return { environment: {}, yaml: '' };
  const beside = [['certificate', '/etc/kiln/tls/fullchain.pem'], ['key', '/etc/kiln/tls/privkey.pem'], ['client-ca', '/etc/kiln/tls/clients.pem']].filter(([own]) => `tls.${own}` !== name);
  return {
    environment: Object.fromEntries(beside.map(([own = '', path = '']) => [`KILN_TLS_${own.replace('-', '_').toUpperCase()}`, path])),
    yaml: `tls:\n${beside.map(([own, path]) => `  ${own}: ${path}\n`).join('')}`,
  };
}
