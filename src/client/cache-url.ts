// Where a cache is, as people write it: http://[user:password@]HOST:PORT[/instance], https://... or unix:PATH.
import { CacheError } from '../base/cache-error.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import type { InstanceName } from '../digest/instance-name.ts';

export interface CacheUrl {
  readonly server: ListenAddress;
  readonly tls: boolean;
  /** From the path; undefined when there is none. */
  readonly instance: InstanceName | undefined;
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
}

const forms = 'write http://HOST:PORT, https://HOST:PORT, either with /INSTANCE, or unix:PATH';

const defaultPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** @throws CacheError `invalid_argument` that says what is wrong, without repeating a password. */
export function parseCacheUrl(text: string): CacheUrl {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '' || path.includes('\0')) throw invalid(`${JSON.stringify(text)} names no path after "unix:"`);
    return { server: { kind: 'unix', path }, tls: false, instance: undefined, credentials: undefined };
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw invalid(`${JSON.stringify(shown(text))} is no URL of a cache`);
  const scheme = url.protocol.slice(0, -1);
  if (scheme === 'grpc' || scheme === 'grpcs') throw new CacheError('invalid_argument', `${scheme}:// URLs are for build tools; the same port takes ${scheme === 'grpc' ? 'http' : 'https'}://${url.host}`);
  const defaultPort = defaultPorts[scheme];
  if (defaultPort === undefined || url.hostname === '') throw invalid(`${JSON.stringify(shown(text))} is no URL of a cache`);
  if (url.search !== '' || url.hash !== '') throw invalid(`${JSON.stringify(shown(text))} has a query or a fragment, which mean nothing here`);
  return {
    server: { kind: 'tcp', host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? defaultPort : Number(url.port) },
    tls: scheme === 'https',
    instance: instanceOf(url),
    credentials: url.username === '' && url.password === '' ? undefined : { user: decoded(url.username), password: decoded(url.password) },
  };
}

function instanceOf(url: URL): InstanceName | undefined {
  const path = url.pathname.replace(/^\/+|\/+$/g, '');
  return path === '' ? undefined : parseInstanceName(decoded(path));
}

/** @throws CacheError `invalid_argument` (not percent-encoded UTF-8) without the text, which may be secret. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new CacheError('invalid_argument', 'a part of the URL of the cache is not percent-encoded UTF-8; write % as %25', { cause });
  }
}

/** The text without what stands before an @, which may be a password, however malformed it is. */
function shown(text: string): string {
  return text.replace(/^([a-z]*:?\/\/)?.*@/is, '$1…@').slice(0, 200);
}

function invalid(problem: string): CacheError {
  return new CacheError('invalid_argument', `${problem}; ${forms}`);
}
