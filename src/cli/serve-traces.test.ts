// Traces of the real program at a collector of our own, and what they cost who does not want them.
import assert from 'node:assert/strict';
import grpc from '@grpc/grpc-js';
import { create, toBinary } from '@bufbuild/protobuf';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Digest } from '../digest/digest.ts';
import { ContentAddressableStorage, RequestMetadataSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import { OtlpCollector } from '../testing/otlp-collector.ts';
import type { ReceivedSpan } from '../testing/otlp-collector.ts';

const anyPort = ['--listen', '127.0.0.1:0'];
const content = Buffer.alloc(300_000, 'kiln');
const digest = Digest.of(content);
const callerTrace = '0af7651916cd43dd8448eb211c80319c';
const callerSpan = 'b7ad6b7169203331';
const traceparent = `00-${callerTrace}-${callerSpan}-01`;

function put(port: number, headers: Record<string, string> = {}): Promise<{ readonly status: number }> {
  return fetchHttp(port, `/cas/${digest.hash}`, { method: 'PUT', body: content, headers });
}

function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const span = spans.find((one) => one.name === name);
  assert.ok(span !== undefined, `no span ${name} among ${spans.map((one) => one.name).join(', ')}`);
  return span;
}

/** A module that writes down, when the process ends, which packages of OpenTelemetry it has loaded. */
async function spy(directory: string): Promise<{ readonly environment: Record<string, string>; readonly loaded: () => Promise<string> }> {
  const [module, report] = [join(directory, 'spy.mjs'), join(directory, 'loaded')];
  await writeFile(
    module,
    `import { writeFileSync } from 'node:fs';
     import { createRequire } from 'node:module';
     const { cache } = createRequire(import.meta.url);
     process.on('exit', () => writeFileSync(${JSON.stringify(report)}, Object.keys(cache).filter((path) => path.includes('@opentelemetry')).join('\\n')));`,
  );
  // The source itself is run, since a bundle has no modules by their names.
  return { environment: { NODE_OPTIONS: `--import=${pathToFileURL(module).href}`, NODE_DISABLE_COMPILE_CACHE: '1' }, loaded: () => readFile(report, 'utf8') };
}

describe('traces of kiln serve', () => {
  it('sends what a build does over gRPC, in the trace of its caller, down to the steps of the disk', async (t) => {
    await using collector = await OtlpCollector.open();
    const data = await temporaryDirectory(t);
    // Nothing is drawn at 0, so that whatever arrives was demanded by its caller.
    const kiln = await serveKiln(t, [...anyPort, '--data', data, '--traces-endpoint', collector.endpoint, '--traces-sample-ratio', '0']);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    const metadata = new grpc.Metadata();
    metadata.set('traceparent', traceparent);
    const build = create(RequestMetadataSchema, { toolDetails: { toolName: 'bazel', toolVersion: '8.1.0' }, toolInvocationId: 'i', targetId: '//x:y' });
    metadata.set('build.bazel.remote.execution.v2.requestmetadata-bin', Buffer.from(toBinary(RequestMetadataSchema, build)));
    const { call, outcome } = client.clientStream(ByteStream.method.write, { metadata });
    const resourceName = `uploads/9e8f0a30-0000-4000-8000-000000000000/blobs/${digest.hash}/${digest.sizeBytes}`;
    call.write({ resourceName, writeOffset: 0n, finishWrite: true, data: content });
    call.end();
    await outcome;
    const missing = { blobDigests: [{ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) }] };
    await client.unary(ContentAddressableStorage.method.findMissingBlobs, missing, { metadata });
    await client.unary(ContentAddressableStorage.method.findMissingBlobs, missing); // nobody demands it
    kiln.kill('SIGTERM');
    assert.equal((await kiln.ended).status, 143);

    const { spans } = collector;
    assert.equal(spans.length, 3);
    const write = named(spans, 'google.bytestream.ByteStream/Write');
    assert.deepEqual([write.traceId, write.parentSpanId, write.kind, write.statusCode], [callerTrace, callerSpan, 2, 0]);
    const { 'rpc.system': system, 'rpc.method': method, 'rpc.grpc.status_code': status, 'reapi.tool.name': tool, 'reapi.target.id': target } = write.attributes;
    assert.deepEqual([system, method, status, tool, target], ['grpc', 'Write', 0, 'bazel', '//x:y']);
    const stored = named(spans, 'blob.put');
    assert.deepEqual([stored.traceId, stored.parentSpanId, stored.kind], [callerTrace, write.spanId, 1]);
    assert.deepEqual(stored.attributes, { 'kiln.digest': `sha256/${digest.hash}`, 'kiln.bytes': content.byteLength });
    assert.deepEqual(stored.events.map(({ name }) => name).slice(0, 2), ['permit', 'room']);
    assert.ok(stored.events.some(({ name }) => name === 'sync'));
    const find = named(spans, 'build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs');
    assert.deepEqual(find.events.map(({ name, attributes }) => [name, attributes['kiln.missing.count']]), [['blob.find_missing', 0]]);
    assert.equal(find.resource['service.name'], 'kiln');
  });

  it('sends HTTP exchanges too, and takes name and attributes of the service from the environment', async (t) => {
    await using collector = await OtlpCollector.open();
    const environment = { KILN_TRACES_ENDPOINT: collector.endpoint, KILN_TRACES_SAMPLE_RATIO: '1', OTEL_SERVICE_NAME: 'cache-7', OTEL_RESOURCE_ATTRIBUTES: 'k8s.pod.name=p-1' };
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)], environment);
    assert.equal((await put(kiln.port, { traceparent })).status, 200);
    assert.equal((await fetchHttp(kiln.port, `/cas/${digest.hash}`)).status, 200);
    await collector.until(() => collector.spans.length >= 4); // without a stop: batches go by themselves
    const exchange = named(collector.spans, 'PUT /{instance}/cas/{hash}');
    assert.deepEqual([exchange.traceId, exchange.parentSpanId, exchange.attributes['http.response.status_code']], [callerTrace, callerSpan, 200]);
    assert.equal(named(collector.spans, 'blob.put').parentSpanId, exchange.spanId);
    const get = named(collector.spans, 'GET /{instance}/cas/{hash}');
    assert.notEqual(get.traceId, callerTrace);
    assert.equal(named(collector.spans, 'blob.get').parentSpanId, get.spanId);
    const { 'service.name': service, 'k8s.pod.name': pod } = get.resource;
    assert.deepEqual([service, pod], ['cache-7', 'p-1']);
  });

  it('serves every request while the collector is away, says so once, and stops in time', async (t) => {
    const gone = await OtlpCollector.open();
    const { endpoint } = gone;
    await gone[Symbol.asyncDispose]();
    const secret = 'hunter2';
    const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t)], {
      KILN_TRACES_ENDPOINT: endpoint,
      KILN_TRACES_SAMPLE_RATIO: '1',
      KILN_TRACES_HEADERS: `authorization=${secret}`,
    });
    for (let request = 0; request < 300; request += 1) assert.equal((await fetchHttp(kiln.port, '/status')).status, 200);
    assert.equal((await put(kiln.port)).status, 200);
    const startedMs = performance.now();
    kiln.kill('SIGTERM');
    const { status, errors } = await kiln.ended;
    assert.equal(status, 143);
    assert.ok(performance.now() - startedMs < 10_000);
    const told = errors.split('\n').filter((line) => line.includes('traces'));
    assert.ok(told.length >= 1 && told.length <= 2, errors);
    assert.match(errors, /traces c(?:annot|ould not) be sent|the last traces could not be sent in time/);
    assert.doesNotMatch(errors, new RegExp(secret));
  });

  it('loads nothing of OpenTelemetry unless traces are switched on', async (t) => {
    for (const [args, loads] of [[[], false], [['--traces-endpoint', 'http://127.0.0.1:1'], true]] as const) {
      const { environment, loaded } = await spy(await temporaryDirectory(t));
      const kiln = await serveKiln(t, [...anyPort, '--data', await temporaryDirectory(t), ...args], environment);
      assert.equal((await put(kiln.port)).status, 200);
      kiln.kill('SIGTERM');
      await kiln.ended;
      assert.equal((await loaded()) !== '', loads, args.join(' '));
    }
  });
});
