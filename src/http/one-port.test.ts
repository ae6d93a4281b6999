// The real server as HTTP tools meet it: one port for everything, a unix socket, connections that come all at once.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';

const bytes = Buffer.from('a blob for every door');
const digest = Digest.of(bytes);
const path = `/main/cas/${digest.hash}`;
const anyPort = ['--listen', '127.0.0.1:0'];

/** Through `socketPath`, as Bazel does with --remote_proxy=unix: by its own idea of the host. */
async function overUnixSocket(socketPath: string, method: string, target: string, body?: Uint8Array): Promise<{ status: number; body: Buffer }> {
  const sent = request({ socketPath, method, path: target, headers: { host: 'any-host:8080' }, agent: false });
  sent.end(body);
  const [response] = await once(sent, 'response');
  return { status: response.statusCode, body: Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)) };
}

describe('the port of a server', () => {
  it('CT-11, HT-11: takes HTTP/1.1, HTTP/2 and gRPC at the same time, for the same blobs', async (t) => {
    const { port } = await serveKiln(t, [...anyPort, '--data', join(await temporaryDirectory(t), 'data')]);
    assert.equal((await fetchHttp(port, path, { method: 'PUT', body: bytes })).status, 200);
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    t.after(() => session.destroy());
    using client = new GrpcJsClient(`127.0.0.1:${port}`);
    const asked = { instanceName: 'main', blobDigests: [{ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) }] };
    const stream = session.request({ ':path': path });
    const [found, body, again] = await Promise.all([
      client.unary(ContentAddressableStorage.method.findMissingBlobs, asked),
      Array.fromAsync(stream as AsyncIterable<Buffer>),
      fetchHttp(port, path),
    ]);
    assert.deepEqual(found.message.missingBlobDigests, []);
    assert.deepEqual(Buffer.concat(body), bytes);
    assert.deepEqual(again.body, bytes);
  });

  it('CC-3: accepts connections at once, many at a time, while others say nothing', async (t) => {
    const { port } = await serveKiln(t, [...anyPort, '--data', join(await temporaryDirectory(t), 'data')]);
    const silent = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = connect({ port, host: '127.0.0.1' });
        t.after(() => socket.destroy());
        await once(socket, 'connect');
        return socket;
      }),
    );
    /** One compilation: manifest and result asked for, then put. */
    const compile = async (index: number): Promise<readonly number[]> => {
      const keys = [`${2 * index}`, `${2 * index + 1}`].map((key) => `/ac/${key.padStart(64, '0')}`);
      const replies = [];
      for (const key of keys) replies.push(await fetchHttp(port, key));
      for (const key of keys) replies.push(await fetchHttp(port, key, { method: 'PUT', body: Buffer.concat([Buffer.from([0xcc, 0xac]), bytes]) }));
      return replies.map(({ status }) => status);
    };
    for (const statuses of await Promise.all(Array.from({ length: 30 }, (_, index) => compile(index)))) assert.deepEqual(statuses, [404, 404, 200, 200]);
    assert.ok(silent.every((socket) => !socket.destroyed));
  });

  it('CC-6: what a key names does not depend on the server that is asked', async (t) => {
    const servers = await Promise.all([0, 1].map(async () => serveKiln(t, [...anyPort, '--data', join(await temporaryDirectory(t), 'data')])));
    for (const target of [`/ccache/ac/${'ab12'.repeat(16)}`, path]) {
      const answers = [];
      for (const { port } of servers) {
        assert.equal((await fetchHttp(port, target, { method: 'PUT', body: bytes })).status, 200);
        answers.push((await fetchHttp(port, target)).text);
      }
      assert.deepEqual(answers, [bytes.toString(), bytes.toString()]);
    }
  });

  it('CT-4: credentials that nobody asked for are in nobody\'s way, base64 or base64url', async (t) => {
    const { port } = await serveKiln(t, [...anyPort, '--data', join(await temporaryDirectory(t), 'data')]);
    const credentials = Buffer.from('user:~~~???>>>');
    for (const alphabet of ['base64', 'base64url'] as const) {
      const headers = { authorization: `Basic ${credentials.toString(alphabet)}` };
      assert.equal((await fetchHttp(port, path, { method: 'PUT', body: bytes, headers })).status, 200);
      assert.deepEqual((await fetchHttp(port, path, { headers })).body, bytes);
    }
  });
});

describe('a unix socket', () => {
  it('BZ-7: serves the HTTP cache, whatever host the client names', async (t) => {
    const directory = await temporaryDirectory(t);
    const socketPath = join(directory, 'kiln.sock');
    await serveKiln(t, ['--listen', `unix:${socketPath}`, '--data', join(directory, 'data')]);
    assert.equal((await overUnixSocket(socketPath, 'GET', path)).status, 404);
    assert.equal((await overUnixSocket(socketPath, 'PUT', path, bytes)).status, 200);
    assert.deepEqual(await overUnixSocket(socketPath, 'GET', path), { status: 200, body: bytes });
    assert.equal((await overUnixSocket(socketPath, 'GET', `/main/ac/${digest.hash}`)).status, 404);
  });
});
