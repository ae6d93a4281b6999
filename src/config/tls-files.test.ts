// What is said about files of TLS that do not fit.
import assert from 'node:assert/strict';
import { X509Certificate, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { makeCertificate } from '../testing/certificates.ts';
import { readTlsMaterial } from './tls-files.ts';
import type { TlsFileMistake, TlsMaterial } from './tls-files.ts';

const root = makeCertificate({ authority: true, subject: [['CN', 'Root']] });
const middle = makeCertificate({ authority: true, issuer: root, subject: [['CN', 'Middle']] });
const server = makeCertificate({ issuer: middle, subject: [['O', 'Example'], ['CN', 'cache.example']], notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2026-04-01T00:00:00Z') });
const other = makeCertificate({ subject: [['CN', 'other']] });
const encrypted = createPrivateKey(server.key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }).toString();
const shortKey = generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const der = createPrivateKey(server.key).export({ type: 'pkcs8', format: 'der' }).toString('latin1');
const derCertificate = new X509Certificate(server.certificate).raw.toString('latin1');

function outcomeOf(certificate: string, key = server.key, clientCa?: string) {
  return readTlsMaterial({ certificate: { path: '/c.pem', text: certificate }, key: { path: '/k.pem', text: key }, clientCa: clientCa === undefined ? undefined : { path: '/ca.pem', text: clientCa } });
}

function read(...files: Parameters<typeof outcomeOf>): TlsMaterial {
  const outcome = outcomeOf(...files);
  return 'material' in outcome ? outcome.material : assert.fail(JSON.stringify(outcome));
}

describe('files of TLS', () => {
  it('give what a server needs, and when it is valid', () => {
    const material = read(`Bag Attributes\n  friendlyName: x\n${server.certificate}\r\n${middle.certificate}${root.certificate}`, `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${server.key}`, root.certificate);
    assert.equal(material.certificateChain, server.certificate + middle.certificate + root.certificate);
    assert.equal(material.clientAuthorities, root.certificate);
    assert.equal(material.subject, 'CN=cache.example,O=Example');
    assert.deepEqual([material.notBeforeMs, material.notAfterMs], [Date.UTC(2026, 0, 1), Date.UTC(2026, 3, 1)]);
    assert.deepEqual([material.validFrom, material.validTo], ['Jan  1 00:00:00 2026 GMT', 'Apr  1 00:00:00 2026 GMT']);
  });

  it('may be one file with both, and keys of the old forms', () => {
    const both = server.key + server.certificate;
    assert.equal(read(both, both).key, server.key);
    const sec1 = createPrivateKey(server.key).export({ type: 'sec1', format: 'pem' }).toString();
    assert.equal(read(server.certificate, sec1).key, server.key);
  });

  const mistakes: readonly [string, Parameters<typeof outcomeOf>, TlsFileMistake['file'], string][] = [
    ['an empty certificate', [' \n'], 'certificate', '/c.pem is empty\nput the certificate into it, as PEM'],
    ['an empty key', [server.certificate, ''], 'key', '/k.pem is empty\nput the private key into it, as PEM'],
    ['text that is no PEM', ['hello'], 'certificate', '/c.pem has no certificate: there is no "-----BEGIN CERTIFICATE-----" in it\nname a file with a certificate in PEM'],
    ['a certificate in DER', [derCertificate], 'certificate', '/c.pem is not PEM; it looks like DER or PKCS#12\nconvert it: openssl x509 -inform der -in /c.pem -out NEW.pem'],
    ['a key in DER', [server.certificate, der], 'key', '/k.pem is not PEM; it looks like DER or PKCS#12\nconvert it: openssl pkey -inform der -in /k.pem -out NEW.pem'],
    ['a key for a certificate', [server.key], 'certificate', '/c.pem has a private key and no certificate\nname the file with the certificate'],
    ['a certificate for a key', [server.certificate, server.certificate], 'key', '/k.pem has a certificate and no private key\nname the file with the private key of the certificate'],
    ['a request', ['-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n'], 'certificate', '/c.pem has a request for a certificate, not the certificate\nname the file that the authority gave you for it'],
    ['a damaged certificate', [server.certificate.replace('MII', 'MIJ')], 'certificate', 'the certificate in /c.pem cannot be read: it is damaged\ncopy the file again, whole and as text'],
    ['a damaged one in the chain', [server.certificate + middle.certificate.replace('MII', 'MIJ')], 'certificate', 'certificate 2 of 2 in /c.pem cannot be read: it is damaged\ncopy the file again, whole and as text'],
    ['a damaged key', [server.certificate, server.key.replace('MIG', 'MIH')], 'key', 'the private key in /k.pem cannot be read: it is damaged, or of an unknown kind\ncopy the file again, or make a new key and certificate'],
    ['a key that is too short', [server.certificate, shortKey], 'key', 'the private key in /k.pem is too short: RSA of 1024 bits\nmake a new key and certificate: RSA of at least 2048 bits, or ECDSA with P-256'],
    ['an encrypted key', [server.certificate, encrypted], 'key', 'the private key in /k.pem is encrypted, and nobody is there to ask for its passphrase\ndecrypt it, and keep the file to the user that runs Kiln: openssl pkey -in /k.pem -out NEW.pem'],
    ['an encrypted key of the old form', [server.certificate, '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n'], 'key', 'the private key in /k.pem is encrypted, and nobody is there to ask for its passphrase\ndecrypt it, and keep the file to the user that runs Kiln: openssl pkey -in /k.pem -out NEW.pem'],
    ['the key of another certificate', [server.certificate, other.key], 'key', 'the private key in /k.pem does not belong to the certificate in /c.pem (CN=cache.example,O=Example)\nname the key that the certificate was made for; if both have just been renewed, one of the files is still the old one'],
    ['a chain that begins with the issuer', [middle.certificate + server.certificate], 'certificate', 'the chain in /c.pem is in the wrong order: the certificate of the key is number 2, after CN=Middle\nput the certificate of the server first, then the one that issued it, and so on'],
    ['a chain with two in the wrong order', [server.certificate + root.certificate + middle.certificate], 'certificate', 'the chain in /c.pem is in the wrong order: CN=cache.example,O=Example was issued by number 3, and followed by CN=Root\nput the certificate of the server first, then the one that issued it, and so on'],
    ['a chain with a stranger', [server.certificate + other.certificate], 'certificate', 'certificate 2 in /c.pem (CN=other) did not issue the one before it (CN=cache.example,O=Example)\ntake it out, or put the certificate of the issuer there'],
    ['a client certificate for its authority', [server.certificate, server.key, server.certificate], 'clientCa', "/ca.pem has a certificate that is no authority's: CN=cache.example,O=Example\nname the certificates of the authorities that issue client certificates"],
    ['more authorities than there can be', [server.certificate, server.key, root.certificate.repeat(600)], 'clientCa', '/ca.pem is longer than 256 KiB\nkeep in it only the certificates that are needed'],
    ['no authority', [server.certificate, server.key, ''], 'clientCa', '/ca.pem is empty\nput the certificate into it, as PEM'],
  ];
  for (const [name, files, file, message] of mistakes) {
    it(`are refused: ${name}`, () => {
      const outcome = outcomeOf(...files);
      assert.ok('mistakes' in outcome);
      assert.deepEqual(outcome.mistakes.map(({ file: of, error }) => [of, error.code, error.message]), [[file, 'invalid_argument', message]]);
    });
  }

  it('say what is wrong with each of them', () => {
    const mistakesOf = (...files: Parameters<typeof outcomeOf>) => {
      const outcome = outcomeOf(...files);
      return 'mistakes' in outcome ? outcome.mistakes.map(({ file, error }) => `${file}: ${error.message.replace('\n', '; ')}`) : [];
    };
    assert.deepEqual(mistakesOf(server.key, server.certificate, ''), [
      'certificate: /c.pem has a private key and no certificate; tls.certificate and tls.key are swapped',
      'key: /k.pem has a certificate and no private key; tls.certificate and tls.key are swapped',
      'clientCa: /ca.pem is empty; put the certificate into it, as PEM',
    ]);
    assert.equal(mistakesOf(server.certificate + other.certificate, 'none', 'none').length, 3);
  });

  it('never have what is in the key in an error', () => {
    const secret = server.key.split('\n')[1] ?? '';
    const outcome = outcomeOf(server.certificate, server.key.replace('-----END', `-----BEGIN`));
    assert.ok('mistakes' in outcome && outcome.mistakes.length === 1);
    assert.ok(outcome.mistakes.every(({ error }) => !JSON.stringify([error.message, String(error.cause), error.stack]).includes(secret)));
  });
});
