// Names out of real certificates, however they are written in them.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { it } from 'node:test';
import { makeCertificate } from '../testing/certificates.ts';
import type { CertificateWishes } from '../testing/certificates.ts';
import { namesIn } from './client-certificate.ts';

function namesOf(wishes: CertificateWishes) {
  return namesIn(new X509Certificate(makeCertificate(wishes).certificate));
}

it('gives the subject as RFC 4514 writes it, and every common name as it is', () => {
  const { subject, commonNames } = namesOf({ subject: [['C', 'DE'], ['O', 'Example, Ltd'], ['CN', 'ci + "main"'], ['CN', 'ü\n;\\']] });
  assert.equal(subject, 'CN=ü\\0A\\;\\\\,CN=ci \\+ \\"main\\",O=Example\\, Ltd,C=DE');
  assert.deepEqual(commonNames, ['ci + "main"', 'ü\n;\\']);
});

it('takes no common name out of another attribute, and no attribute out of a common name', () => {
  assert.deepEqual(namesOf({ subject: [['O', 'x\nCN=admin'], ['OU', 'y + CN=admin'], ['CN', 'ci,CN=admin']] }).commonNames, ['ci,CN=admin']);
});

it('gives every kind of alternative name, and takes none out of another', () => {
  const names = namesOf({ dnsNames: ['a.example', 'b'], uris: ['spiffe://example/ci', 'http://x/, DNS:evil.example'], emails: ['ci@example.org', 'a", URI:b@c'], addresses: ['127.0.0.1'] });
  assert.deepEqual(names.dnsNames, ['a.example', 'b']);
  assert.deepEqual(names.uris, ['spiffe://example/ci', 'http://x/, DNS:evil.example']);
  assert.deepEqual(names.emails, ['ci@example.org', 'a", URI:b@c']);
});

it('gives nothing where there is nothing', () => {
  assert.deepEqual(namesOf({ subject: [] }), { subject: '', commonNames: [], dnsNames: [], uris: [], emails: [] });
});
