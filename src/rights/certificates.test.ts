// Which client certificates are whose: patterns, and which of them decides.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClientCertificate } from '../base/authorizer.ts';
import { CertificateOwners } from './certificate-owners.ts';
import { parseCertificatePattern } from './certificate-pattern.ts';

const nobody: ClientCertificate = { subject: '', commonNames: [], dnsNames: [], uris: [], emails: [] };
const ci: ClientCertificate = {
  subject: 'CN=ci\\, main+OU=Builds,O=Example Ltd,C=DE',
  commonNames: ['ci, main'],
  dnsNames: ['Runner1.ci.example'],
  uris: ['spiffe://example/ci/main'],
  emails: ['Ci@Example.org'],
};

function covers(pattern: string, certificate: ClientCertificate = ci): boolean {
  return parseCertificatePattern(pattern).covers(certificate);
}

describe('a pattern for client certificates', () => {
  it('looks at one part of a certificate', () => {
    for (const pattern of ['cn:ci, main', 'dns:runner1.ci.example', 'uri:spiffe://example/ci/main', 'email:Ci@example.ORG', 'subject:CN=ci\\, main+OU=Builds,O=Example Ltd,C=DE', '*']) {
      assert.ok(covers(pattern), pattern);
      assert.equal(covers(pattern, nobody), pattern === '*', pattern);
    }
    for (const pattern of ['cn:runner1.ci.example', 'cn:CI, main', 'cn:ci', 'dns:ci, main', 'dns:ci.example', 'email:ci@example.org', 'uri:spiffe://example/ci', 'subject:CN=ci\\, main', 'subject:C=DE,O=Example Ltd,OU=Builds+CN=ci\\, main']) {
      assert.ok(!covers(pattern), pattern);
    }
  });

  it('takes blanks around separators and the case of attribute names as nothing', () => {
    assert.ok(covers('subject: cn = ci\\, main + ou=Builds , O=Example Ltd, c=DE'));
    assert.ok(!covers('subject:CN=ci\\, main+OU=builds,O=Example Ltd,C=DE'));
    assert.ok(!covers('subject:CN=ci, main+OU=Builds,O=Example Ltd,C=DE'));
  });

  it('has a star for one label of a name, and for all below a URI', () => {
    assert.ok(covers('dns:*.ci.example'));
    for (const name of ['ci.example', '.ci.example', 'a.runner1.ci.example', 'xci.example']) assert.ok(!covers('dns:*.ci.example', { ...nobody, dnsNames: [name] }), name);
    for (const pattern of ['uri:spiffe://example/*', 'uri:spiffe://example/ci/*']) assert.ok(covers(pattern), pattern);
    for (const uri of ['spiffe://example/', 'spiffe://example', 'spiffe://example.org/ci/main', 'https://example/ci/main']) assert.ok(!covers('uri:spiffe://example/*', { ...nobody, uris: [uri] }), uri);
  });

  it('is refused where it could mean more than it seems to', () => {
    for (const text of ['', 'ci', 'CN=ci', 'cn:', 'cn: ', 'subject:ci', 'dns:*', 'dns:*.', 'dns:a.*.example', 'dns:*a.example', 'uri:ci', 'uri:spiffe://*', 'uri:*', 'uri:spiffe://ex*/a', 'uri:spiffe://example/*/a', 'email:example.org', 'email:@example.org', 'ip:127.0.0.1', 'CN:ci']) {
      assert.throws(() => parseCertificatePattern(text), { code: 'invalid_argument', message: /is no pattern for client certificates: write "cn:ci"/ }, text);
    }
  });
});

describe('owners of certificates', () => {
  const identity = (name: string, ...certificates: string[]) => ({ name, tokens: [], certificates, grants: [] });
  const ownerOf = (identities: readonly ReturnType<typeof identity>[], certificate = ci) => new CertificateOwners(identities).ownerOf({ certificate })?.name;

  it('are found by exact patterns first, then by wildcards, then by the star; of equals by the first', () => {
    const all = identity('all', '*');
    const wild = identity('wild', 'dns:*.ci.example');
    const exact = identity('exact', 'cn:other', 'cn:ci, main');
    assert.equal(ownerOf([all, wild, exact]), 'exact');
    assert.equal(ownerOf([all, wild]), 'wild');
    assert.equal(ownerOf([all]), 'all');
    assert.equal(ownerOf([identity('one', 'cn:ci, main'), identity('two', 'email:Ci@example.org')]), 'one');
    assert.equal(ownerOf([wild, exact], nobody), undefined);
    assert.equal(ownerOf([identity('one')]), undefined);
  });

  it('are remembered per connection', () => {
    const owners = new CertificateOwners([identity('ci', 'cn:ci, main')]);
    const connection = { certificate: ci };
    assert.equal(owners.ownerOf(connection), owners.ownerOf(connection));
    assert.equal(owners.ownerOf({ certificate: nobody }), undefined);
  });
});
