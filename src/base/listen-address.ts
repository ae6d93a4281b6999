// Where a server listens: a TCP address or a unix socket, and their written forms.
import { CacheError } from './cache-error.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; /** A name or an address; IPv6 without brackets. */ readonly host: string; /** 0: any free one. */ readonly port: number }
  | { readonly kind: 'unix'; /** As written; relative to the working directory unless it starts with a slash. */ readonly path: string };

/** Names and IPv4 addresses; names that are no host names in the strict sense, as with underscores, exist in many networks. */
const namePattern = /^[\w.-]+$/;
const dottedNumbers = /^\d+\.\d+\.\d+\.\d+$/;
/** With a zone, as in `fe80::1%eth0`. */
const ipv6Pattern = /^[\da-f:.]*:[\da-f:.]*(?:%[\w.-]+)?$/i;

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`.
 * @throws CacheError `invalid_argument` that says what is wrong with the text.
 */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '' || path.includes('\0')) throw new CacheError('invalid_argument', `${JSON.stringify(text)} names no path after "unix:"`);
    return { kind: 'unix', path };
  }
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text);
  if (parts === null) throw new CacheError('invalid_argument', `${JSON.stringify(text)} is not an address${hint(text)}`);
  const host = parts[1] ?? parts[2] ?? '';
  if (host === '') throw new CacheError('invalid_argument', `${JSON.stringify(text)} has no host; 0.0.0.0 stands for every interface`);
  if (host === '*') throw new CacheError('invalid_argument', `${JSON.stringify(text)} is not an address: 0.0.0.0 stands for every interface, [::] for IPv6 as well`);
  const [pattern, kind] = parts[1] === undefined ? [namePattern, 'host'] : [ipv6Pattern, 'IPv6 address'];
  if (!pattern.test(host)) throw new CacheError('invalid_argument', `${JSON.stringify(text)} is not an address: ${JSON.stringify(host)} is no ${kind}`);
  if (dottedNumbers.test(host) && host.split('.').some((part) => Number(part) > 255)) throw new CacheError('invalid_argument', `${JSON.stringify(text)} is not an address: the numbers of ${host} end at 255`);
  const port = Number(parts[3]);
  if (port > 65_535) throw new CacheError('invalid_argument', `${JSON.stringify(text)} has port ${parts[3]}; ports end at 65535`);
  return { kind: 'tcp', host, port };
}

function hint(text: string): string {
  const scheme = /^[a-z+]+:\/\//i.exec(text);
  if (scheme !== null) return `: leave out ${scheme[0]}`;
  if (/^\d+$/.test(text)) return ': the host is missing';
  if (text.includes(',')) return ': several addresses are given one by one';
  if (!text.includes(':')) return ': the port is missing';
  if (text.split(':').length > 2 && !text.includes('[')) return ': an IPv6 address goes into brackets, as in [::1]:9092';
  if (/[\]:]$/.test(text)) return ': the port is missing';
  return /^(?:\[[^\]]*\]|[^:[\]]*):[^:\]]+$/.test(text) ? ': the port is not a number' : '';
}

/** The written form: `127.0.0.1:9092`, `[::1]:9092`, `unix:/run/kiln.sock`. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
