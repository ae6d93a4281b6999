// Which addresses need somebody's decision before they are served.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseListenAddress } from '../base/listen-address.ts';
import { listenTargets } from './listen-targets.ts';
import type { RightsOptions } from './rights.ts';

const asked = (...texts: string[]) => texts.map((text) => ({ address: parseListenAddress(text), tls: false, messageBytesMax: 1 }));

function options(allowAnonymous?: RightsOptions['allowAnonymous'], rights: Partial<RightsOptions['rights']> = {}): RightsOptions {
  return { allowAnonymous, rights: { tokensFile: undefined, htpasswdFile: undefined, identities: [], ...rights } };
}

const withCredentials: readonly [string, RightsOptions][] = [
  ['a tokens file', options(undefined, { tokensFile: '/etc/kiln/tokens.yaml' })],
  ['an htpasswd file', options(undefined, { htpasswdFile: '/etc/kiln/htpasswd' })],
  ['an identity', options(undefined, { identities: [{ name: 'ci', tokens: [], grants: [] }] })],
];

describe('listenTargets', () => {
  it('serves this machine without any decision', async () => {
    const local = ['127.0.0.1:1', '[::1]:2', 'unix:/run/k'];
    assert.deepEqual(await listenTargets(asked(...local), options()), asked(...local));
  });

  it('gives names their address', async () => {
    assert.match(JSON.stringify(await listenTargets(asked('localhost:1'), options())), /^\[\{"address":\{"kind":"tcp","host":"(?:127\.0\.0\.1|::1)","port":1\},/);
  });

  for (const text of ['0.0.0.0:1', '[::]:1', '10.1.2.3:1', '[fe80::1]:1', '[::ffff:10.1.2.3]:1']) {
    it(`refuses ${text} until somebody says what for, also beside a loopback address, and shows the ways to go on`, async () => {
      for (const addresses of [asked(text), asked('127.0.0.1:1', text)]) {
        await assert.rejects(listenTargets(addresses, options()), (error: Error & { code: string }) => {
          assert.equal(error.code, 'invalid_argument');
          for (const way of [/kiln token create/, /--rights-htpasswd-file/, /--allow-anonymous read .* --allow-anonymous write/, /127\.0\.0\.1/]) assert.match(error.message, way);
          return true;
        });
      }
      for (const allowAnonymous of ['read', 'write'] as const) assert.equal((await listenTargets(asked(text), options(allowAnonymous))).length, 1);
      for (const [, decided] of withCredentials) assert.equal((await listenTargets(asked(text), decided)).length, 1);
    });
  }

  it('refuses to serve nobody at all', async () => {
    for (const text of ['127.0.0.1:1', '0.0.0.0:1', 'unix:/run/k']) {
      await assert.rejects(listenTargets(asked(text), options('none')), { code: 'invalid_argument', message: /nobody could use this server.*\n.*kiln token create/s });
    }
    for (const [, { rights }] of withCredentials) assert.equal((await listenTargets(asked('0.0.0.0:1'), { allowAnonymous: 'none', rights })).length, 1);
  });
});
