// A stranger who tries one user name after the other, against a real server with slow password hashes: nobody who is
// known waits for that.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import bcrypt from 'bcryptjs';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { temporaryDirectory } from '../../src/testing/kiln-process.ts';
import { attackedServer } from './attacked-server.ts';
import { findMissingMessage, path, whole } from './calls.ts';
import { RawHttp2, repeated } from './raw-http2.ts';

/** As of many password files: some 50 ms of a core. */
const cost = 10;
const guesses = 200;

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

describe('a stranger who tries user names', () => {
  it('fills the line for passwords with a few of them, and a known user who comes for the first time is let in', async (t) => {
    const file = join(await temporaryDirectory(t), 'htpasswd');
    await writeFile(file, `ann:${bcrypt.hashSync('secret', cost)}\n`, { mode: 0o600 });
    const server = await attackedServer(t, '--rights-htpasswd-file', file, '--allow-anonymous', 'write');
    await server.endures(async () => {
      const stranger = await RawHttp2.open(server.port);
      const call = (index: number) => whole(1 + 2 * index, path.findMissing, findMissingMessage('0'.repeat(64), 1), [['authorization', basic(`user${index}`, 'guess')]]);
      await stranger.send(repeated(guesses, call));
      await server.counted('kiln_password_checks', {}, 1);
      const startedMs = performance.now();
      const { status } = await fetchHttp(server.port, `/cas/${'0'.repeat(64)}`, { headers: { authorization: basic('ann', 'secret') } });
      t.diagnostic(`let in after ${(performance.now() - startedMs).toFixed(0)} ms`);
      assert.equal(status, 404, 'let in, and there is no such blob');
      assert.ok((await server.metric('kiln_password_checks')) <= 9);
      await stranger.until(({ headersFrames }) => headersFrames >= guesses);
      stranger.destroy();
    });
    const ended = (code: string) => server.metric('kiln_grpc_calls_total', { service: 'build.bazel.remote.execution.v2.ContentAddressableStorage', method: 'FindMissingBlobs', code });
    assert.equal((await ended('UNAUTHENTICATED')) + (await ended('UNAVAILABLE')), guesses);
    assert.equal(await ended('OK'), 0);
  });
});
