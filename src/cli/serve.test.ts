// The server as people and tools meet it: a process, its output, and one port for every protocol.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { Capabilities, ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '../proto/gen/grpc/health/v1/health_pb.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp, sendRaw } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';

const anyPort = ['--listen', '127.0.0.1:0'];
const hello = Buffer.from('hello');
const helloDigest = Digest.of(hello, sha256);
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

/** The digests of `digests` that the server lacks, asked over gRPC with @grpc/grpc-js. */
async function missingBlobs(address: string, digests: readonly Digest[]): Promise<number> {
  using client = new GrpcJsClient(address);
  const blobDigests = digests.map(({ hash, sizeBytes }) => ({ hash, sizeBytes: BigInt(sizeBytes) }));
  const { message } = await client.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests });
  return message.missingBlobDigests.length;
}

/** One request without a body over HTTP/2 with prior knowledge, by node:http2. */
async function fetchHttp2(port: number, headers: Record<string, string>): Promise<{ status: unknown; text: string }> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request(headers, { endStream: true });
    const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
    return { status: answer[':status'], text: Buffer.concat(await stream.toArray()).toString() };
  } finally {
    session.close();
  }
}

describe('kiln serve', () => {
  it('says where it is, on the terminal and in the ready file', async (t) => {
    const data = await temporaryDirectory(t);
    const kiln = await serveKiln(t, [...anyPort, '--data', data, '--max-size', '2GiB']);
    const { pid, version, grpc, http } = kiln.ready;
    assert.deepEqual(Object.keys(kiln.ready), ['pid', 'grpc', 'http', 'version']);
    assert.equal(grpc, `grpc://127.0.0.1:${kiln.port}`);
    assert.equal(http, `http://127.0.0.1:${kiln.port}`);
    const status = await fetchHttp(kiln.port, '/status');
    assert.deepEqual(JSON.parse(status.text), { status: 'ok', name: 'kiln', version });
    kiln.kill('SIGTERM');
    const { out, errors, status: exit } = await kiln.ended;
    assert.equal(exit, 143);
    assert.equal(out.split('\n').at(-2), `ready ${grpc} ${http}`);
    assert.ok(out.includes(`${data}: 0 B used of at most 2 GiB`), out);
    assert.ok(out.includes(`build --remote_cache=${grpc}\n`), out);
    assert.ok(pid > 0);
    assert.match(errors, /^\S+ info {2}stopping.*\n\S+ info {2}stopped.*\n$/, 'two lines, and no warning of the runtime');
  });

  it('warns when the disk is smaller than the cache may become', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t), '--max-size', '1000TiB']);
    assert.match(kiln.errors(), / warn {2}the disk will be full before the cache is; lower --max-size.* maxSize="1000 TiB"\n$/);
  });

  it('takes its options from the environment, and a data directory from HOME', async (t) => {
    const home = await temporaryDirectory(t);
    const kiln = await serveKiln(t, [], { HOME: home, KILN_LISTEN: '127.0.0.1:0', KILN_LOG_LEVEL: 'error' });
    assert.ok((await stat(join(home, '.cache', 'kiln'))).isDirectory());
    assert.ok(kiln.port > 0);
  });

  it('serves one cache to gRPC, HTTP/1.1 and HTTP/2 on one port', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    const address = `127.0.0.1:${kiln.port}`;
    assert.equal(await missingBlobs(address, [helloDigest]), 1);
    assert.equal((await fetchHttp(kiln.port, `/cas/${helloDigest.hash}`, { method: 'PUT', body: hello })).status, 200);
    assert.equal(await missingBlobs(address, [helloDigest]), 0);
    assert.deepEqual(await fetchHttp2(kiln.port, { ':path': `/cas/${helloDigest.hash}` }), { status: 200, text: 'hello' });
    const status = await fetchHttp2(kiln.port, { ':path': '/status' });
    assert.equal(status.text, (await fetchHttp(kiln.port, '/status')).text);
  });

  it('HC-1, HC-3: tells the health of the server and of each service', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    for (const service of ['', ContentAddressableStorage.typeName, 'google.bytestream.ByteStream']) {
      assert.equal((await client.unary(Health.method.check, { service })).message.status, ServingStatus.SERVING, service);
    }
    assert.equal((await fetchHttp(kiln.port, '/healthz')).status, 200);
  });

  it('HT-6, HT-11: answers 415 on the path of a gRPC method to who does not speak gRPC', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    const path = `/${Capabilities.typeName}/GetCapabilities`;
    const first = await fetchHttp(kiln.port, path, { method: 'POST', headers: { 'content-type': 'application/grpc' }, body: '\0\0\0\0\0' });
    assert.equal(first.status, 415);
    assert.match(first.text, /application\/grpc over HTTP\/2/);
    const second = await fetchHttp2(kiln.port, { ':path': path, ':method': 'POST', 'content-type': 'application/json' });
    assert.deepEqual(second, { status: 415, text: first.text });
  });

  it('HT-11: recognises a preface that comes byte by byte', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    const socket = connect({ port: kiln.port, host: '127.0.0.1', noDelay: true });
    t.after(() => socket.destroy());
    for (const byte of Buffer.concat([preface, emptySettings])) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
      await new Promise(setImmediate);
    }
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    assert.equal(bytes[3], 4, 'the first frame of the server is SETTINGS');
  });

  it('answers garbage before the preface with 400 and goes on', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    const garbage = Buffer.concat([Buffer.from('\x01\x03\x01'), preface, emptySettings]);
    assert.match(await sendRaw(kiln.port, garbage, { keepOpen: true }), /^HTTP\/1\.1 400 /);
    assert.equal((await fetchHttp(kiln.port, '/status')).status, 200);
  });

  it('serves gRPC and HTTP on a unix socket, beside a port, and removes its file', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'kiln.sock');
    const kiln = await serveKiln(t, ['--listen', `unix:${path}`, ...anyPort, '--data', join(directory, 'data')]);
    assert.equal(kiln.ready.grpc, `unix:${path}`);
    assert.equal(kiln.ready.http, `unix:${path}`);
    assert.equal(await missingBlobs(`unix:${path}`, [helloDigest]), 1);
    const put = request({ socketPath: path, path: `/cas/${helloDigest.hash}`, method: 'PUT', agent: false });
    put.end(hello);
    const [response] = (await once(put, 'response')) as [{ statusCode: number; resume(): void }];
    assert.equal(response.statusCode, 200);
    response.resume();
    assert.equal(await missingBlobs(`unix:${path}`, [helloDigest]), 0);
    assert.match(kiln.out(), /listens on {2}unix:.*kiln\.sock, 127\.0\.0\.1:\d+\n/);
    kiln.kill('SIGINT');
    assert.equal((await kiln.ended).status, 130);
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  it('refuses what a foreign page in a browser of this machine can send, but for names that it was given', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    const path = `/cas/${helloDigest.hash}`;
    assert.equal((await fetchHttp(kiln.port, '/status', { headers: { host: 'evil.example' } })).status, 403);
    assert.equal((await fetchHttp(kiln.port, path, { method: 'PUT', body: hello, headers: { origin: 'http://evil.example' } })).status, 403);
    assert.equal((await fetchHttp(kiln.port, path)).status, 404);
    const named = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t), '--allow-anonymous', 'write', '--allowed-hosts', 'cache.example']);
    assert.equal((await fetchHttp(named.port, '/status', { headers: { host: 'cache.example' } })).status, 200);
    assert.equal((await fetchHttp(named.port, '/status', { headers: { host: 'evil.example' } })).status, 403, 'who may do what is another question');
  });

  it('CAP-8: gives everyone no more than --allow-anonymous says', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t), '--allow-anonymous', 'read']);
    const refused = await fetchHttp(kiln.port, `/cas/${helloDigest.hash}`, { method: 'PUT', body: hello });
    assert.equal(refused.status, 403);
    assert.match(refused.text, /may be read only.*--allow-anonymous write/);
    assert.equal((await fetchHttp(kiln.port, `/cas/${helloDigest.hash}`)).status, 404);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    const { message } = await client.unary(Capabilities.method.getCapabilities, {});
    assert.equal(message.cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled, false);
  });

  it('serves on an address that others can reach once it was told what for', async (t) => {
    const kiln = await serveKiln(t, ['--listen', '0.0.0.0:0', '--data', await temporaryDirectory(t), '--allow-anonymous', 'write']);
    assert.equal(kiln.ready.http, `http://127.0.0.1:${kiln.port}`);
    assert.equal((await fetchHttp(kiln.port, '/status')).status, 200);
  });

  it('replaces the ready file of a dead server, and removes its own at the end', async (t) => {
    const directory = await temporaryDirectory(t);
    const readyFile = join(directory, 'ready.json');
    await writeFile(readyFile, JSON.stringify({ pid: 2 ** 22 + 1, grpc: 'grpc://127.0.0.1:1' }));
    const kiln = await serveKiln(t, [...anyPort, '--data', join(directory, 'data')], {}, readyFile);
    assert.notEqual(kiln.ready.grpc, 'grpc://127.0.0.1:1');
    kiln.kill('SIGTERM');
    assert.equal((await kiln.ended).status, 143);
    await assert.rejects(readFile(readyFile), { code: 'ENOENT' });
  });
});
