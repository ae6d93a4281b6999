// The files of TLS: read, and checked as far as they can be without knowing what time it is. What comes out fits
// together; what does not is said in words before a server is started with it, since OpenSSL's words help few.
import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CacheError } from '../base/cache-error.ts';

/** Bytes; a chain of ten certificates has a fifth of it. */
export const tlsFileBytesMax: number = 256 * 1024;

/** A file as it was read; of one that is too long, a byte more than `tlsFileBytesMax` is enough. */
export interface PemFile {
  readonly path: string;
  readonly text: string;
}

/** What a server shows and asks for. The key is a secret. */
export interface TlsMaterial {
  /** The server's certificate first; as PEM. */
  readonly certificateChain: string;
  /** PEM. */
  readonly key: string;
  /** PEM; undefined where no client certificates are believed. */
  readonly clientAuthorities: string | undefined;
  /** The same, one by one; empty where none are believed. */
  readonly authorities: readonly { readonly subject: string; readonly notAfterMs: number; readonly validTo: string }[];
  /** Whether it says for which hosts it is: clients go by its subjectAltName, and not by its subject (RFC 9110 §4.3.4). */
  readonly namesHosts: boolean;
  /** The server's own certificate, and its validity as milliseconds since the Unix epoch. */
  readonly subject: string;
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The same for people, as in `Nov 21 15:55:08 2027 GMT`. */
  readonly validFrom: string;
  readonly validTo: string;
}

interface TlsFiles {
  readonly certificate: PemFile;
  readonly key: PemFile;
  readonly clientCa: PemFile | undefined;
}

/** What is wrong with one of the files. */
export interface TlsFileMistake {
  readonly file: keyof TlsFiles;
  /** `invalid_argument`; first line what is wrong, with the path, second line what to do. */
  readonly error: CacheError;
}

/** What is in the files, or everything that is wrong with them; at least one mistake then. */
export function readTlsMaterial({ certificate, key, clientCa }: TlsFiles): { readonly material: TlsMaterial } | { readonly mistakes: readonly TlsFileMistake[] } {
  const mistakes: TlsFileMistake[] = [];
  const attempt = <T>(file: keyof TlsFiles, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      mistakes.push({ file, error });
      return undefined;
    }
  };
  const chain = attempt('certificate', () => certificatesIn(certificate, key));
  const privateKey = attempt('key', () => readKey(key, certificate));
  if (chain !== undefined) attempt('certificate', () => checkOrder(chain, privateKey, certificate));
  if (chain !== undefined && privateKey !== undefined) attempt('key', () => checkKeyBelongs(chain, privateKey, { certificate, key }));
  const authorities = clientCa === undefined ? [] : attempt('clientCa', () => authoritiesIn(clientCa));
  if (chain === undefined || privateKey === undefined || authorities === undefined || mistakes.length > 0) return { mistakes };
  return { material: materialOf(chain, privateKey, { text: clientCa?.text, authorities }) };
}

function materialOf(chain: Chain, privateKey: KeyObject, clientCa: { readonly text: string | undefined; readonly authorities: readonly X509Certificate[] }): TlsMaterial {
  const [leaf] = chain;
  return {
    certificateChain: chain.map((one) => one.toString()).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    clientAuthorities: clientCa.text,
    authorities: clientCa.authorities.map((one) => ({ subject: nameOf(one), notAfterMs: one.validToDate.getTime(), validTo: one.validTo })),
    namesHosts: /\b(?:DNS|IP Address):/.test(leaf.subjectAltName ?? ''),
    subject: nameOf(leaf),
    fingerprint: leaf.fingerprint256,
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
    validFrom: leaf.validFrom,
    validTo: leaf.validTo,
  };
}

/** What is cut off would be an authority that is not believed, or a certificate that is not sent. */
function checkLength({ path, text }: PemFile): void {
  if (text.length > tlsFileBytesMax) throw wrong(`${path} is longer than ${tlsFileBytesMax / 1024} KiB`, 'keep in it only the certificates that are needed');
}

/** What a person calls a certificate. */
function nameOf(certificate: X509Certificate): string {
  const subject = (certificate.subject ?? '').split('\n').reverse().join(',');
  return subject === '' ? (certificate.subjectAltName ?? `serial number ${certificate.serialNumber}`) : subject;
}

type Chain = readonly [X509Certificate, ...X509Certificate[]];

const certificateBlock = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]+-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;
const keyBlock = /-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----[^]+?-----END [A-Z0-9 ]*PRIVATE KEY-----/;

/** @param key where the key should be, if this file may have been taken for that one. */
function certificatesIn(file: PemFile, key?: PemFile): Chain {
  const { path, text } = file;
  checkLength(file);
  const blocks = text.match(certificateBlock) ?? [];
  const chain = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw wrong(`${blocks.length === 1 ? 'the certificate' : `certificate ${index + 1} of ${blocks.length}`} in ${path} cannot be read: it is damaged`, 'copy the file again, whole and as text', cause);
    }
  });
  const [leaf, ...others] = chain;
  if (leaf !== undefined) return [leaf, ...others];
  if (keyBlock.test(text)) throw wrong(`${path} has a private key and no certificate`, key !== undefined && hasCertificate(key) ? swapped : 'name the file with the certificate');
  if (/-----BEGIN CERTIFICATE REQUEST-----/.test(text)) throw wrong(`${path} has a request for a certificate, not the certificate`, 'name the file that the authority gave you for it');
  throw notPem(file, 'certificate', `openssl x509 -inform der -in ${path} -out NEW.pem`);
}

/** @param certificate where the certificate should be, if this file may have been taken for that one. */
function readKey(file: PemFile, certificate: PemFile): KeyObject {
  const { path, text } = file;
  checkLength(file);
  const block = keyBlock.exec(text);
  if (block === null) {
    if (hasCertificate(file)) throw wrong(`${path} has a certificate and no private key`, keyBlock.test(certificate.text) && !hasCertificate(certificate) ? swapped : 'name the file with the private key of the certificate');
    throw notPem(file, 'private key', `openssl pkey -inform der -in ${path} -out NEW.pem`);
  }
  if (block[1] === 'ENCRYPTED ' || /Proc-Type: 4,ENCRYPTED/.test(block[0])) {
    throw wrong(`the private key in ${path} is encrypted, and nobody is there to ask for its passphrase`, `decrypt it, and keep the file to the user that runs Kiln: openssl pkey -in ${path} -out NEW.pem`);
  }
  const privateKey = parsedKey(block[0], path);
  const bits = privateKey.asymmetricKeyDetails?.modulusLength ?? rsaBitsMin;
  if (bits < rsaBitsMin) throw wrong(`the private key in ${path} is too short: RSA of ${bits} bits`, 'make a new key and certificate: RSA of at least 2048 bits, or ECDSA with P-256');
  return privateKey;
}

/** What OpenSSL takes for TLS at its security level 2. */
const rsaBitsMin = 2_048;

function parsedKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw wrong(`the private key in ${path} cannot be read: it is damaged, or of an unknown kind`, 'copy the file again, or make a new key and certificate', cause);
  }
}

const swapped = 'tls.certificate and tls.key are swapped';

function hasCertificate({ text }: PemFile): boolean {
  return text.search(certificateBlock) !== -1;
}

/** A DER file begins with the tag of a sequence. */
function notPem({ path, text }: PemFile, what: string, conversion: string): CacheError {
  if (text.trim() === '') return wrong(`${path} is empty`, `put the ${what} into it, as PEM`);
  if (text.charCodeAt(0) === 0x30) return wrong(`${path} is not PEM; it looks like DER or PKCS#12`, `convert it: ${conversion}`);
  return wrong(`${path} has no ${what}: there is no "-----BEGIN ${what.toUpperCase()}-----" in it`, `name a file with a ${what} in PEM`);
}

/** One that belongs to another certificate of the chain is a matter of their order. */
function checkKeyBelongs(chain: Chain, key: KeyObject, files: Pick<TlsFiles, 'certificate' | 'key'>): void {
  if (chain.some((one) => one.checkPrivateKey(key))) return;
  throw wrong(`the private key in ${files.key.path} does not belong to the certificate in ${files.certificate.path} (${nameOf(chain[0])})`, 'name the key that the certificate was made for; if both have just been renewed, one of the files is still the old one');
}

const inOrder = 'put the certificate of the server first, then the one that issued it, and so on';

/** The owner of the key is first, and each is followed by who issued it, as far as that is in the file: old clients look no further. */
function checkOrder(chain: Chain, key: KeyObject | undefined, { path }: PemFile): void {
  const owner = key === undefined ? 0 : chain.findIndex((one) => one.checkPrivateKey(key));
  if (owner > 0) throw wrong(`the chain in ${path} is in the wrong order: the certificate of the key is number ${owner + 1}, after ${nameOf(chain[0])}`, inOrder);
  for (const [index, certificate] of chain.slice(0, -1).entries()) {
    const next = chain[index + 1];
    if (next === undefined || certificate.checkIssued(next)) continue;
    const issuer = chain.findIndex((one, at) => at > index && certificate.checkIssued(one));
    if (issuer === -1) throw wrong(`certificate ${index + 2} in ${path} (${nameOf(next)}) did not issue the one before it (${nameOf(certificate)})`, 'take it out, or put the certificate of the issuer there');
    throw wrong(`the chain in ${path} is in the wrong order: ${nameOf(certificate)} was issued by number ${issuer + 1}, and followed by ${nameOf(next)}`, inOrder);
  }
}

function authoritiesIn(file: PemFile): Chain {
  const authorities = certificatesIn(file);
  // One that signed itself is its own authority, whatever it says.
  const other = authorities.find((one) => !one.ca && !one.checkIssued(one));
  if (other !== undefined) throw wrong(`${file.path} has a certificate that is no authority's: ${nameOf(other)}`, 'name the certificates of the authorities that issue client certificates');
  return authorities;
}

function wrong(problem: string, advice: string, cause?: unknown): CacheError {
  return new CacheError('invalid_argument', `${problem}\n${advice}`, { cause });
}
