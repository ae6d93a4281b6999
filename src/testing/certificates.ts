// X.509 certificates made on the spot: authorities, servers and clients with whatever names and dates a test asks for.
// Only as much of DER and X.509 (RFC 5280) as that takes; keys are of the curve P-256, which signs in microseconds.
import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

export interface CertificateWishes {
  /** As `[type, value]`, the least specific first; default: a CN. */
  readonly subject?: readonly (readonly [type: keyof typeof attributeTypes, value: string])[];
  /** Who signs; default: the certificate itself. */
  readonly issuer?: TestCertificate;
  /** May sign others. */
  readonly authority?: boolean;
  readonly dnsNames?: readonly string[];
  /** IPv4. */
  readonly addresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly emails?: readonly string[];
  /** Default: an hour ago. */
  readonly notBefore?: Date;
  /** Default: in a year. */
  readonly notAfter?: Date;
  /** As PEM; default: a new one. */
  readonly key?: string;
}

export interface TestCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS#8. */
  readonly key: string;
  /** DER of the name; what the issuer is called in certificates it signs. */
  readonly name: Buffer;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** For 127.0.0.1 and localhost, unless told otherwise. */
export function makeCertificate(wishes: CertificateWishes = {}): TestCertificate {
  const privateKey = wishes.key === undefined ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : createPrivateKey(wishes.key);
  const name = nameOf(wishes.subject ?? [['CN', wishes.authority === true ? 'Test authority' : 'localhost']]);
  const publicKey = publicKeyOf(privateKey);
  const content = sequence(
    explicit(0, integer(Buffer.from([2]))), // version 3
    integer(createHash('sha256').update(publicKey).update(name).digest().subarray(0, 8)),
    ecdsaWithSha256,
    wishes.issuer?.name ?? name,
    sequence(time(wishes.notBefore ?? new Date(Date.now() - hourMs)), time(wishes.notAfter ?? new Date(Date.now() + 365 * dayMs))),
    name,
    publicKey,
    explicit(3, sequence(...extensionsOf(wishes, publicKey))),
  );
  const signer = wishes.issuer === undefined ? privateKey : createPrivateKey(wishes.issuer.key);
  const certificate = sequence(content, ecdsaWithSha256, bitString(sign('sha256', content, signer)));
  return { certificate: pem('CERTIFICATE', certificate), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), name };
}

/** An authority, and a server certificate of it. */
export function makeServerCertificate(wishes: CertificateWishes = {}): { readonly authority: TestCertificate; readonly server: TestCertificate } {
  const authority = wishes.issuer ?? makeCertificate({ authority: true });
  return { authority, server: makeCertificate({ dnsNames: ['localhost'], addresses: ['127.0.0.1'], ...wishes, issuer: authority }) };
}

function extensionsOf({ authority = false, dnsNames = [], addresses = [], uris = [], emails = [] }: CertificateWishes, publicKey: Buffer): Buffer[] {
  const names = [
    ...emails.map((email) => tagged(0x81, Buffer.from(email, 'latin1'))),
    ...dnsNames.map((dns) => tagged(0x82, Buffer.from(dns, 'latin1'))),
    ...uris.map((uri) => tagged(0x86, Buffer.from(uri, 'latin1'))),
    ...addresses.map((address) => tagged(0x87, Buffer.from(address.split('.').map(Number)))),
  ];
  const keyId = createHash('sha1').update(publicKey).digest();
  return [
    extension('2.5.29.19', sequence(...(authority ? [tagged(0x01, Buffer.from([0xff]))] : []))),
    extension('2.5.29.14', tagged(0x04, keyId)),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', sequence(...names))]),
  ];
}

const attributeTypes = { C: '2.5.4.6', O: '2.5.4.10', OU: '2.5.4.11', CN: '2.5.4.3' } as const;

function nameOf(attributes: NonNullable<CertificateWishes['subject']>): Buffer {
  return sequence(...attributes.map(([type, value]) => tagged(0x31, sequence(objectId(attributeTypes[type]), tagged(0x0c, Buffer.from(value))))));
}

function publicKeyOf(privateKey: KeyObject): Buffer {
  const key = privateKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(key.x ?? '', 'base64url'), Buffer.from(key.y ?? '', 'base64url')]);
  return sequence(sequence(objectId('1.2.840.10045.2.1'), objectId('1.2.840.10045.3.1.7')), bitString(point));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(objectId(id), tagged(0x04, value));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const lengthBytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function explicit(number: number, content: Buffer): Buffer {
  return tagged(0xa0 + number, content);
}

/** Of a positive number, big-endian: no more leading zeros than the sign needs, as DER has it. */
function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Buffer.from([0]) : bytes.subarray(first);
  return tagged(0x02, (digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.from([0]), digits]));
}

function bitString(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function objectId(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

/** UTCTime until 2049, as RFC 5280 §4.1.2.5 wants it. */
function time(date: Date): Buffer {
  const text = `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050 ? tagged(0x17, Buffer.from(text.slice(2))) : tagged(0x18, Buffer.from(text));
}

function pem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
}

const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'));
