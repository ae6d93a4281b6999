// Metrics of the real server: what is declared in the source, shown by a scrape after some load, and listed in
// docs/metrics.md is the same; and what is counted is what was done.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import grpc from '@grpc/grpc-js';
import { create, toBinary } from '@bufbuild/protobuf';
import type { TestContext } from 'node:test';
import {
  ActionCache,
  ContentAddressableStorage,
  RequestMetadataSchema,
} from '../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { makeServerCertificate } from '../src/testing/certificates.ts';
import { parseExposition, sampleValue } from '../src/testing/exposition-parser.ts';
import type { ParsedFamily } from '../src/testing/exposition-parser.ts';
import { GrpcJsClient } from '../src/testing/grpc-js-client.ts';
import { fetchHttp } from '../src/testing/http-client.ts';
import { runKiln, serveKiln, temporaryDirectory } from '../src/testing/kiln-process.ts';
import type { KilnProcess } from '../src/testing/kiln-process.ts';

const root = resolve(import.meta.dirname, '..');
const cas = ContentAddressableStorage.typeName;
const page = 'docs/metrics.md';
/** What only Linux tells of a process. */
const linuxOnly = ['process_open_fds', 'process_max_fds'];

function digestOf(text: string): { hash: string; sizeBytes: bigint } {
  return { hash: createHash('sha256').update(text).digest('hex'), sizeBytes: BigInt(text.length) };
}

/** Headers as Bazel sends them with each call. */
function fromTool(toolName: string): { metadata: grpc.Metadata } {
  const metadata = new grpc.Metadata();
  const message = create(RequestMetadataSchema, { toolDetails: { toolName, toolVersion: '8.1.0' }, actionId: 'ab12', targetId: '//a:b' });
  metadata.set('build.bazel.remote.execution.v2.requestmetadata-bin', Buffer.from(toBinary(RequestMetadataSchema, message)));
  return { metadata };
}

/** Of a server that has all there is to count, and is scraped without TLS. */
async function configurationWithTls(t: TestContext): Promise<string> {
  const directory = await temporaryDirectory(t);
  const { server } = makeServerCertificate();
  await writeFile(join(directory, 'cert.pem'), server.certificate);
  await writeFile(join(directory, 'key.pem'), server.key, { mode: 0o600 });
  const file = join(directory, 'kiln.yaml');
  await writeFile(file, 'listen: [{address: "127.0.0.1:0", tls: false}]\ntls: {certificate: cert.pem, key: key.pem}\n');
  return file;
}

async function serve(t: TestContext, ...flags: string[]): Promise<KilnProcess> {
  return serveKiln(t, [...(flags[0] === '--config' ? [] : ['--listen', '127.0.0.1:0']), '--data', await temporaryDirectory(t), ...flags]);
}

async function scrape({ port }: KilnProcess): Promise<ReadonlyMap<string, ParsedFamily>> {
  return parseExposition((await fetchHttp(port, '/metrics')).text, 'prometheus');
}

/** Names in the source, but for tests. */
async function declaredNames(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const path of await readdir(join(root, 'src'), { recursive: true })) {
    if (!path.endsWith('.ts') || path.endsWith('.test.ts') || path.startsWith('testing/')) continue;
    const text = await readFile(join(root, 'src', path), 'utf8');
    for (const [, name = ''] of text.matchAll(/'(kiln_[a-z0-9_]+)'/g)) names.add(name);
    if (path === 'platform/process-metrics.ts') for (const [, name = ''] of text.matchAll(/'(process_[a-z0-9_]+)'/g)) names.add(name);
  }
  return names;
}

interface Row {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
}

async function documentedRows(): Promise<readonly Row[]> {
  const text = await readFile(join(root, page), 'utf8');
  return [...text.matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \| [^|]+ \| ([^|]*)\|/gm)].map(([, name = '', type = '', labels = '']) => ({
    name,
    type,
    labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).toSorted(),
  }));
}

/** Something of everything that a server does. */
async function useEverything(kiln: KilnProcess): Promise<void> {
  using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
  const blob = digestOf('hello');
  await client.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests: [blob] }, fromTool('bazel'));
  await client.unary(ContentAddressableStorage.method.batchUpdateBlobs, { requests: [{ digest: blob, data: Buffer.from('hello') }] });
  await client.unary(ContentAddressableStorage.method.batchReadBlobs, { digests: [blob] });
  await assert.rejects(client.unary(ActionCache.method.getActionResult, { actionDigest: blob }));
  await fetchHttp(kiln.port, `/cas/${blob.hash}`);
  await fetchHttp(kiln.port, `/nowhere`, { method: 'PATCH' });
}

describe('metrics of the server', () => {
  it('K11-10: every metric that is declared is shown after some load, and docs/metrics.md lists exactly these', async (t) => {
    const kiln = await serve(t, '--config', await configurationWithTls(t), '--traces-endpoint', 'http://127.0.0.1:9/v1/traces', '--traces-sample-ratio', '1');
    await useEverything(kiln);
    const families = await scrape(kiln);
    const declared = await declaredNames();
    const rows = await documentedRows();
    const absent = process.platform === 'linux' ? [] : linuxOnly;
    const missing = [...declared].filter((name) => !families.has(name) && !absent.includes(name));
    assert.deepEqual(missing, [], 'declared, and not in the scrape');
    assert.deepEqual([...families.keys()].filter((name) => !declared.has(name)), [], 'in the scrape, and not declared by a literal name');
    assert.deepEqual([...declared].filter((name) => !rows.some((row) => row.name === name)), [], `declared, and not in ${page}`);
    assert.deepEqual(rows.map(({ name }) => name).filter((name) => !declared.has(name)), [], `in ${page}, and not declared`);
    for (const { name, type, labels } of rows) {
      const family = families.get(name);
      if (family === undefined) continue;
      assert.equal(type, family.type, name);
      const used = new Set(family.samples.flatMap((sample) => [...sample.labels.keys()]).filter((label) => label !== 'le'));
      assert.deepEqual(labels, [...used].toSorted(), `labels of ${name}`);
    }
    assert.deepEqual(rows.map(({ name }) => name), rows.map(({ name }) => name).toSorted(), `${page} is in the order of names`);
  });

  it('counts exactly what was done, over gRPC and HTTP, by tool and instance', async (t) => {
    const kiln = await serve(t);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    const [present, absent] = [digestOf('present'), digestOf('absent')];
    await fetchHttp(kiln.port, `/cas/${present.hash}`, { method: 'PUT', body: 'present' });
    const rounds = 120;
    const finds = Array.from({ length: rounds }, (_, index) =>
      client.unary(ContentAddressableStorage.method.findMissingBlobs, { instanceName: 'team', blobDigests: [present, absent] }, index % 3 === 0 ? fromTool('Bazel') : {}),
    );
    const misses = Array.from({ length: rounds }, () => assert.rejects(client.unary(ActionCache.method.getActionResult, { actionDigest: absent }, fromTool('bazel'))));
    const reads = Array.from({ length: rounds }, (_, index) =>
      fetchHttp(kiln.port, `/other%20team/cas/${index % 2 === 0 ? present.hash : absent.hash}`, { headers: { 'user-agent': 'ccache/4.9' } }),
    );
    await Promise.all([...finds, ...misses, ...reads]);

    const families = await scrape(kiln);
    const value = (name: string, labels: Record<string, string>): number | undefined => sampleValue(families, name, labels);
    const find = { service: cas, method: 'FindMissingBlobs' };
    assert.equal(value('kiln_grpc_calls_total', { ...find, code: 'OK' }), rounds);
    assert.equal(value('kiln_grpc_call_duration_seconds_count', find), rounds);
    assert.equal(value('kiln_grpc_calls_in_flight', find), 0);
    assert.equal(value('kiln_grpc_calls_total', { service: ActionCache.typeName, method: 'GetActionResult', code: 'NOT_FOUND' }), rounds);
    const lookup = { instance: 'team', operation: 'find' };
    assert.equal(value('kiln_blob_lookups_total', { ...lookup, tool: 'bazel', result: 'hit' }), rounds / 3);
    assert.equal(value('kiln_blob_lookups_total', { ...lookup, tool: 'bazel', result: 'miss' }), rounds / 3);
    assert.equal(value('kiln_blob_lookups_total', { ...lookup, tool: 'unknown', result: 'hit' }), (2 * rounds) / 3);
    assert.equal(value('kiln_action_cache_lookups_total', { tool: 'bazel', instance: '', result: 'miss' }), rounds);
    for (const result of ['hit', 'miss']) {
      assert.equal(value('kiln_blob_lookups_total', { tool: 'ccache', instance: 'other team', operation: 'read', result }), rounds / 2, result);
    }
    const get = { route: 'cas', method: 'GET' };
    assert.equal(value('kiln_http_requests_total', { ...get, code: '200' }), rounds / 2);
    assert.equal(value('kiln_http_requests_total', { ...get, code: '404' }), rounds / 2);
    assert.equal(value('kiln_http_request_duration_seconds_count', get), rounds);
    assert.equal(value('kiln_http_received_bytes_total', { route: 'cas', method: 'PUT' }), 'present'.length);
    assert.equal(value('kiln_http_requests_in_flight', { route: 'metrics', method: 'GET' }), 1, 'the scrape itself');
    assert.equal(value('kiln_blob_puts_total', { outcome: 'ok' }), 1);
    assert.equal(value('kiln_store_blobs', {}), 1);
    assert.equal(value('kiln_connections_by_protocol', { protocol: 'http2' }), 1);
  });

  it('gives OpenMetrics to who asks for it, and headers alone for HEAD', async (t) => {
    const kiln = await serve(t);
    await useEverything(kiln);
    const open = await fetchHttp(kiln.port, '/metrics', { headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' } });
    assert.equal(open.headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    parseExposition(open.text, 'openmetrics');
    const plain = await fetchHttp(kiln.port, '/metrics');
    assert.equal(plain.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.ok(plain.body.byteLength < 256 * 1024, `${plain.body.byteLength} bytes`);
    const head = await fetchHttp(kiln.port, '/metrics', { method: 'HEAD' });
    assert.deepEqual([head.status, head.text], [200, '']);
    assert.equal((await fetchHttp(kiln.port, '/metrics', { method: 'POST' })).status, 405);
  });

  it('answers 404 with a text that says how to get them, when they are switched off', async (t) => {
    const kiln = await serve(t, '--metrics-enabled', 'false');
    const answer = await fetchHttp(kiln.port, '/metrics');
    assert.equal(answer.status, 404);
    assert.match(answer.text, /metrics\.enabled/);
  });

  it('shows metrics to callers with the right to read somewhere, and counts who is turned away', async (t) => {
    const tokens = join(await temporaryDirectory(t), 'tokens.yaml');
    const tokenFor = async (name: string, grant: string): Promise<string> => (await runKiln(['token', 'create', '--name', name, '--grant', grant, '--file', tokens])).out.trim();
    const [reader, writer] = [await tokenFor('reader', 'team/*=read'), await tokenFor('writer', '*=write')];
    const kiln = await serve(t, '--allow-anonymous', 'none', '--rights-tokens-file', tokens);
    const status = async (path: string, authorization?: string): Promise<number> =>
      (await fetchHttp(kiln.port, path, authorization === undefined ? {} : { headers: { authorization } })).status;
    assert.equal(await status('/metrics'), 401);
    assert.equal(await status('/metrics', 'Bearer nonsense'), 401);
    assert.equal(await status('/metrics', 'Bearer nonsense again'), 401);
    assert.equal(await status('/metrics', `Bearer ${writer}`), 403);
    assert.equal(await status('/metrics', `Bearer ${reader}`), 200);
    const { text } = await fetchHttp(kiln.port, '/metrics', { headers: { authorization: `Bearer ${reader}` } });
    const families = parseExposition(text, 'prometheus');
    const refusals = ['no_credentials', 'wrong_credentials', 'no_right'].map((reason) => sampleValue(families, 'kiln_auth_refusals_total', { reason }));
    assert.deepEqual(refusals, [1, 2, 1]);
    assert.ok(![reader, writer, 'nonsense'].some((secret) => text.includes(secret)), 'no secret is shown');
  });
});
