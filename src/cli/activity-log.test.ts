// What the log says of the work of the server, and what it does not say unless asked.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { ActionCache, ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { encoded } from '../testing/grpc-harness.ts';
import { GrpcJsClient, statusOf } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

const content = Buffer.from('hello');
const present = Digest.of(content, sha256);
const absent = Digest.of(Buffer.from('absent'), sha256);
const named = ({ hash, sizeBytes }: Digest) => ({ hash, sizeBytes: BigInt(sizeBytes) });

async function serve(t: TestContext, ...args: readonly string[]): Promise<KilnProcess> {
  const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', await temporaryDirectory(t), ...args], { KILN_LOG_FORMAT: 'json' });
  assert.equal((await fetchHttp(kiln.port, `/cas/${present.hash}`, { method: 'PUT', body: content })).status, 200);
  return kiln;
}

async function stopped(kiln: KilnProcess): Promise<readonly LogLine[]> {
  kiln.kill('SIGTERM');
  const { status, errors } = await kiln.ended;
  assert.equal(status, 143, errors);
  return errors.trimEnd().split('\n').map((line) => JSON.parse(line) as LogLine);
}

/** The sum of a field over all summaries. */
function total(lines: readonly LogLine[], field: string): number {
  return lines.filter(({ message }) => message === 'activity').reduce((sum, line) => sum + Number(line[field] ?? 0), 0);
}

async function findMissing(client: GrpcJsClient): Promise<void> {
  const { message } = await client.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests: [named(present), named(absent), named(present)] });
  assert.equal(message.missingBlobDigests.length, 1);
}

async function read(client: GrpcJsClient): Promise<void> {
  const call = client.serverStream(ByteStream.method.read, { resourceName: `blobs/${present.hash}/${present.sizeBytes}` });
  call.resume();
  assert.equal((await statusOf(call)).code, 0);
}

async function getAction(client: GrpcJsClient): Promise<void> {
  await assert.rejects(client.unary(ActionCache.method.getActionResult, { actionDigest: named(absent) }), { code: 5 });
}

/** By a bare HTTP/2 client, which takes a tenth of the time of one that knows gRPC. */
async function findMissingOften(port: number, calls: number): Promise<void> {
  const session = connect(`http://127.0.0.1:${port}`);
  const method = ContentAddressableStorage.method.findMissingBlobs;
  const body = encoded(method.input, { blobDigests: [named(present), named(absent)] });
  const headers = { ':method': 'POST', ':path': `/${method.parent.typeName}/${method.name}`, 'content-type': 'application/grpc', te: 'trailers' };
  const callOnce = async (): Promise<void> => {
    const stream = session.request(headers);
    stream.resume().end(body);
    const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
    assert.equal(trailers['grpc-status'], '0');
  };
  for (let left = calls; left > 0; left -= 100) await Promise.all(Array.from({ length: Math.min(left, 100) }, callOnce));
  session.close();
}

describe('the log of the work of a server', () => {
  it('K11-07: has no line per call at info after 10,000 calls', async (t) => {
    const kiln = await serve(t);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    for (let count = 0; count < 100; count += 1) await Promise.all([read(client), getAction(client)]);
    await findMissingOften(kiln.port, 9_799);
    const lines = await stopped(kiln);
    assert.equal(total(lines, 'findMissingBlobs') + total(lines, 'read') + total(lines, 'getActionResult') + total(lines, 'httpRequests'), 10_000);
    assert.ok(lines.length < 20, `${lines.length} lines`);
    // A slow disk is told of with the blob that it held up, however few calls there are.
    const ofCalls = lines.filter(({ message }) => !message.includes('to the data directory was slow'));
    assert.deepEqual(ofCalls.filter((line) => line.level === 'debug' || JSON.stringify(line).includes(present.hash.slice(0, 16))), []);
  });

  it('K11-08: sums up what FindMissingBlobs was asked and answered at info, without digests', async (t) => {
    const kiln = await serve(t, '--log-summary-interval', '1s');
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    for (let count = 0; count < 100; count += 1) await findMissing(client);
    while (!kiln.errors().includes('"activity"')) await new Promise((resolve) => setTimeout(resolve, 10));
    for (let count = 0; count < 3; count += 1) await getAction(client);
    const lines = await stopped(kiln);
    assert.equal(total(lines, 'findMissingBlobs'), 100);
    assert.equal(total(lines, 'blobsRequested'), 300);
    assert.equal(total(lines, 'blobsMissing'), 100);
    assert.equal(total(lines, 'actionMisses'), 3);
    assert.equal(total(lines, 'httpRequests'), 1);
    assert.equal(JSON.stringify(lines).includes(absent.hash), false);
  });

  for (const metrics of [true, false]) {
    it(`K11-08: sums up from when on the level is info, with metrics ${metrics ? 'on' : 'off'}`, async (t) => {
      const file = join(await temporaryDirectory(t), 'kiln.yaml');
      const configure = (level: string) => writeFile(file, `log: { level: ${level}, summary-interval: 1s }\nmetrics: { enabled: ${metrics} }\n`);
      await configure('warn');
      const kiln = await serve(t, '--config', file);
      await configure('info');
      kiln.kill('SIGHUP');
      while (!kiln.errors().includes('"activity"')) {
        await fetchHttp(kiln.port, `/cas/${present.hash}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.ok(total(await stopped(kiln), 'httpRequests') > 0);
    });
  }

  it('K11-08: names the digests of FindMissingBlobs at debug', async (t) => {
    const kiln = await serve(t, '--log-level', 'debug', '--log-summary-interval', 'off');
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    await findMissing(client);
    await read(client);
    const lines = await stopped(kiln);
    const asked = lines.find(({ message }) => message === 'find missing');
    assert.equal(asked?.['level'], 'debug');
    assert.deepEqual([asked?.['requested'], asked?.['missing']], [3, 1]);
    assert.equal(asked?.['digests'], `${present.hash}/5,${absent.hash}/6,${present.hash}/5`);
    assert.equal(asked?.['missingDigests'], `${absent.hash}/6`);
    const got = lines.find(({ message }) => message === 'get');
    assert.deepEqual([got?.['digest'], got?.['found']], [present.toString(), true]);
    const calls = lines.filter(({ message }) => message === 'call').map(({ path, status }) => [path, status]);
    assert.deepEqual(calls, [
      ['/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs', 'OK'],
      ['/google.bytestream.ByteStream/Read', 'OK'],
    ]);
    const requests = lines.filter(({ message }) => message === 'request').map(({ method, status }) => [method, status]);
    assert.deepEqual(requests, [['PUT', 200]]);
  });
});
