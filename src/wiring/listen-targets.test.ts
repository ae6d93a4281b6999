// Which addresses need somebody's decision before they are served.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseListenAddress } from '../base/listen-address.ts';
import { listenTargets } from './listen-targets.ts';

const asked = (...texts: string[]) => texts.map(parseListenAddress);

describe('listenTargets', () => {
  it('lets everyone on this machine read and write by default', async () => {
    const targets = await listenTargets(asked('127.0.0.1:1', '[::1]:2', 'unix:/run/k'), undefined);
    assert.deepEqual(targets, { addresses: asked('127.0.0.1:1', '[::1]:2', 'unix:/run/k'), anonymousRight: 'write' });
  });

  it('gives names their address', async () => {
    const { addresses } = await listenTargets(asked('localhost:1'), undefined);
    assert.match(JSON.stringify(addresses), /^\[\{"kind":"tcp","host":"(?:127\.0\.0\.1|::1)","port":1\}\]$/);
  });

  for (const text of ['0.0.0.0:1', '[::]:1', '10.1.2.3:1', '[fe80::1]:1', '[::ffff:10.1.2.3]:1']) {
    it(`refuses ${text} until somebody says what for, also beside a loopback address`, async () => {
      for (const addresses of [asked(text), asked('127.0.0.1:1', text)]) {
        await assert.rejects(listenTargets(addresses, undefined), { code: 'invalid_argument', message: /--allow-anonymous read .* --allow-anonymous write/ });
      }
      assert.equal((await listenTargets(asked(text), 'read')).anonymousRight, 'read');
    });
  }

  it('takes a right away on loopback when it is told to', async () => {
    assert.equal((await listenTargets(asked('127.0.0.1:1'), 'read')).anonymousRight, 'read');
  });
});
