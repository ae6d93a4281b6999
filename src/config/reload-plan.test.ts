// What a reload applies, and what it leaves for a restart.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeCertificate } from '../testing/certificates.ts';
import { exampleTlsFiles } from '../testing/example-tls-files.ts';
import type { Configuration } from './read-configuration.ts';
import { readServeConfiguration } from './read-serve-configuration.ts';
import { planReload } from './reload-plan.ts';
import { serveKeys } from './serve-schema.ts';

const hash = (digit: string) => `sha256:${digit.repeat(64)}`;
const identity = (name: string, digit = '0') => `{name: ${name}, tokens: ["${hash(digit)}"], grants: [{instances: ["*"], rights: [read]}]}`;

const [certificate = '', key = '', authority = ''] = exampleTlsFiles.values();
/** The same as those of the examples, under other names. */
const tlsCopies: readonly (readonly [string, string])[] = [['/server.pem', certificate], ['/server.key', key], ['/clients.pem', authority]];
const tlsWith = (name: string, value: string) => `tls: ${JSON.stringify({ certificate: '/server.pem', key: '/server.key', 'client-ca': '/clients.pem', [name]: value })}`;
const withTls = tlsWith('certificate', '/server.pem');

function configured(yaml: string, tokens = '', changed: readonly (readonly [string, string])[] = []): Promise<Configuration> {
  const files = new Map([['/kiln.yaml', yaml], ['/tokens.yaml', tokens], ['/other.yaml', ''], ['/etc/kiln/tokens.yaml', ''], ['/etc/kiln/htpasswd', ''], ...exampleTlsFiles, ...tlsCopies, ...changed]);
  return readServeConfiguration(
    { args: ['--config', '/kiln.yaml'], environment: { HOME: '/home/ada' }, workingDirectory: '/', platform: 'linux' },
    async (path) => new TextEncoder().encode(files.get(path) ?? assert.fail(path)),
  );
}

/** A value for each key that is not its default. */
const otherValues: Readonly<Record<string, string>> = {
  listen: '[127.0.0.1:1]',
  'allowed-hosts': '[cache.example]',
  'allow-anonymous': 'read',
  'rights.identities': `[${identity('ci')}]`,
  'tls.client-certificates': 'optional',
  'drain.timeout': '36s',
  'drain.listener-timeout': '20s',
  'drain.flush-timeout': '31s',
  'log.summary-interval': '61s',
  'traces.headers': '{authorization: Bearer topsecret}',
  'traces.sample-ratio': '0.5',
  'diagnostics.loop-stall': '501ms',
  'diagnostics.store-stall': '11s',
  'diagnostics.profile-cpu': '90%',
  'diagnostics.profile-interval': '2h',
  'diagnostics.profile-duration': '11s',
  'limits.connections': '1',
  'limits.first-bytes-timeout': '11s',
  'limits.streams': '1',
  'limits.stall-timeout': '121s',
  'limits.busy-stall-timeout': '11s',
  'limits.stall-size': '5KiB',
  'limits.http2.stream-window': '2MiB',
  'limits.http2.connection-window': '32MiB',
  'limits.http2.send-buffer': '2MiB',
  'limits.http2.header-size': '65KiB',
  'limits.http2.idle-timeout': 'off',
  'limits.http2.ping-interval': '31s',
  'limits.http2.ping-timeout': '21s',
  'limits.http2.flood-frames': '1001',
  'limits.http2.flood-rate': '101',
  lease: '4h',
  'small-blob-max': '32KiB',
  'min-free-space': '1GiB',
  'limits.http1.header-size': '33KiB',
  'limits.http1.header-timeout': '31s',
  'limits.http1.idle-timeout': '121s',
  'limits.http1.pipelined': '33',
  'limits.message-size': '9MiB',
  'limits.batch-size': '1MiB',
  'limits.value-size': '1MiB',
  'limits.hot-memory': '1MiB',
  'limits.held-bodies': '16MiB',
  'limits.open-reads': '16',
  'limits.open-writes': '16',
  'limits.tls-handshakes': '255',
  'limits.tls-handshake-timeout': '11s',
};

describe('planReload', () => {
  for (const key of serveKeys) {
    it(`${key.name} ${key.reload === true ? 'is applied' : 'waits for a restart'}`, async () => {
      const value = otherValues[key.name] ?? key.example;
      const isTls = key.path[0] === 'tls'; // for servers that speak it
      const [running, next] = [await configured(isTls ? withTls : ''), await configured(isTls ? tlsWith(key.path[1] ?? '', value) : [...key.path.slice(0, -1).map((name, depth) => `${name}:\n${'  '.repeat(depth + 1)}`), `${key.path.at(-1)}: ${value}`].join(''))];
      const plan = planReload(running, next);
      assert.deepEqual(plan.changes.map(({ name, applied }) => [name, applied]), [[key.name, key.reload === true]]);
      const { options, given } = plan.configuration;
      assert.notDeepEqual(next.options, running.options);
      assert.deepEqual(options, key.reload === true ? next.options : running.options);
      assert.deepEqual(given, key.reload === true ? next.given : running.given);
      if (!isTls) assert.equal(plan.configuration.originOf(key.name).kind, key.reload === true ? 'file' : 'default');
      assert.equal(plan.changes[0]?.to, key.secret === true ? 'hidden' : plan.changes[0]?.to.replace('topsecret', ''));
      assert.deepEqual(planReload(running, running).changes, []);
    });
  }

  it('tells a waiting change again, until it is taken back', async () => {
    const [running, next] = [await configured('data: /a'), await configured('data: /b\nlog: {level: debug}')];
    const first = planReload(running, next);
    assert.deepEqual(first.changes, [
      { name: 'data', from: '/a', to: '/b', applied: false },
      { name: 'log.level', from: 'info', to: 'debug', applied: true },
    ]);
    assert.deepEqual(planReload(first.configuration, next).changes.map(({ name }) => name), ['data']);
    assert.deepEqual(planReload(first.configuration, await configured('data: /a\nlog: {level: debug}')).changes, []);
  });

  it('sees that the tokens file says something else under the same name', async () => {
    const yaml = `rights: {tokens-file: tokens.yaml, identities: [${identity('own', '2')}]}`;
    const running = await configured(yaml, `- ${identity('a')}`);
    for (const [tokens, to] of [[`- ${identity('a', '1')}`, '1 identity'], [`- ${identity('a')}\n- ${identity('b', '3')}`, '2 identities'], ['', '0 identities']] as const) {
      const { changes, configuration } = planReload(running, await configured(yaml, tokens));
      assert.deepEqual(changes, [{ name: 'rights.tokens-file', from: '1 identity', to, applied: true }]);
      assert.equal(configuration.options.rights.identities.length, 1 + Number.parseInt(to, 10));
    }
    assert.deepEqual(planReload(running, await configured(yaml.replace('tokens.yaml', 'other.yaml'))).changes, [
      { name: 'rights.tokens-file', from: '/tokens.yaml', to: '/other.yaml', applied: true },
    ]);
  });

  it('sees that a certificate was renewed in its file', async () => {
    const running = await configured(withTls);
    const renewed = makeCertificate({ key, notAfter: new Date('2049-12-31T00:00:00Z') }).certificate;
    const { changes, configuration } = planReload(running, await configured(withTls, '', [['/server.pem', renewed]]));
    assert.deepEqual(changes, [{ name: 'tls.certificate', from: `valid until ${running.options.tls?.material.validTo}`, to: 'valid until Dec 31 00:00:00 2049 GMT', applied: true }]);
    assert.notEqual(configuration.options.tls?.material.fingerprint, running.options.tls?.material.fingerprint);
  });

  it('switches TLS neither on nor off', async () => {
    const [plain, secure] = [await configured(''), await configured(withTls)];
    for (const [running, next] of [[plain, secure], [secure, plain]] as const) {
      const { changes, configuration } = planReload(running, next);
      assert.ok(changes.length >= 3 && changes.every(({ name, applied }) => name.startsWith('tls.') && !applied));
      assert.deepEqual(configuration.options, running.options);
    }
  });

  it('does not fall back to trusting everybody: the addresses of the new file are not those that are open', async () => {
    const running = await configured('listen: ["0.0.0.0:1"]\nallow-anonymous: read');
    const { changes, configuration } = planReload(running, await configured(''));
    assert.deepEqual(changes.map(({ name, applied }) => [name, applied]), [['listen', false], ['allow-anonymous', false]]);
    assert.equal(configuration.options.allowAnonymous, 'read');
    const withIdentities = planReload(running, await configured(`listen: ["0.0.0.0:1"]\nrights: {identities: [${identity('ci')}]}`));
    assert.equal(withIdentities.configuration.options.allowAnonymous, undefined, 'credentials take the rights of everybody away');
  });
});
