// How the server ends: politely, in a hurry, and by force.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '../proto/gen/grpc/health/v1/health_pb.ts';
import { GrpcJsClient, statusOf } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { runKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

const anyPort = ['--listen', '127.0.0.1:0'];
const content = Buffer.alloc(300_000, 'kiln');
const digest = Digest.of(content, sha256);

/** A PUT of `content` of which one byte is still to come, taken by the server. */
async function openPut(kiln: KilnProcess): Promise<{ put: ClientRequest; finish: () => Promise<number | undefined> }> {
  const headers = { 'content-length': content.byteLength, expect: '100-continue' };
  const put = request({ host: '127.0.0.1', port: kiln.port, path: `/cas/${digest.hash}`, method: 'PUT', headers, agent: false });
  put.on('error', () => {}); // told by what does not come
  put.flushHeaders();
  await once(put, 'continue');
  await new Promise((resolve) => put.write(content.subarray(0, -1), resolve));
  return {
    put,
    async finish() {
      put.end(content.subarray(-1));
      const [response] = (await once(put, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    },
  };
}

/** Resolves once the server has said that it stops: from here on it takes nothing new. */
async function stopping(kiln: KilnProcess): Promise<void> {
  while (!kiln.errors().includes('stopping')) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Resolves once nobody accepts on the port; what was accepted before is closed without an answer. */
async function connectionRefused(port: number): Promise<void> {
  for (;;) {
    const failure = await fetchHttp(port, '/status').then(
      () => assert.fail('a request was served after the stop'),
      (error: NodeJS.ErrnoException) => error,
    );
    if (failure.code === 'ECONNREFUSED') return;
    assert.equal(failure.code, 'ECONNRESET');
  }
}

describe('the end of kiln serve', () => {
  it('K10-01, HT-3: SIGTERM lets a running upload finish over HTTP and refuses new connections', async (t) => {
    const data = await temporaryDirectory(t);
    const kiln = await serveKiln(t, [...anyPort, '--data', data]);
    const { finish } = await openPut(kiln);
    kiln.kill('SIGTERM');
    await stopping(kiln);
    await connectionRefused(kiln.port);
    assert.equal(await finish(), 200);
    assert.equal((await kiln.ended).status, 143);
    const next = await serveKiln(t, [...anyPort, '--data', data]);
    assert.equal((await fetchHttp(next.port, `/cas/${digest.hash}`)).body.byteLength, content.byteLength);
  });

  it('K10-01, HT-3: SIGTERM lets a running upload and a running read finish over gRPC', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    const large = Buffer.alloc(24 * 2 ** 20, 'large');
    const largeDigest = Digest.of(large, sha256);
    assert.equal((await fetchHttp(kiln.port, `/cas/${largeDigest.hash}`, { method: 'PUT', body: large })).status, 200);
    const read = client.serverStream(ByteStream.method.read, { resourceName: `blobs/${largeDigest.hash}/${large.byteLength}` });
    const readStatus = statusOf(read);
    const [first] = (await once(read, 'data')) as [{ data: Uint8Array }];
    read.pause();
    const { call, outcome } = client.clientStream(ByteStream.method.write);
    const resourceName = `uploads/7b0b8a3c-7d2e-4e39-9d1b-3a2a4f2b1c55/blobs/${digest.hash}/${content.byteLength}`;
    await new Promise((resolve) => call.write({ resourceName, data: content.subarray(0, 100_000) }, resolve));
    // The stream of the upload was opened before this answer came on the same connection.
    await client.unary(Health.method.check, {});
    kiln.kill('SIGTERM');
    await stopping(kiln);
    call.write({ data: content.subarray(100_000), writeOffset: 100_000n, finishWrite: true });
    call.end();
    assert.equal((await outcome).message.committedSize, BigInt(content.byteLength));
    let readBytes = first.data.byteLength;
    read.on('data', ({ data }: { data: Uint8Array }) => (readBytes += data.byteLength));
    read.resume();
    assert.equal((await readStatus).code, 0);
    assert.equal(readBytes, large.byteLength);
    assert.equal((await kiln.ended).status, 143);
  });

  it('HC-3: watchers learn that nothing is served any more, and do not hold up the end', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    const watch = client.serverStream(Health.method.watch, {});
    const seen: ServingStatus[] = [];
    const status = statusOf(watch);
    watch.on('data', (message: { status: ServingStatus }) => seen.push(message.status));
    await once(watch, 'data');
    kiln.kill('SIGTERM');
    await status;
    assert.deepEqual(seen, [ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
    assert.equal((await kiln.ended).status, 143);
  });

  it('cuts off what does not finish within the drain timeout, says so, and keeps nothing of it', async (t) => {
    const data = await temporaryDirectory(t);
    const kiln = await serveKiln(t, [...anyPort, '--data', data, '--drain-timeout', '200ms']);
    const { put } = await openPut(kiln);
    const closed = new Promise((resolve) => put.once('close', resolve));
    kiln.kill('SIGTERM');
    await closed;
    const { status, errors } = await kiln.ended;
    assert.equal(status, 1);
    assert.match(errors, / warn {2}stopped; calls that did not finish in time were cut off finishedCalls=0 cutOffCalls=1 tookMs=\d+\n$/);
    const next = await serveKiln(t, [...anyPort, '--data', data]);
    assert.equal((await fetchHttp(next.port, `/cas/${digest.hash}`)).status, 404);
  });

  it('ends at once at the second signal', async (t) => {
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)]);
    await openPut(kiln);
    kiln.kill('SIGTERM');
    await stopping(kiln);
    kiln.kill('SIGINT');
    const { status, errors } = await kiln.ended;
    assert.equal(status, 130);
    assert.match(errors, /second signal: ending at once signal=SIGINT\n$/);
  });

  for (const [how, second, wanted] of [
    ['kills itself at the limit', undefined, 137],
    ['ends at the second signal', 'SIGTERM', 143],
  ] as const) {
    it(`K10-01: ${how} although the disk does not answer, for which a regular end would wait for ever`, async (t) => {
      const data = await temporaryDirectory(t);
      const first = await serveKiln(t, [...anyPort, '--data', data]);
      assert.equal((await fetchHttp(first.port, `/cas/${digest.hash}`, { method: 'PUT', body: content })).status, 200);
      first.kill('SIGTERM');
      await first.ended;
      const limits = second === undefined ? ['--drain-timeout', '100ms', '--drain-flush-timeout', '300ms'] : [];
      const kiln = await serveKiln(t, [...anyPort, '--data', data, ...limits]);
      // To open a pipe without a writer takes for ever, as reading from a network file system that is gone does.
      const file = join(data, 'objects/sha256', digest.hash.slice(0, 2), digest.hash);
      await rm(file);
      assert.equal(spawnSync('mkfifo', [file]).status, 0);
      const stuck = request({ host: '127.0.0.1', port: kiln.port, path: `/cas/${digest.hash}`, agent: false }).on('error', () => {});
      stuck.end();
      await once(stuck, 'socket');
      await fetchHttp(kiln.port, '/status'); // after it
      kiln.kill('SIGTERM');
      await stopping(kiln);
      if (second !== undefined) kiln.kill(second);
      assert.equal((await kiln.ended).status, wanted);
    });
  }

  it('K1-15: frees the data directory when it is killed, and keeps what it acknowledged', async (t) => {
    const data = join(await temporaryDirectory(t), 'data');
    const kiln = await serveKiln(t, [...anyPort, '--data', data]);
    assert.equal((await fetchHttp(kiln.port, `/cas/${digest.hash}`, { method: 'PUT', body: content })).status, 200);
    const second = await runKiln(['serve', ...anyPort, '--data', data]);
    assert.equal(second.status, 1);
    assert.match(second.errors, new RegExp(`is in use by process ${kiln.ready.pid} .*127\\.0\\.0\\.1:${kiln.port}.*\\n {2}stop that process`));
    kiln.kill('SIGKILL');
    assert.equal((await kiln.ended).status, 137);
    const next = await serveKiln(t, [...anyPort, '--data', data]);
    assert.deepEqual((await fetchHttp(next.port, `/cas/${digest.hash}`)).body, content);
  });
});
