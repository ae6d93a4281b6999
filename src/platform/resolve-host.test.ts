// Which addresses count as reachable from this machine only.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveHost } from './resolve-host.ts';

describe('resolveHost', () => {
  const hosts: readonly [string, boolean][] = [
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['fe80::1', false],
  ];
  for (const [host, loopback] of hosts) {
    it(`${host} is ${loopback ? '' : 'not '}loopback only`, async () => {
      assert.equal((await resolveHost(host)).loopback, loopback);
    });
  }

  it('says which name it cannot find', async () => {
    await assert.rejects(resolveHost('no-such-host.invalid'), { code: 'failed_precondition', message: /"no-such-host\.invalid"\n/ });
  });
});
