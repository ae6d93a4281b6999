// What a person reads after `kiln serve`.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServeOptions } from '../config/serve-options.ts';
import { credentialFacts, endpointsOf, startUpText } from './start-up-text.ts';
import type { StartUpFacts } from './start-up-text.ts';

const server: StartUpFacts['server'] = {
  addresses: [{ kind: 'tcp', host: '127.0.0.1', port: 9092, tls: false }],
  dataDirectory: '/home/ada/.cache/kiln',
  usedBytes: 1.5 * 2 ** 30,
  maxBytes: 10 * 2 ** 30,
  anonymousRight: 'overwrite',
};

const textOf = (facts: Partial<StartUpFacts['server']> = {}, freeUsersFile?: string, others: Partial<StartUpFacts> = {}): string =>
  startUpText({ version: '1.2.3', server: { ...server, ...facts }, hostName: 'forge', freeUsersFile, takesTokens: true, takesPasswords: false, clientCertificates: 'off', ...others });

describe('start-up text', () => {
  it('says where, what and for whom, and ends with the ready line', () => {
    const text = textOf();
    assert.match(text, /^Kiln 1\.2\.3\n {2}listens on {2}127\.0\.0\.1:9092\n/);
    assert.match(text, /keeps {7}\/home\/ada\/\.cache\/kiln: 1\.5 GiB used of at most 10 GiB\n/);
    assert.match(text, /everyone who can connect to read, write and overwrite\n/);
    assert.match(text, /\nready grpc:\/\/127\.0\.0\.1:9092 http:\/\/127\.0\.0\.1:9092\n$/);
  });

  it('says who may do what, and how tools show their tokens where they have to', () => {
    assert.match(textOf({ anonymousRight: 'read' }), / {2}allows {6}everyone who can connect to read\n/);
    assert.match(textOf({ anonymousRight: 'write' }), / {2}allows {6}everyone who can connect to read and write; what is there stays \(first writer wins\)\n/);
    const closed = textOf({ anonymousRight: 'none' });
    assert.match(closed, / {2}allows {6}callers with credentials only\n/);
    assert.match(closed, /build --remote_header='authorization=Bearer TOKEN'\n/);
    assert.doesNotMatch(textOf(), /TOKEN/);
    const users = / {2}allows {6}(.*)\n {14}every user of \/etc\/kiln\/htpasswd to read and write, since there are no identities\n/;
    assert.equal(users.exec(textOf({ anonymousRight: 'none' }, '/etc/kiln/htpasswd'))?.[1], 'callers with credentials only');
    assert.equal(users.exec(textOf({ anonymousRight: 'read' }, '/etc/kiln/htpasswd'))?.[1], 'everyone who can connect to read');
    assert.doesNotMatch(textOf({ anonymousRight: 'write' }, '/etc/kiln/htpasswd'), users);
  });

  it('has lines to copy for Bazel, moon and ccache', () => {
    const text = textOf();
    assert.match(text, /build --remote_cache=grpc:\/\/127\.0\.0\.1:9092\n/);
    assert.match(text, /build --remote_cache=http:\/\/127\.0\.0\.1:9092\n/);
    assert.match(text, /remote:\n {6}host: 'grpc:\/\/127\.0\.0\.1:9092'\n/);
    assert.match(text, /CCACHE_REMOTE_STORAGE='http:\/\/127\.0\.0\.1:9092\/ccache\|layout=bazel'\n/);
  });

  it('names the machine for clients elsewhere and loopback for those here when every interface is served', () => {
    for (const [host, loopback] of [['0.0.0.0', '127.0.0.1'], ['::', '[::1]']] as const) {
      const text = textOf({ addresses: [{ kind: 'tcp', host, port: 80, tls: false }], anonymousRight: 'read' });
      assert.match(text, /build --remote_cache=grpc:\/\/forge:80\n/);
      assert.ok(text.endsWith(`ready grpc://${loopback}:80 http://${loopback}:80\n`), text);
      assert.match(text, /connect to read\n/);
    }
  });

  it('shows the schemes of TLS, and leaves out who cannot speak it', () => {
    const text = textOf({ addresses: [{ kind: 'tcp', host: '0.0.0.0', port: 443, tls: true }, ...server.addresses], anonymousRight: 'none' });
    assert.match(text, /listens on {2}0\.0\.0\.0:443 \(TLS\), 127\.0\.0\.1:9092\n/);
    assert.match(text, /build --remote_cache=grpcs:\/\/forge:443\n.*build --remote_cache=https:\/\/forge:443\n/s);
    assert.match(text, /host: 'grpcs:\/\/forge:443'\n/);
    assert.match(text, /--tls_certificate=CA\.pem\n/);
    assert.match(text, /CCACHE_REMOTE_STORAGE='http:\/\/127\.0\.0\.1:9092\/ccache\|layout=bazel'\nA certificate of/, 'by the address without TLS');
    assert.doesNotMatch(textOf({ addresses: [{ kind: 'tcp', host: '0.0.0.0', port: 443, tls: true }], anonymousRight: 'none' }), /ccache/);
    assert.ok(text.endsWith('ready grpcs://127.0.0.1:443 https://127.0.0.1:443\n'), text);
  });

  it('says how a client certificate is shown where one is asked for, and nothing of tokens that nobody has', () => {
    const addresses = [{ kind: 'tcp', host: '0.0.0.0', port: 443, tls: true }] as const;
    const known = textOf({ addresses, anonymousRight: 'none' }, undefined, { clientCertificates: 'required', takesTokens: false });
    assert.match(known, /--cacert CA\.pem\nA certificate of the client is shown by\n {4}Bazel {3}build --tls_client_certificate=CLIENT\.pem --tls_client_key=CLIENT\.key\n {4}curl {4}--cert CLIENT\.pem --key CLIENT\.key\n\nready /);
    assert.match(textOf({ addresses, anonymousRight: 'none' }, undefined, { clientCertificates: 'optional' }), /CLIENT\.key\nEach shows its token/);
    assert.doesNotMatch(textOf({ addresses }) + textOf({}, undefined, { clientCertificates: 'required' }), /CLIENT/);
  });

  it('says how a password is shown where there are users, and of tokens only where there may be some', () => {
    const addresses = [{ kind: 'tcp', host: '0.0.0.0', port: 80, tls: false }] as const;
    const users = textOf({ addresses, anonymousRight: 'none' }, undefined, { takesTokens: false, takesPasswords: true });
    assert.match(users, /Bazel {3}build --remote_header='authorization=Basic BASE64'\n {4}moon .*'Basic BASE64'\n {4}ccache {2}'NAME:PASSWORD@' before the host\n\nready /);
    assert.doesNotMatch(users, /token/i);
    const both = textOf({ addresses, anonymousRight: 'none' }, undefined, { takesPasswords: true });
    assert.match(both, /bearer-token=TOKEN' behind the address\nEach with a password/);
  });

  it('says of tokens, passwords and free users what the configuration has of them', () => {
    const ada = { name: 'ada', tokens: [], certificates: ['CN=ada'], grants: [] };
    const token = `sha256:${'0'.repeat(64)}`;
    const of = (rights: Partial<ServeOptions['rights']>) => credentialFacts({ tokensFile: undefined, htpasswdFile: undefined, identities: [], ...rights });
    assert.deepEqual(of({}), { freeUsersFile: undefined, takesTokens: false, takesPasswords: false });
    assert.deepEqual(of({ identities: [ada] }), { freeUsersFile: undefined, takesTokens: false, takesPasswords: false }, 'a certificate alone is neither');
    assert.deepEqual(of({ identities: [ada, { ...ada, tokens: [token] }] }), { freeUsersFile: undefined, takesTokens: true, takesPasswords: false });
    assert.deepEqual(of({ tokensFile: '/tokens' }), { freeUsersFile: undefined, takesTokens: true, takesPasswords: false }, 'some may be added to it while the server runs');
    assert.deepEqual(of({ htpasswdFile: '/users' }), { freeUsersFile: '/users', takesTokens: false, takesPasswords: true });
    assert.deepEqual(of({ htpasswdFile: '/users', identities: [ada] }), { freeUsersFile: undefined, takesTokens: false, takesPasswords: true });
    assert.deepEqual(of({ htpasswdFile: '/users', tokensFile: '/tokens' }), { freeUsersFile: undefined, takesTokens: true, takesPasswords: true });
  });

  it('speaks of the socket file when that is what is served first', () => {
    const text = textOf({ addresses: [{ kind: 'unix', path: '/run/kiln.sock', tls: false }, ...server.addresses] });
    assert.match(text, /listens on {2}unix:\/run\/kiln\.sock, 127\.0\.0\.1:9092\n/);
    assert.match(text, /\nOver the socket file:\n {4}Bazel {3}build --remote_cache=grpc:\/\/kiln --remote_proxy=unix:\/run\/kiln\.sock\n {4}curl {4}--unix-socket \/run\/kiln\.sock http:\/\/localhost\/status\nBazel   in \.bazelrc/);
    assert.match(text, /CCACHE_REMOTE_STORAGE='http:\/\/127\.0\.0\.1:9092\/ccache/);
    assert.ok(text.endsWith('ready unix:/run/kiln.sock unix:/run/kiln.sock\n'));
  });

  it('says what tools need that cannot use a socket file, when that is all there is', () => {
    const text = textOf({ addresses: [{ kind: 'unix', path: '/run/kiln.sock', tls: false }], anonymousRight: 'none' });
    assert.match(text, /\/status\nmoon and ccache cannot use a socket file; for them, serve an address as well:\n {4}--listen 127\.0\.0\.1:9092\nEach shows its token/);
    assert.match(text, /Bazel {3}build --remote_header='authorization=Bearer TOKEN'\n\nready unix:/, 'and nothing about tools that cannot come');
  });

  it('puts an IPv6 address into brackets', () => {
    assert.deepEqual(endpointsOf({ kind: 'tcp', host: '::1', port: 7, tls: false }), { grpc: 'grpc://[::1]:7', http: 'http://[::1]:7' });
  });
});
