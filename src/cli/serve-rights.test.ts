// A real server with tokens and users: who may call what, in which instance, over gRPC and over HTTP.
import type { DescMethodUnary, MessageInitShape, DescMessage } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import { hashSync } from 'bcryptjs';
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { ActionCache, Capabilities, ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { Health } from '../proto/gen/grpc/health/v1/health_pb.ts';
import { ServerReflection as ReflectionV1 } from '../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ReflectionV1Alpha } from '../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { systemRandom } from '../platform/random.ts';
import type { GrantDefinition } from '../rights/identity.ts';
import { createToken, hashOfToken } from '../rights/token.ts';
import { tokenEntry } from '../rights/token-entry.ts';
import { GrpcJsClient, statusOf } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';

const instances = ['', 'main', 'team', 'team/a', 'team/a/b'] as const;
type Instance = (typeof instances)[number];
/** What somebody may do in an instance: nothing, `r`ead, `w`rite, both. */
type Allowed = '' | 'r' | 'w' | 'rw';

interface Somebody {
  readonly name: string;
  readonly authorization: string | undefined;
  /** `wrong` credentials get the same answer everywhere. */
  readonly may: Readonly<Record<Instance, Allowed>> | 'wrong';
}

const everywhere = (allowed: Allowed): Readonly<Record<Instance, Allowed>> => ({ '': allowed, main: allowed, team: allowed, 'team/a': allowed, 'team/a/b': allowed });
const basic = (user: string, password: string, encoding: BufferEncoding = 'base64'): string => `Basic ${Buffer.from(`${user}:${password}`).toString(encoding)}`;

const grants: Readonly<Record<string, readonly GrantDefinition[]>> = {
  reader: [{ instances: ['*'], rights: ['read'] }],
  writer: [{ instances: ['*'], rights: ['write'] }],
  both: [{ instances: ['*'], rights: ['read', 'write'] }],
  team: [{ instances: ['team/*'], rights: ['read', 'write'] }],
  'team-itself': [{ instances: ['team'], rights: ['read', 'write'] }, { instances: ['team/*'], rights: ['read'] }],
  unnamed: [{ instances: [''], rights: ['read', 'write'] }],
  mixed: [{ instances: ['main'], rights: ['read'] }, { instances: ['team/a'], rights: ['write'] }],
  admin: [{ instances: ['*'], rights: ['admin'] }],
};

/** Starts a server that knows one token for each of `grants`, and the user ann. */
async function open(t: TestContext, allowAnonymous?: 'read' | 'write') {
  const directory = await temporaryDirectory(t);
  const [tokensFile, htpasswdFile] = [join(directory, 'tokens.yaml'), join(directory, 'htpasswd')];
  const tokens = Object.fromEntries(Object.keys(grants).map((name) => [name, createToken(systemRandom)]));
  const entries = Object.entries(grants).map(([name, granted]) => tokenEntry({ name, tokens: [hashOfToken(tokens[name] ?? '')], grants: granted }));
  await writeFile(tokensFile, [...entries, tokenEntry({ name: 'ann', tokens: [], grants: grants['both'] ?? [] })].join(''));
  // Cost 4 is the least that bcrypt has; what a higher one does is tested with the check itself.
  await writeFile(htpasswdFile, `ann:${hashSync("ann's secret", 4)}\n`);
  const anonymous = allowAnonymous === undefined ? [] : ['--allow-anonymous', allowAnonymous];
  const files = ['--rights-tokens-file', tokensFile, '--rights-htpasswd-file', htpasswdFile];
  const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(directory, 'data'), ...files, ...anonymous]);
  return { kiln, tokens, people: peopleWith(tokens, allowAnonymous) };
}

function peopleWith(tokens: Readonly<Record<string, string>>, allowAnonymous: 'read' | 'write' | undefined): readonly Somebody[] {
  const bearer = (name: string): string => `Bearer ${tokens[name]}`;
  const anonymousMay = allowAnonymous === undefined ? '' : allowAnonymous === 'read' ? 'r' : 'rw';
  return [
    { name: 'nobody', authorization: undefined, may: everywhere(anonymousMay) },
    { name: 'reader', authorization: bearer('reader'), may: everywhere('r') },
    { name: 'writer', authorization: bearer('writer'), may: everywhere('w') },
    { name: 'both', authorization: bearer('both'), may: everywhere('rw') },
    { name: 'team', authorization: bearer('team'), may: { ...everywhere(''), 'team/a': 'rw', 'team/a/b': 'rw' } },
    { name: 'team-itself', authorization: bearer('team-itself'), may: { ...everywhere(''), team: 'rw', 'team/a': 'r', 'team/a/b': 'r' } },
    { name: 'unnamed', authorization: bearer('unnamed'), may: { ...everywhere(''), '': 'rw' } },
    { name: 'mixed', authorization: bearer('mixed'), may: { ...everywhere(''), main: 'r', 'team/a': 'w' } },
    { name: 'admin', authorization: bearer('admin'), may: everywhere('') },
    { name: 'ann, by her password', authorization: basic('ann', "ann's secret"), may: everywhere('rw') },
    { name: 'reader, whose tool can only send Basic', authorization: basic('whoever', tokens['reader'] ?? '', 'base64url'), may: everywhere('r') },
    { name: 'an unknown token', authorization: `Bearer kiln_${'A'.repeat(43)}`, may: 'wrong' },
    { name: 'a wrong password', authorization: basic('ann', 'guess'), may: 'wrong' },
    { name: 'an unknown user', authorization: basic('eve', "ann's secret"), may: 'wrong' },
    { name: 'an unknown scheme', authorization: 'Digest username="ann"', may: 'wrong' },
  ];
}

const bytes = Buffer.from('what the table stores');
const digest = Digest.of(bytes);
const wire = { hash: digest.hash, sizeBytes: BigInt(bytes.byteLength) };
const prefixed = (instance: string, rest: string): string => (instance === '' ? rest : `${instance}/${rest}`);

/** Gives the status number of one call. */
type GrpcCall = (client: GrpcJsClient, metadata: grpc.Metadata, instanceName: string) => Promise<number>;

function unary<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, request: (instanceName: string) => MessageInitShape<I>): GrpcCall {
  return (client, metadata, instanceName) =>
    client.unary(method, request(instanceName), { metadata }).then(
      ({ status }) => status.code,
      (error: grpc.ServiceError) => error.code,
    );
}

/** Every method there is, with the right it asks for. */
const grpcCalls: readonly (readonly [name: string, right: 'r' | 'w', call: GrpcCall])[] = [
  ['GetCapabilities', 'r', unary(Capabilities.method.getCapabilities, (instanceName) => ({ instanceName }))],
  ['FindMissingBlobs', 'r', unary(ContentAddressableStorage.method.findMissingBlobs, (instanceName) => ({ instanceName, blobDigests: [wire] }))],
  ['BatchReadBlobs', 'r', unary(ContentAddressableStorage.method.batchReadBlobs, (instanceName) => ({ instanceName, digests: [wire] }))],
  ['BatchUpdateBlobs', 'w', unary(ContentAddressableStorage.method.batchUpdateBlobs, (instanceName) => ({ instanceName, requests: [{ digest: wire, data: bytes }] }))],
  ['GetTree', 'r', (client, metadata, instanceName) => code(client.serverStream(ContentAddressableStorage.method.getTree, { instanceName, rootDigest: wire }, { metadata }))],
  ['GetActionResult', 'r', unary(ActionCache.method.getActionResult, (instanceName) => ({ instanceName, actionDigest: wire }))],
  ['UpdateActionResult', 'w', unary(ActionCache.method.updateActionResult, (instanceName) => ({ instanceName, actionDigest: wire, actionResult: {} }))],
  ['ByteStream.Read', 'r', (client, metadata, instance) => code(client.serverStream(ByteStream.method.read, { resourceName: prefixed(instance, `blobs/${wire.hash}/${wire.sizeBytes}`) }, { metadata }))],
  ['ByteStream.Write', 'w', upload],
  ['ByteStream.QueryWriteStatus', 'w', unary(ByteStream.method.queryWriteStatus, (instance) => ({ resourceName: uploadName(instance) }))],
];

async function code(call: Parameters<typeof statusOf>[0]): Promise<number> {
  call.resume();
  return (await statusOf(call)).code;
}

function uploadName(instance: string): string {
  return prefixed(instance, `uploads/00000000-0000-4000-8000-000000000000/blobs/${wire.hash}/${wire.sizeBytes}`);
}

async function upload(client: GrpcJsClient, metadata: grpc.Metadata, instance: string): Promise<number> {
  const { call, outcome } = client.clientStream(ByteStream.method.write, { metadata });
  call.on('error', () => {});
  call.write({ resourceName: uploadName(instance), data: bytes, finishWrite: true });
  call.end();
  return outcome.then(
    ({ status }) => status.code,
    (error: grpc.ServiceError) => error.code,
  );
}

function metadataOf({ authorization }: Somebody): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  return metadata;
}

function headersOf({ authorization }: Somebody): Record<string, string> {
  return authorization === undefined ? {} : { authorization };
}

/** Of what the rights decide: `served` stands for whatever the store makes of it. */
function expected({ may, authorization }: Somebody, instance: Instance, right: 'r' | 'w'): 'served' | 'unauthenticated' | 'denied' {
  if (may === 'wrong') return 'unauthenticated';
  if (may[instance].includes(right)) return 'served';
  return authorization === undefined ? 'unauthenticated' : 'denied';
}

const grpcOutcome = (status: number): string => (status === 16 ? 'unauthenticated' : status === 7 ? 'denied' : 'served');
const httpOutcome = (status: number): string => (status === 401 ? 'unauthenticated' : status === 403 ? 'denied' : 'served');

async function overGrpc(client: GrpcJsClient, somebody: Somebody, instance: Instance): Promise<void> {
  for (const [name, right, call] of grpcCalls) {
    const status = await call(client, metadataOf(somebody), instance);
    assert.equal(grpcOutcome(status), expected(somebody, instance, right), `${somebody.name}: ${name} in "${instance}" got ${status}`);
  }
}

const httpCalls = [['PUT', 'cas'], ['GET', 'cas'], ['HEAD', 'cas'], ['PUT', 'ac'], ['GET', 'ac'], ['HEAD', 'ac']] as const;

async function overHttp(port: number, somebody: Somebody, instance: Instance): Promise<void> {
  for (const [method, kind] of httpCalls) {
    const body = method === 'PUT' ? { body: bytes } : {};
    const { status, headers } = await fetchHttp(port, `/${prefixed(instance, kind)}/${digest.hash}`, { method, headers: headersOf(somebody), ...body });
    assert.equal(httpOutcome(status), expected(somebody, instance, method === 'PUT' ? 'w' : 'r'), `${somebody.name}: ${method} ${kind} in "${instance}" got ${status}`);
    assert.equal(headers['www-authenticate'] !== undefined, status === 401);
  }
}

for (const allowAnonymous of [undefined, 'read', 'write'] as const) {
  describe(`identity x method x instance, with ${allowAnonymous ?? 'nothing'} for everyone`, () => {
    it('ERR-5, ERR-10, CT-4, CT-9: over gRPC and HTTP', async (t) => {
      const { kiln, people } = await open(t, allowAnonymous);
      using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
      for (const somebody of people) {
        await Promise.all(instances.map((instance) => overGrpc(client, somebody, instance)));
        await Promise.all(instances.map((instance) => overHttp(kiln.port, somebody, instance)));
      }
    });
  });
}

describe('what belongs to no instance', () => {
  it('RF-1, HC-4: reflection and /metrics are for who may read somewhere, health and the greeting for everyone', async (t) => {
    const { kiln, people } = await open(t);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    for (const somebody of people) {
      const metadata = metadataOf(somebody);
      const reads = somebody.may !== 'wrong' && Object.values(somebody.may).some((allowed) => allowed.includes('r'));
      const wanted = reads ? 'served' : expected(somebody, '', 'r');
      for (const { method } of [ReflectionV1, ReflectionV1Alpha as unknown as typeof ReflectionV1]) {
        const call = client.bidiStream(method.serverReflectionInfo, { metadata });
        call.write({ messageRequest: { case: 'listServices', value: '' } });
        call.end();
        assert.equal(grpcOutcome(await code(call)), wanted, somebody.name);
      }
      assert.equal(await unary(Health.method.check, () => ({}))(client, metadata, ''), 0, somebody.name);
      const headers = headersOf(somebody);
      assert.equal(httpOutcome((await fetchHttp(kiln.port, '/metrics', { headers })).status), wanted, somebody.name);
      for (const path of ['/', '/status', '/healthz']) assert.equal((await fetchHttp(kiln.port, path, { headers })).status, 200, somebody.name);
    }
  });

  it('CAP-8, CAP-13: capabilities tell each caller whether it may upload', async (t) => {
    const { kiln, people } = await open(t, 'read');
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    for (const somebody of people) {
      if (somebody.may === 'wrong') continue;
      for (const instanceName of instances.filter((instance) => somebody.may !== 'wrong' && somebody.may[instance].includes('r'))) {
        const { message } = await client.unary(Capabilities.method.getCapabilities, { instanceName }, { metadata: metadataOf(somebody) });
        assert.equal(message.cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled, somebody.may[instanceName].includes('w'), `${somebody.name} in "${instanceName}"`);
      }
    }
  });
});
