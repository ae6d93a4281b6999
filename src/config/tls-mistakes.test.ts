// TLS and addresses in a configuration file: what they become, and what is said when they make no sense.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exampleTlsFiles } from '../testing/example-tls-files.ts';
import { effectiveYaml } from './effective-configuration.ts';
import { readConfiguration } from './read-configuration.ts';
import type { Configuration } from './read-configuration.ts';

const tlsText = 'tls: {certificate: /etc/kiln/tls/fullchain.pem, key: /etc/kiln/tls/privkey.pem}\n';
const withClients = tlsText.replace('}', ', client-ca: /etc/kiln/tls/clients.pem}');
const identity = (text: string) => `rights: {identities: [{name: ci, certificates: [${text}], grants: [{instances: ["*"], rights: [read]}]}]}\n`;

async function read(yaml: string, files: Readonly<Record<string, string>> = {}) {
  return readConfiguration('serve', { args: ['--config', '/kiln.yaml'], environment: { HOME: '/home/ada' }, workingDirectory: '/', platform: 'linux' }, async (path) =>
    Buffer.from({ '/kiln.yaml': yaml, ...files }[path] ?? exampleTlsFiles.get(path) ?? assert.fail(path)),
  );
}

async function configured(yaml: string): Promise<Configuration> {
  const outcome = await read(yaml);
  assert.ok('configuration' in outcome, JSON.stringify(outcome));
  return outcome.configuration;
}

const tcp = (port: number) => ({ kind: 'tcp', host: '127.0.0.1', port }) as const;

describe('addresses with settings of their own', () => {
  it('K6-01: have a message size each, and the common one if they name none', async () => {
    const { options } = await configured('listen: [{address: "127.0.0.1:1", message-size: 5MiB}, {address: "127.0.0.1:2", message-size: 16MiB}, "127.0.0.1:3"]\n');
    assert.deepEqual(options.listen, [
      { address: tcp(1), tls: false, messageBytesMax: 5 * 2 ** 20 },
      { address: tcp(2), tls: false, messageBytesMax: 16 * 2 ** 20 },
      { address: tcp(3), tls: false, messageBytesMax: 4 * 2 ** 20 },
    ]);
  });

  it('speak TLS where there is a certificate, unless they say that they do not, or are unix sockets', async () => {
    const { options } = await configured(`${tlsText}listen:\n  - 127.0.0.1:1\n  - address: 127.0.0.1:2\n    tls: false\n  - {address: "127.0.0.1:3", tls: true}\n  - address: unix:run/kiln.sock\n`);
    assert.deepEqual(options.listen.map(({ tls }) => tls), [true, false, true, false]);
    assert.deepEqual(options.listen[3]?.address, { kind: 'unix', path: '/run/kiln.sock' });
  });

  it('are printed so that they can be read again', async () => {
    const first = await configured(`${withClients}listen: [{address: "[::1]:1", tls: false}, "127.0.0.1:2", {address: "unix:k.sock"}]\n`);
    const printed = effectiveYaml(first);
    assert.match(printed, /\n {2}- \{address: "\[::1\]:1", tls: false\}\n {2}- 127\.0\.0\.1:2\n {2}- \{address: unix:\/k\.sock\}\n/);
    assert.deepEqual((await configured(printed)).options, first.options);
  });
});

describe('TLS in a configuration', () => {
  it('is off by default, and asks for client certificates as soon as it is said which are believed', async () => {
    assert.equal((await configured('')).options.tls, undefined);
    const { tls } = (await configured(tlsText)).options;
    assert.deepEqual([tls?.certificateFile, tls?.keyFile, tls?.clientCaFile, tls?.clientCertificates, tls?.minVersion], ['/etc/kiln/tls/fullchain.pem', '/etc/kiln/tls/privkey.pem', undefined, 'off', '1.2']);
    assert.equal((await configured(withClients)).options.tls?.clientCertificates, 'required');
    assert.equal((await configured(withClients.replace('}', ', client-certificates: optional, min-version: 1.3}'))).options.tls?.clientCertificates, 'optional');
  });

  it('keeps the key to itself', async () => {
    const configuration = await configured(withClients);
    assert.ok(!effectiveYaml(configuration).includes('PRIVATE'));
  });

  const mistakes: readonly [string, string, string, string, Readonly<Record<string, string>>?][] = [
    ['a certificate without a key', 'tls: {certificate: c.pem}', '/kiln.yaml:1:7: tls.certificate needs its private key, and there is no tls.key', 'add tls.key with the file of the key'],
    ['a key without a certificate', 'tls: {key: k.pem}', '/kiln.yaml:1:7: tls.key has no use without tls.certificate', 'add tls.certificate with the file of the certificate'],
    ['client certificates without TLS', 'tls: {client-certificates: required}', '/kiln.yaml:1:7: tls.client-certificates has no use without tls.certificate', 'add tls.certificate with the file of the certificate'],
    ['client certificates that nobody vouches for', tlsText.replace('}', ', client-certificates: required}'), '/kiln.yaml:1:81: tls.client-certificates is required, and nothing says whose certificates are believed', 'add tls.client-ca with the certificates of your authority'],
    ['identities with certificates that nobody asks for', identity('"cn:ci"'), '/kiln.yaml:1:10: identity "ci" has certificates, but clients are not asked for any', 'add tls.client-ca with the certificates of your authority, and let tls.client-certificates be optional or required'],
    ['a pattern that is none', withClients + identity('ci'), '/kiln.yaml:2:49: rights.identities.certificates: "ci" is no pattern for client certificates: write "cn:ci", "subject:CN=ci,O=Example", "dns:ci.example", "dns:*.ci.example", "uri:spiffe://example/ci", "uri:spiffe://example/ci/*", "email:ci@example", or "*" for every certificate', 'example: certificates: [cn:ci]'],
    ['TLS on an address without a certificate', 'listen: [{address: "127.0.0.1:1", tls: true}]', '/kiln.yaml:1:1: 127.0.0.1:1 is to speak TLS, and there is no certificate', 'add tls.certificate and tls.key'],
    ['TLS on a unix socket', `${tlsText}listen: [{address: "unix:k", tls: true}]`, '/kiln.yaml:2:1: unix:/k is a unix socket, on which there is no TLS', 'leave tls out there: what goes through a socket file does not leave the machine'],
    ['a message size without room for a batch', 'listen: [{address: "127.0.0.1:1", message-size: 3MiB}]', '/kiln.yaml:1:1: the message-size of 127.0.0.1:1 has no room for a batch of limits.batch-size', 'let it be at least 64KiB larger than limits.batch-size'],
    ['an address that is none', 'listen: [{address: "9092"}]', '/kiln.yaml:1:20: listen.address: "9092" is not an address: the host is missing', 'example: address: 127.0.0.1:9092'],
    ['settings without an address', 'listen: [{tls: false}]', '/kiln.yaml:1:10: listen: address is missing', 'add it: address: 127.0.0.1:9092'],
    ['a misspelt setting', 'listen: [{address: "127.0.0.1:1", mesage-size: 4MiB}]', '/kiln.yaml:1:35: unknown key "listen.mesage-size"', 'did you mean message-size? example: message-size: 16MiB'],
    ['a wrong setting', 'listen: [{address: "127.0.0.1:1", tls: "yes"}]', '/kiln.yaml:1:40: listen.tls: "yes" is not read as a yes or no; write true', 'example: tls: false'],
    ['an open address with settings', 'listen: [{address: "0.0.0.0:1"}]', '/kiln.yaml:1:1: 0.0.0.0:1 can be reached from other machines, and nobody has said what they may do', 'give out tokens (kiln token create --file tokens.yaml, and --rights-tokens-file tokens.yaml here), or let everyone in by --allow-anonymous read (download) or --allow-anonymous write (upload as well), or listen on 127.0.0.1'],
    ['an old version', tlsText.replace('}', ', min-version: 1.1}'), '/kiln.yaml:1:94: tls.min-version: "1.1" is none of 1.2, 1.3', 'did you mean 1.2? example: min-version: 1.2'],
    ['a key that does not fit', tlsText, '/kiln.yaml:1:49: /etc/kiln/tls/privkey.pem is empty', 'put the private key into it, as PEM', { '/etc/kiln/tls/privkey.pem': '' }],
    ['authorities that do not fit', withClients, '/kiln.yaml:1:81: /etc/kiln/tls/clients.pem is empty', 'put the certificate into it, as PEM', { '/etc/kiln/tls/clients.pem': '' }],
    ['a certificate that does not fit', tlsText, '/kiln.yaml:1:7: /etc/kiln/tls/fullchain.pem is empty', 'put the certificate into it, as PEM', { '/etc/kiln/tls/fullchain.pem': '' }],
  ];
  for (const [name, yaml, problem, advice, files] of mistakes) {
    it(`is refused: ${name}`, async () => {
      const outcome = await read(yaml, files);
      assert.ok('mistakes' in outcome);
      assert.deepEqual(outcome.mistakes.map((mistake) => [mistake.problem, mistake.advice]), [[problem, advice]]);
    });
  }
});
