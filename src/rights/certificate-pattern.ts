// Which client certificates belong to an identity. Each pattern says by its first word which part of a certificate it
// looks at, so that a name in one part is never taken for the same name in another.
import type { ClientCertificate } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';

/**
 * `cn:NAME` a common name of the subject; `subject:NAME` all of the subject (RFC 4514, most specific first); `dns:NAME`,
 * `uri:URI` and `email:ADDRESS` an entry of the subject alternative name; `*` every certificate that is verified. A dns
 * name may begin with `*.`, which stands for one label, and a URI may end with `/*`, which stands for all below.
 */
export interface CertificatePattern {
  /** Where several patterns fit a certificate, the one with the least decides. */
  readonly rank: 'exact' | 'wildcard' | 'every';
  covers(certificate: ClientCertificate): boolean;
}

const forms = '"cn:ci", "subject:CN=ci,O=Example", "dns:ci.example", "dns:*.ci.example", "uri:spiffe://example/ci", "uri:spiffe://example/ci/*", "email:ci@example", or "*" for every certificate';

/** @throws CacheError `invalid_argument` that shows the forms there are. */
export function parseCertificatePattern(text: string): CertificatePattern {
  if (text === '*') return { rank: 'every', covers: () => true };
  const [, part = '', value = ''] = /^(cn|subject|dns|uri|email):(.*)$/s.exec(text) ?? [];
  const pattern = value.trim() === '' ? undefined : patternOf(part, value);
  if (pattern === undefined) throw new CacheError('invalid_argument', `${JSON.stringify(text)} is no pattern for client certificates: write ${forms}`);
  return pattern;
}

function patternOf(part: string, value: string): CertificatePattern | undefined {
  switch (part) {
    case 'cn': return exact(({ commonNames }) => commonNames.includes(value));
    case 'subject': return subjectPattern(value);
    case 'email': return emailPattern(value);
    case 'uri': return uriPattern(value);
    case 'dns': return dnsPattern(value.toLowerCase());
    default: return undefined;
  }
}

function exact(covers: CertificatePattern['covers']): CertificatePattern {
  return { rank: 'exact', covers };
}

function subjectPattern(value: string): CertificatePattern | undefined {
  const wanted = normalSubject(value);
  return wanted.includes('=') ? exact(({ subject }) => normalSubject(subject) === wanted) : undefined;
}

/** Blanks around separators and the case of attribute names mean nothing (RFC 4514 §3, §4). */
function normalSubject(subject: string): string {
  const parts = subject.match(/(?:\\.|[^\\,+])+|[,+]/gs) ?? [];
  return parts.map(normalAttribute).join('');
}

/** `TYPE=value`, or a separator as it is. */
function normalAttribute(part: string): string {
  const equals = part.indexOf('=');
  return equals === -1 ? part.trim() : `${part.slice(0, equals).trim().toUpperCase()}=${part.slice(equals + 1).trim()}`;
}

/** The part before the @ may tell cases apart, what follows never does (RFC 5280 §4.2.1.6). */
function emailPattern(value: string): CertificatePattern | undefined {
  const wanted = normalEmail(value);
  return /^[^@]+@[^@]+$/.test(value) ? exact(({ emails }) => emails.some((email) => normalEmail(email) === wanted)) : undefined;
}

function normalEmail(email: string): string {
  const at = email.lastIndexOf('@');
  return `${email.slice(0, at)}${email.slice(at).toLowerCase()}`;
}

function uriPattern(value: string): CertificatePattern | undefined {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:./.test(value)) return undefined;
  if (!value.includes('*')) return exact(({ uris }) => uris.includes(value));
  // With an authority before the star: "spiffe://*" would trust whoever the authority issues names for.
  const below = /^([^*]+:\/\/[^/*]+(?:\/[^*]*)?\/)\*$/.exec(value)?.[1];
  return below === undefined ? undefined : { rank: 'wildcard', covers: ({ uris }) => uris.some((uri) => uri.startsWith(below) && uri.length > below.length) };
}

function dnsPattern(value: string): CertificatePattern | undefined {
  if (!value.includes('*')) return exact(({ dnsNames }) => dnsNames.some((name) => name.toLowerCase() === value));
  const parent = /^\*(\.[^*.]+(?:\.[^*.]+)*)$/.exec(value)?.[1];
  if (parent === undefined) return undefined;
  const fits = (name: string): boolean => name.endsWith(parent) && name.length > parent.length && !name.slice(0, -parent.length).includes('.');
  return { rank: 'wildcard', covers: ({ dnsNames }) => dnsNames.some((name) => fits(name.toLowerCase())) };
}
