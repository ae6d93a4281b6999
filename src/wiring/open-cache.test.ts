// The client library against real servers in processes of their own: the whole contract, rights, restarts.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { blake3, sha1, sha256 } from '../digest/digest-function.ts';
import { Digest } from '../digest/digest.ts';
import { runKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import { openCache } from './open-cache.ts';

describe('openCache', () => {
  it('stores and finds blobs of several functions, small, large and empty, over TCP and a unix socket', async (t) => {
    const directory = await temporaryDirectory(t);
    const socket = `unix:${join(directory, 'kiln.sock')}`;
    const { ready } = await serveKiln(t, ['--listen', '127.0.0.1:0', '--listen', socket, '--data', join(directory, 'data')]);
    for (const url of [`${ready.http}/an/instance`, socket]) {
      await using cache = openCache(url, { connectionsMax: 3 });
      const large = createHash('shake256', { outputLength: 2_000_000 }).update(url).digest();
      const all: Digest[] = [];
      for (const bytes of [Buffer.alloc(0), Buffer.from(url), large]) {
        for (const row of [sha256, sha1, blake3]) {
          const digest = await cache.putBytes(bytes, { function: row });
          assert.ok(await cache.has(digest));
          assert.ok(bytes.equals((await cache.getBytes(digest)) ?? Buffer.of(0)), digest.toString());
          all.push(digest);
        }
      }
      const absent = Digest.of(Buffer.from(`absent ${url}`));
      assert.equal(await cache.getBytes(absent), undefined);
      assert.deepEqual((await cache.findMissing([...all, absent, ...all, absent])).map(String), [String(absent)]);
      const many = Array.from({ length: 510 }, (_, index) => Digest.of(Buffer.from(`${url} ${index}`)));
      await cache.putBytes(Buffer.from(`${url} 505`));
      assert.deepEqual((await cache.findMissing(many)).map(String), many.toSpliced(505, 1).map(String));
      await assert.rejects(cache.getBytes(Digest.of(large), { bytesMax: 1_000 }), { code: 'resource_exhausted' });
      await using part = await cache.get(Digest.of(large), { range: { offset: 1_999_990, length: 10 } });
      assert.ok(Buffer.concat(await Array.fromAsync(part ?? [])).equals(large.subarray(1_999_990)));
    }
  });

  it('repeats an upload that can be opened again, while the server restarts', async (t) => {
    const directory = await temporaryDirectory(t);
    const data = join(directory, 'data');
    const first = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', data]);
    await using cache = openCache(first.ready.http, { attemptsMax: 40 });
    const bytes = Buffer.alloc(600_000, 5);
    let opened = 0;
    let restarted: Promise<unknown> | undefined;
    await cache.put(Digest.of(bytes), async function* () {
      opened += 1;
      yield bytes.subarray(0, 300_000);
      if (restarted === undefined) {
        first.kill('SIGKILL');
        await first.ended;
        restarted = serveKiln(t, ['--listen', `127.0.0.1:${first.port}`, '--data', data]);
      }
      yield bytes.subarray(300_000);
    });
    await restarted;
    assert.ok(opened >= 2, `opened ${opened} times`);
    assert.ok(bytes.equals((await cache.getBytes(Digest.of(bytes))) ?? Buffer.of(0)));
  });

  it('makes as many tries as it was told, whatever it sends', async (t) => {
    let tries = 0;
    const server = createServer((socket) => {
      tries += 1;
      socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    await using cache = openCache(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { attemptsMax: 3 });
    for (const size of [1_000, 1_000_000]) {
      const bytes = Buffer.alloc(size);
      tries = 0;
      await assert.rejects(cache.put(Digest.of(bytes), async function* () {
        yield bytes;
      }), { code: 'unavailable' });
      assert.equal(tries, 3);
    }
  });

  it('shows a token or a password, and says what is not allowed', async (t) => {
    const directory = await temporaryDirectory(t);
    const tokens = join(directory, 'tokens.yaml');
    const { out } = await runKiln(['token', 'create', '--name', 'reader', '--grant', '*=read', '--file', tokens]);
    const token = out.trim();
    const { ready } = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--rights-tokens-file', tokens, '--allow-anonymous', 'none']);
    await using reader = openCache(ready.http, { credentials: { token } });
    assert.equal(await reader.has(Digest.of(Buffer.from('x'))), false);
    await assert.rejects(reader.putBytes(Buffer.from('x')), { code: 'permission_denied' });
    await assert.rejects(reader.putBytes(Buffer.alloc(1_000_000)), { code: 'permission_denied' });
    await using anonymous = openCache(ready.http);
    await assert.rejects(anonymous.has(Digest.of(Buffer.from('x'))), { code: 'unauthenticated' });
    await using stranger = openCache(ready.http.replace('//', '//me:s3cret@'));
    await assert.rejects(stranger.getBytes(Digest.of(Buffer.from('x'))), (thrown: Error & { code?: string }) => thrown.code === 'unauthenticated' && !String(thrown).match('s3cret'));
  });

  it('refuses options that cannot be meant', () => {
    const mistakes: readonly (readonly [url: string, options: Parameters<typeof openCache>[1], message: RegExp])[] = [
      ['http://h/a', { instance: 'b' }, /the URL names instance "a" and the options name "b"/],
      ['http://h', { connectionsMax: 0 }, /connectionsMax is 0/],
      ['http://h', { silenceTimeoutMs: Number.NaN }, /silenceTimeoutMs is NaN/],
      ['http://h', { attemptsMax: 1.5 }, /attemptsMax is 1\.5/],
      ['http://h', { credentials: { token: 'two words' } }, /^the token is empty or has characters/],
      ['http://h', { credentials: { user: 'a:b', password: 'x' } }, /"a:b" has a colon/],
    ];
    for (const [url, options, message] of mistakes) assert.throws(() => openCache(url, options), { code: 'invalid_argument', message });
    assert.equal(openCache('http://h/a', { instance: 'a' }).instance, 'a');
  });
});
