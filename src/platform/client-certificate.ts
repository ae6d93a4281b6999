// What a TLS connection shows of its client, out of the certificate that OpenSSL has verified.
import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';
import type { ClientCertificate, ConnectionCredentials } from '../base/authorizer.ts';

/** A new object for each call. There is no certificate without TLS, nor one that was not verified. */
export function credentialsOf(socket: Socket): ConnectionCredentials {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return {};
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? {} : { certificate: namesIn(certificate) };
}

/** The names of a certificate, in their written forms. */
export function namesIn(certificate: X509Certificate): ClientCertificate {
  // One line per relative distinguished name, escaped as in RFC 2253, the least specific first.
  const lines = certificate.subject === undefined || certificate.subject === '' ? [] : certificate.subject.split('\n');
  const attributes = lines.flatMap((line) => line.match(/(?:\\.|[^\\+])+/gs) ?? []).map((attribute) => attribute.trim());
  const alternatives = alternativeNames(certificate.subjectAltName ?? '');
  const valuesOf = (kind: string): string[] => alternatives.flatMap(([own, value]) => (own === kind ? [value] : []));
  return {
    subject: lines.toReversed().join(','),
    commonNames: attributes.flatMap((attribute) => (attribute.startsWith('CN=') ? [unescaped(attribute.slice('CN='.length))] : [])),
    dnsNames: valuesOf('DNS'),
    uris: valuesOf('URI'),
    emails: valuesOf('email'),
  };
}

/** RFC 4514 §2.4: a backslash and two hexadecimal digits are one byte of UTF-8, before anything else it is nothing. */
function unescaped(value: string): string {
  return Buffer.concat(
    (value.match(/\\[0-9A-Fa-f]{2}|\\.|[^\\]+/gs) ?? []).map((part) => {
      if (!part.startsWith('\\')) return Buffer.from(part);
      return part.length === 3 ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part.slice(1));
    }),
  ).toString();
}

/**
 * `DNS:a, URI:"b\u002c c"`: Node writes a value with a comma, a quote or a control in it as JSON with \u002c for commas, so
 * that no value can pretend to be another entry.
 */
function alternativeNames(text: string): (readonly [kind: string, value: string])[] {
  return text.split(', ').map((entry) => {
    const [, kind = '', value = ''] = /^([^:]*):(.*)$/s.exec(entry) ?? [];
    return [kind, value.startsWith('"') ? unquoted(value) : value] as const;
  });
}

/** What cannot be read is no name, and no reason for a server to end. */
function unquoted(value: string): string {
  try {
    return String(JSON.parse(value));
  } catch {
    return '';
  }
}
