// Names out of real certificates, however they are written in them.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { it } from 'node:test';
import { connect, createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { makeCertificate, makeServerCertificate } from '../testing/certificates.ts';
import type { CertificateWishes } from '../testing/certificates.ts';
import { credentialsOf, namesIn } from './client-certificate.ts';

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
  const names = namesOf({ dnsNames: ['a.example', 'b'], uris: ['spiffe://example/ci', 'http://x/, DNS:evil.example', '"x'], emails: ['ci@example.org', 'a", URI:b@c'], addresses: ['127.0.0.1'] });
  assert.deepEqual(names.dnsNames, ['a.example', 'b']);
  assert.deepEqual(names.uris, ['spiffe://example/ci', 'http://x/, DNS:evil.example', '"x']);
  assert.deepEqual(names.emails, ['ci@example.org', 'a", URI:b@c']);
});

it('gives nothing where there is nothing', () => {
  assert.deepEqual(namesOf({ subject: [] }), { subject: '', commonNames: [], dnsNames: [], uris: [], emails: [] });
});

it('believes no certificate that nobody has verified, whoever let it in', async (t) => {
  const { server } = makeServerCertificate();
  const stranger = makeCertificate({ subject: [['CN', 'ci']] });
  const listening = createServer({ cert: server.certificate, key: server.key, requestCert: true, rejectUnauthorized: false }).listen(0, '127.0.0.1');
  t.after(() => listening.close());
  await once(listening, 'listening');
  const client = connect({ port: (listening.address() as AddressInfo).port, host: '127.0.0.1', rejectUnauthorized: false, cert: stranger.certificate, key: stranger.key });
  t.after(() => client.destroy());
  const [socket] = (await once(listening, 'secureConnection')) as [TLSSocket];
  assert.equal(socket.getPeerX509Certificate()?.subject, 'CN=ci', 'it was shown');
  assert.equal(credentialsOf(socket).certificate, undefined);
});
