// A real server whose callers may write, overwrite, or neither: what becomes of an entry that is there, over gRPC and HTTP.
import { create, toBinary, toJsonString } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { hashSync } from 'bcryptjs';
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Digest } from '../digest/digest.ts';
import { systemRandom } from '../platform/random.ts';
import { ActionCache, ActionResultSchema, Capabilities } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { GrantDefinition } from '../rights/identity.ts';
import { createToken, hashOfToken } from '../rights/token.ts';
import { tokenEntry } from '../rights/token-entry.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

const rw = ['read', 'write'] as const;
const grants: Readonly<Record<string, readonly GrantDefinition[]>> = {
  owner: [{ instances: ['*'], rights: ['read', 'write', 'overwrite'] }],
  writer: [{ instances: ['*'], rights: rw }],
  reader: [{ instances: ['*'], rights: ['read'] }],
  // The example of docs/security.md: the main branch, and pull requests beside it.
  main: [{ instances: ['main'], rights: ['read', 'write', 'overwrite'] }],
  pulls: [{ instances: ['main'], rights: ['read'] }, { instances: ['pulls/*'], rights: rw }],
  // Grants add up, also over patterns.
  split: [{ instances: ['*'], rights: rw }, { instances: ['pulls/*'], rights: ['overwrite'] }],
  admin: [{ instances: ['*'], rights: ['read', 'execute', 'admin'] }],
};

const instances = ['', 'main', 'pulls/7'] as const;
type Instance = (typeof instances)[number];
/** What becomes of an attempt to replace an entry. */
type Outcome = 'replaced' | 'kept' | 'denied' | 'unauthenticated';
type Level = 'none' | 'read' | 'write' | 'overwrite';

const everywhere = (outcome: Outcome): Readonly<Record<Instance, Outcome>> => ({ '': outcome, main: outcome, 'pulls/7': outcome });
const anonymousOutcomes: Readonly<Record<Level, Outcome>> = { none: 'unauthenticated', read: 'unauthenticated', write: 'kept', overwrite: 'replaced' };

interface Opened {
  readonly kiln: KilnProcess;
  readonly client: GrpcJsClient;
  readonly tokens: Readonly<Record<string, string>>;
}

async function open(t: TestContext, level?: Level, people: Readonly<Record<string, readonly GrantDefinition[]>> = grants): Promise<Opened> {
  const directory = await temporaryDirectory(t);
  const [tokensFile, htpasswdFile] = [join(directory, 'tokens.yaml'), join(directory, 'htpasswd')];
  const tokens = Object.fromEntries(Object.keys(people).map((name) => [name, createToken(systemRandom)]));
  const entries = Object.entries(people).map(([name, granted]) => tokenEntry({ name, tokens: [hashOfToken(tokens[name] ?? '')], grants: granted }));
  await writeFile(tokensFile, entries.join(''));
  await writeFile(htpasswdFile, `main:${hashSync('password', 4)}\n`); // a user with the name of an identity has its grants
  const anonymous = level === undefined ? [] : ['--allow-anonymous', level];
  const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--rights-tokens-file', tokensFile, '--rights-htpasswd-file', htpasswdFile, ...anonymous]);
  const client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
  t.after(() => client[Symbol.dispose]());
  return { kiln, client, tokens };
}

const keyOf = (name: string) => Digest.of(Buffer.from(name));
const resultOf = (target: string) => create(ActionResultSchema, { outputSymlinks: [{ path: 'out', target }] });

async function updateOverGrpc({ client }: Pick<Opened, 'client'>, authorization: string | undefined, key: { instance: string; name: string }, target: string): Promise<{ code: number; details: string }> {
  const metadata = new grpc.Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  const digest = keyOf(key.name);
  const actionDigest = { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) };
  return client.unary(ActionCache.method.updateActionResult, { instanceName: key.instance, actionDigest, actionResult: resultOf(target) }, { metadata }).then(
    ({ status }) => ({ code: status.code, details: '' }),
    (error: grpc.ServiceError) => ({ code: error.code, details: error.details }),
  );
}

const pathOf = (instance: string, name: string): string => `/${instance === '' ? '' : `${instance}/`}ac/${keyOf(name).hash}`;
const headersOf = (authorization: string | undefined): Record<string, string> => (authorization === undefined ? {} : { authorization });

function put({ kiln }: Pick<Opened, 'kiln'>, authorization: string | undefined, path: string, body: Uint8Array) {
  return fetchHttp(kiln.port, path, { method: 'PUT', headers: headersOf(authorization), body });
}

/** How each kind of entry looks. */
const forms = {
  binary: (text: string) => toBinary(ActionResultSchema, resultOf(text)),
  json: (text: string) => Buffer.from(toJsonString(ActionResultSchema, resultOf(text))),
  opaque: (text: string) => Buffer.from(`\xcc\xac ${text}`, 'latin1'),
} satisfies Readonly<Record<string, (text: string) => Uint8Array>>;

function grpcOutcome(code: number): Outcome {
  const outcome = ({ 0: 'replaced', 6: 'kept', 7: 'denied', 16: 'unauthenticated' } as const)[code];
  assert.ok(outcome, `status ${code}`);
  return outcome;
}

function httpOutcome(status: number): Outcome {
  const outcome = ({ 200: 'replaced', 409: 'kept', 403: 'denied', 401: 'unauthenticated' } as const)[status];
  assert.ok(outcome, `status ${status}`);
  return outcome;
}

for (const level of ['none', 'write', 'overwrite'] as const) {
  describe(`who may replace an entry, with ${level} for everyone`, () => {
    it('CT-9, AC-10, CVE-2025-36852: over gRPC and HTTP, in each form', async (t) => {
      const opened = await open(t, level);
      const { tokens, kiln } = opened;
      const bearer = (name: string): string => `Bearer ${tokens[name]}`;
      const people: readonly (readonly [string, string | undefined, Readonly<Record<Instance, Outcome>>])[] = [
        ['nobody', undefined, everywhere(anonymousOutcomes[level])],
        ['owner', bearer('owner'), everywhere('replaced')],
        ['writer', bearer('writer'), everywhere('kept')],
        ['reader', bearer('reader'), everywhere('denied')],
        ['main', bearer('main'), { ...everywhere('denied'), main: 'replaced' }],
        ['main, by password', `Basic ${Buffer.from('main:password').toString('base64')}`, { ...everywhere('denied'), main: 'replaced' }],
        ['pulls', bearer('pulls'), { ...everywhere('denied'), 'pulls/7': 'kept' }],
        ['split', bearer('split'), { ...everywhere('kept'), 'pulls/7': 'replaced' }],
        ['admin', bearer('admin'), everywhere('denied')],
      ];
      const read = async (path: string) => (await fetchHttp(kiln.port, path, { headers: headersOf(bearer('owner')) })).body;
      const attempt = async (who: string, authorization: string | undefined, instance: Instance, expected: Outcome): Promise<void> => {
        const path = pathOf(instance, `${who}, binary`);
        assert.equal((await put(opened, bearer('owner'), path, forms.binary('first'))).status, 200);
        const { code } = await updateOverGrpc(opened, authorization, { instance, name: `${who}, binary` }, 'second');
        assert.equal(grpcOutcome(code), expected, `${who} in "${instance}" over gRPC`);
        assert.deepEqual(await read(path), Buffer.from(forms.binary(expected === 'replaced' ? 'second' : 'first')), `${who} in "${instance}"`);
        for (const [form, bytesOf] of Object.entries(forms)) {
          const target = pathOf(instance, `${who} over HTTP, ${form}`);
          assert.equal((await put(opened, bearer('owner'), target, bytesOf('first'))).status, 200);
          const before = await read(target);
          assert.equal(httpOutcome((await put(opened, authorization, target, bytesOf('second'))).status), expected, `${who} in "${instance}": ${form}`);
          assert.equal((await read(target)).equals(before), expected !== 'replaced', `${who} in "${instance}": ${form}`);
        }
      };
      // What everyone may do changes nothing for those who show who they are.
      const shown = level === 'write' ? people : people.slice(0, 1);
      await Promise.all(shown.flatMap(([who, authorization, may]) => instances.map((instance) => attempt(who, authorization, instance, may[instance]))));
    });
  });
}

describe('a writer who may not overwrite', () => {
  it('CT-9: of a hundred that race over gRPC and HTTP, exactly one wins, and still has after a restart', async (t) => {
    const directory = await temporaryDirectory(t);
    const serve = () => serveKiln(t, ['--listen', '127.0.0.1:0', '--data', directory, '--allow-anonymous', 'write']);
    const kiln = await serve();
    const client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    t.after(() => client[Symbol.dispose]());
    const path = pathOf('main', 'raced');
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async (_, writer) => {
        const target = `writer ${writer}`;
        if (writer % 2 === 0) return { target, outcome: grpcOutcome((await updateOverGrpc({ client }, undefined, { instance: 'main', name: 'raced' }, target)).code) };
        return { target, outcome: httpOutcome((await put({ kiln }, undefined, path, forms[writer % 3 === 0 ? 'json' : 'binary'](target))).status) };
      }),
    );
    const winners = outcomes.filter(({ outcome }) => outcome === 'replaced');
    assert.equal(winners.length, 1);
    assert.ok(outcomes.every(({ outcome }) => outcome === 'replaced' || outcome === 'kept'));
    const seen = async (port: number, accept: string) => (await fetchHttp(port, path, { headers: { accept } })).text;
    for (const accept of ['*/*', 'application/json']) assert.ok((await seen(kiln.port, accept)).includes(winners[0]?.target ?? '?'));
    kiln.kill('SIGKILL');
    await kiln.ended;
    const again = await serve();
    for (const accept of ['*/*', 'application/json']) assert.ok((await seen(again.port, accept)).includes(winners[0]?.target ?? '?'));
    assert.equal((await put({ kiln: again }, undefined, path, forms.binary('after the restart'))).status, 409);
  });

  it('CT-9: is told over both protocols which right is missing, how it is got, and that the entry stays', async (t) => {
    const { kiln, client, tokens } = await open(t);
    const writer = `Bearer ${tokens['writer']}`;
    const key = { instance: 'main', name: 'told' };
    assert.equal((await updateOverGrpc({ client }, writer, key, 'first')).code, 0);
    const text = 'not stored: another entry is here under the same key, and the first one is kept; "writer" may not overwrite in instance "main", only read and write; whoever runs the server can grant it';
    assert.deepEqual(await updateOverGrpc({ client }, writer, key, 'second'), { code: 6, details: text });
    const reply = await put({ kiln }, writer, pathOf('main', 'told'), forms.binary('second'));
    assert.deepEqual([reply.status, reply.text, reply.headers['kiln-code']], [409, `${text}\n`, 'already_exists']);
    const metrics = (await fetchHttp(kiln.port, '/metrics', { headers: headersOf(writer) })).text;
    assert.match(metrics, /^kiln_entries_kept_total\{kind="action_result"\} 2$/m);
    assert.match(metrics, /^kiln_auth_refusals_total\{reason="no_right"\} 0$/m);
  });

  it('CAP-8, CAP-13: is told by the capabilities that it may upload', async (t) => {
    const { client, tokens } = await open(t);
    for (const [name, enabled] of [['owner', true], ['writer', true], ['reader', false]] as const) {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', `Bearer ${tokens[name]}`);
      const { message } = await client.unary(Capabilities.method.getCapabilities, { instanceName: 'main' }, { metadata });
      assert.equal(message.cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled, enabled, name);
    }
  });

  it('CT-9: is everyone from the moment of a reload on that says so', async (t) => {
    const directory = await temporaryDirectory(t);
    const file = join(directory, 'kiln.yaml');
    const configure = (level: Level) => writeFile(file, `listen: ["127.0.0.1:0"]\ndata: data\nallow-anonymous: ${level}\n`);
    await configure('overwrite');
    const kiln = await serveKiln(t, ['--config', file]);
    const path = pathOf('', 'reloaded');
    for (const text of ['first', 'second']) assert.equal((await put({ kiln }, undefined, path, forms.opaque(text))).status, 200);
    await configure('write');
    kiln.kill('SIGHUP');
    while (!kiln.errors().includes('configuration reloaded')) await setTimeout(5);
    const refused = await put({ kiln }, undefined, path, forms.opaque('third'));
    assert.deepEqual([refused.status, /--allow-anonymous overwrite/.test(refused.text)], [409, true]);
    assert.ok((await fetchHttp(kiln.port, path)).text.endsWith('second'));
  });
});

describe('whoever is on the machine itself', () => {
  it('CT-9: may overwrite as long as nothing is configured, and the start says so', async (t) => {
    const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', await temporaryDirectory(t)]);
    while (!kiln.out().includes('\nready ')) await setTimeout(5);
    assert.match(kiln.out(), / {2}allows {6}everyone who can connect to read, write and overwrite\n/);
    const path = pathOf('', 'mine');
    for (const text of ['first', 'second']) assert.equal((await put({ kiln }, undefined, path, forms.binary(text))).status, 200);
    assert.deepEqual((await fetchHttp(kiln.port, path)).body, Buffer.from(forms.binary('second')));
  });
});
