// What it means when a connection cannot be made, in words that name the other side, the cause and the way out.
import { CacheError } from '../base/cache-error.ts';
import { targetName } from '../base/connector.ts';
import type { ConnectTarget } from '../base/connector.ts';
import { peerText } from '../base/peer-text.ts';
import { errorCodeOf } from './error-code-of.ts';

type Words = (target: ConnectTarget, cause: unknown) => string;

/** What may pass by itself. */
const passing: Readonly<Record<string, Words>> = {
  ECONNREFUSED: () => 'nothing listens there',
  ECONNRESET: ({ tls }) => (tls === undefined ? 'the other side broke the connection off' : 'the other side broke the TLS handshake off; does it speak TLS at all?'),
  ENOTFOUND: (target) => `there is no host of the name ${hostOf(target)}; check the name`,
  EAI_AGAIN: (target) => `the name ${hostOf(target)} cannot be looked up, since no name server answers`,
  ETIMEDOUT: () => 'nothing answers there',
  EHOSTUNREACH: () => 'there is no way to that host',
  ENETUNREACH: () => 'there is no way to that network',
  ENOENT: () => 'there is no such socket; is the server running?',
  EMFILE: () => 'this process has no file descriptors left; raise its limit (ulimit -n)',
};

const noTls = 'what answers there does not speak TLS; connect without, or to the port that does';
const unknownSigner = 'its certificate is signed by nobody who is trusted here; name the certificate of the authority that signed it';
const noHttp2 = 'it speaks TLS but not HTTP/2 (ALPN h2), which gRPC needs; a proxy in between may have to be told';
const wantsCertificate = 'it wants a certificate of this client, and was given none, or one that it does not accept';

/** What stays until somebody changes something. */
const lasting: Readonly<Record<string, Words>> = {
  EACCES: () => 'this user may not use that socket',
  EPERM: () => 'a rule of this machine forbids the connection',
  ENOTSOCK: () => 'that file is no socket',
  CERT_HAS_EXPIRED: () => 'its certificate has expired, by the clock of this machine',
  CERT_NOT_YET_VALID: () => 'its certificate is not valid yet, by the clock of this machine',
  CERT_REVOKED: () => 'its certificate was revoked',
  CERT_UNTRUSTED: () => unknownSigner,
  CERT_SIGNATURE_FAILURE: () => 'its certificate names an authority that is trusted here, and was not signed by it; is the file with the authority an old one?',
  DEPTH_ZERO_SELF_SIGNED_CERT: () => 'its certificate is signed by itself; if it is the right one, name it as the authority to trust',
  SELF_SIGNED_CERT_IN_CHAIN: () => unknownSigner,
  UNABLE_TO_GET_ISSUER_CERT: () => unknownSigner,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: () => unknownSigner,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: () => unknownSigner,
  INVALID_PURPOSE: () => 'its certificate is not one of a server',
  ERR_TLS_CERT_ALTNAME_INVALID: (target, cause) => `its certificate is not for ${target.tls?.serverName ?? hostOf(target)} but for ${namesIn(cause)}; ask for one of these as the server name`,
  ERR_SSL_WRONG_VERSION_NUMBER: () => noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: () => noTls,
  EPROTO: () => noTls,
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: () => noHttp2,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: () => 'it refuses the TLS versions of this client, 1.2 and 1.3',
  ERR_SSL_UNSUPPORTED_PROTOCOL: () => 'it speaks only versions of TLS that are too old; 1.2 and 1.3 are spoken here',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: () => wantsCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: () => wantsCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: () => wantsCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: () => 'it says that the certificate of this client has expired',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: () => wantsCertificate,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: () => 'it does not speak TLS on this port, or found no way that both know, or wants a certificate of this client',
};

/** The failure that `cause` is, of whatever stage. What is classified already stays as it is. */
export function connectFailure(target: ConnectTarget, cause: unknown): CacheError {
  if (cause instanceof CacheError) return cause;
  const code = codeOf(cause);
  const certificate = /^(?:CERT|UNABLE_TO|ERR_TLS_CERT)_/.test(code) ? () => 'its certificate cannot be trusted' : undefined;
  const stays = lasting[code] ?? certificate;
  const words = stays ?? passing[code];
  const reason = words === undefined ? code : `${words(target, cause)} (${code})`;
  return new CacheError(stays === undefined ? 'unavailable' : 'failed_precondition', `cannot connect to ${targetName(target)}: ${reason}`, { cause });
}

/** The connection stands, and no HTTP/2 was agreed on. */
export function noHttp2Failure(target: ConnectTarget): CacheError {
  return new CacheError('failed_precondition', `cannot connect to ${targetName(target)}: ${noHttp2}`);
}

/** Of several addresses that were tried, the last one's failure stands for all. */
function codeOf(cause: unknown): string {
  const last: unknown = cause instanceof AggregateError ? cause.errors.at(-1) : undefined;
  // OpenSSL has given these alerts another name.
  return errorCodeOf(last ?? cause).replace('ERR_SSL_SSL/TLS_ALERT_', 'ERR_SSL_SSLV3_ALERT_');
}

function hostOf({ address }: ConnectTarget): string {
  return address.kind === 'tcp' ? JSON.stringify(address.host) : `unix:${address.path}`;
}

/** As Node gives them: `DNS:a.example, IP Address:10.0.0.1`. */
function namesIn(cause: unknown): string {
  const certificate: unknown = cause instanceof Error && 'cert' in cause ? cause.cert : undefined;
  const names = typeof certificate === 'object' && certificate !== null && 'subjectaltname' in certificate ? String(certificate.subjectaltname) : '';
  return names === '' || names === 'undefined' ? 'no name at all' : peerText(names.replace(/(?:DNS|IP Address):/g, ''), 300);
}
