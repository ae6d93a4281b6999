// A real server and the files its credentials are in: read at the start and again on SIGHUP, refused with the place of
// a mistake, and never repeated in anything the server says.
import grpc from '@grpc/grpc-js';
import { hashSync } from 'bcryptjs';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Digest } from '../digest/digest.ts';
import { Capabilities } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp, sendRaw } from '../testing/http-client.ts';
import { runKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

const emptyBlob = `/cas/${Digest.of(new Uint8Array(0)).hash}`;
const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

interface Files {
  readonly directory: string;
  readonly tokens: string;
  readonly htpasswd: string;
}

async function files(t: TestContext): Promise<Files> {
  const directory = await temporaryDirectory(t);
  return { directory, tokens: join(directory, 'tokens.yaml'), htpasswd: join(directory, 'htpasswd') };
}

async function createToken({ tokens }: Files, ...args: readonly string[]): Promise<string> {
  const { status, out, errors } = await runKiln(['token', 'create', '--file', tokens, ...args]);
  assert.equal(status, 0, errors);
  assert.match(out, /^kiln_[\w-]{43}\n$/);
  assert.ok(!errors.includes(out.trim()));
  return out.trim();
}

function serve(t: TestContext, { directory, tokens, htpasswd }: Files, ...args: readonly string[]): Promise<KilnProcess> {
  return serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--rights-tokens-file', tokens, '--rights-htpasswd-file', htpasswd, ...args]);
}

const statusFor = async ({ port }: KilnProcess, authorization: string): Promise<number> => (await fetchHttp(port, emptyBlob, { headers: { authorization } })).status;

async function codeFor(client: GrpcJsClient, authorization: string): Promise<number> {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', authorization);
  return client.unary(Capabilities.method.getCapabilities, {}, { metadata }).then(
    ({ status }) => status.code,
    (error: grpc.ServiceError) => error.code,
  );
}

/** Resolves when `condition` holds; the test's own limit of time ends the wait. */
async function until(condition: () => MaybeAsync): Promise<void> {
  while (!(await condition())) await nextTurn();
}
type MaybeAsync = boolean | Promise<boolean>;

describe('kiln token create', () => {
  it('makes a file that only its owner may read, and a token that a server takes', async (t) => {
    const made = await files(t);
    const [first, second] = [await createToken(made, '--name', 'ci', '--grant', 'team/*=read'), await createToken(made, '--name', 'ops')];
    assert.equal((await stat(made.tokens)).mode & 0o777, 0o600);
    await writeFile(made.htpasswd, '');
    const kiln = await serve(t, made);
    const hash = Digest.of(new Uint8Array(0)).hash;
    const status = async (token: string, path: string) => (await fetchHttp(kiln.port, path, { headers: { authorization: `Bearer ${token}` } })).status;
    assert.deepEqual([await status(first, `/team/x/cas/${hash}`), await status(first, `/cas/${hash}`)], [200, 403]);
    assert.deepEqual([await status(second, `/team/x/cas/${hash}`), await status(second, `/cas/${hash}`)], [200, 200]);
    assert.match(kiln.out(), /allows {6}callers with credentials only/);
    assert.match(kiln.out(), /authorization=Bearer TOKEN.*authorization=Basic BASE64/s);
  });

  it('adds no token to the file that nobody has seen', async (t) => {
    const made = await files(t);
    const { tokens } = made;
    const launcher = fileURLToPath(new URL('../../bin/kiln', import.meta.url));
    await createToken(made, '--name', 'there');
    const before = await readFile(tokens, 'utf8');
    const { status, stderr } = spawnSync('sh', ['-c', '"$0" token create --name lost --file "$1" > /dev/full', launcher, tokens]);
    assert.match(String(stderr), /^kiln: cannot write to standard output \(ENOSPC\)\n/);
    assert.equal(status, 1);
    assert.equal(await readFile(tokens, 'utf8'), before);
    await createToken(made, '--name', 'next'); // and the file is not taken for one that is being changed
  });

  const misuses: readonly [string, readonly string[], RegExp][] = [
    ['no action', [], /^kiln: kiln token needs an action\n {2}there is one: kiln token create\n$/],
    ['an unknown option', ['create', '--gant', 'x=read'], /^kiln: unknown option --gant\n {2}did you mean --grant\?\n$/],
    ['a grant without rights', ['create', '--grant', 'main'], /"main" has no "=" between instances and rights\n {2}example: --grant '\*=read,write'\n$/],
    ['a right that does not exist', ['create', '--grant', '*=raed'], /"raed" is not one of read, write, overwrite, execute, admin\n {2}did you mean read\?/],
    ['a right to overwrite alone', ['create', '--grant', '*=read,overwrite'], /^kiln: --grant: overwrite without write allows nothing\n {2}none includes the other; example: --grant '\*=read,write,overwrite'\n$/],
    ['a pattern that is none', ['create', '--grant', 'te*m=read'], /"te\*m" is no pattern for instances/],
    ['a name with a colon, which HTTP Basic does not know', ['create', '--name', 'a:b'], /"a:b" is not a name/],
    ['an option without its value', ['create', '--name'], /^kiln: --name needs a value\n {2}example: --name ci\n$/],
    ['an argument of another command', ['create', 'now'], /^kiln: unexpected argument "now"\n {2}"kiln help token" lists the options\n$/],
  ];
  for (const [name, args, expected] of misuses) {
    it(`refuses ${name}, and makes no token`, async () => {
      const { status, out, errors } = await runKiln(['token', ...args]);
      assert.deepEqual([status, out], [2, '']);
      assert.match(errors, expected);
    });
  }

  it('leaves a file alone that it cannot add to, and one that somebody else is changing', async (t) => {
    const made = await files(t);
    await writeFile(made.tokens, 'tokens: []\n');
    const misfit = await runKiln(['token', 'create', '--file', made.tokens]);
    assert.deepEqual([misfit.status, misfit.out], [1, '']);
    assert.match(misfit.errors, /tokens\.yaml:1: to this file no entry can be added/);
    await writeFile(made.tokens, '');
    await writeFile(`${made.tokens}.partial`, '');
    assert.match((await runKiln(['token', 'create', '--file', made.tokens])).errors, /is being changed by somebody else/);
  });
});

describe('the files of credentials', () => {
  it('stop a start with what is wrong in which line, and without the secret', async (t) => {
    const made = await files(t);
    await writeFile(made.htpasswd, 'ann:hunter2\n');
    await writeFile(made.tokens, '- name: ci\n  tokens: [kiln_hunter2]\n');
    const start = (...args: readonly string[]) => runKiln(['serve', '--listen', '127.0.0.1:0', '--data', join(made.directory, 'data'), ...args]);
    for (const [args, expected] of [
      [['--rights-htpasswd-file', made.htpasswd], /htpasswd:1: the password of "ann" is no hash.*\n {2}.*htpasswd -B/],
      [['--rights-tokens-file', made.tokens], /tokens\.yaml:2:\d+: /],
      [['--rights-htpasswd-file', join(made.directory, 'none')], /there is no file .*none/],
    ] as const) {
      const { status, errors } = await start(...args);
      assert.equal(status, 2);
      assert.match(errors, expected);
      assert.doesNotMatch(errors, /hunter2/);
    }
  });

  it('are read again on SIGHUP: what is revoked is refused on connections that are open, what is new is served', async (t) => {
    const made = await files(t);
    await writeFile(made.htpasswd, `ann:${hashSync('first', 4)}\n`);
    await createToken(made, '--name', 'ann');
    const old = await createToken(made, '--name', 'ci');
    const kiln = await serve(t, made);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    assert.deepEqual([await codeFor(client, `Bearer ${old}`), await codeFor(client, basic('ann', 'first'))], [0, 0]);
    await writeFile(made.tokens, '');
    await createToken(made, '--name', 'ann');
    const fresh = await createToken(made, '--name', 'ci');
    await writeFile(made.htpasswd, `ann:${hashSync('second', 4)}\n`);
    kiln.kill('SIGHUP');
    await until(async () => (await codeFor(client, `Bearer ${old}`)) === 16);
    assert.deepEqual([await codeFor(client, `Bearer ${fresh}`), await codeFor(client, basic('ann', 'first')), await codeFor(client, basic('ann', 'second'))], [0, 16, 0]);
    assert.equal(await statusFor(kiln, `Bearer ${old}`), 401);
  });

  it('give no rights to a user whose identity is removed, were it the last one', async (t) => {
    const made = await files(t);
    await writeFile(made.htpasswd, `ann:${hashSync('right', 4)}\n`);
    await createToken(made, '--name', 'ann', '--grant', '*=read');
    const kiln = await serve(t, made);
    assert.equal(await statusFor(kiln, basic('ann', 'right')), 200);
    await writeFile(made.tokens, '');
    kiln.kill('SIGHUP');
    await until(async () => (await statusFor(kiln, basic('ann', 'right'))) === 403);
    const put = await fetchHttp(kiln.port, emptyBlob, { method: 'PUT', headers: { authorization: basic('ann', 'right') } });
    assert.equal(put.status, 403);
    const next = await serve(t, { ...made, directory: join(made.directory, 'next') });
    assert.equal(await statusFor(next, basic('ann', 'right')), 403, 'after a restart as well');
  });

  it('change nothing when they have become wrong, and let nobody in when they have become empty', async (t) => {
    const made = await files(t);
    await writeFile(made.htpasswd, '');
    const token = await createToken(made);
    const kiln = await serve(t, made);
    await writeFile(made.htpasswd, 'ann:hunter2\n');
    kiln.kill('SIGHUP');
    await until(() => kiln.errors().includes('htpasswd:1:'));
    assert.equal(await statusFor(kiln, `Bearer ${token}`), 200);
    await writeFile(made.htpasswd, '');
    await writeFile(made.tokens, '');
    kiln.kill('SIGHUP');
    await until(async () => (await statusFor(kiln, `Bearer ${token}`)) === 401);
    assert.equal((await fetchHttp(kiln.port, emptyBlob)).status, 401);
  });
});

describe('credentials on their way', () => {
  it('CT-5: a PUT without them is refused before its body is asked for', async (t) => {
    const made = await files(t);
    await writeFile(made.htpasswd, '');
    await createToken(made);
    const kiln = await serve(t, made);
    const head = `PUT ${emptyBlob} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000000\r\nexpect: 100-continue\r\n`;
    for (const [line, status] of [['', 401], ['authorization: Bearer nonsense\r\n', 401]] as const) {
      const answer = await sendRaw(kiln.port, `${head}${line}\r\n`, { keepOpen: true });
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(answer, /\r\nwww-authenticate: Basic realm="kiln", charset="UTF-8", Bearer realm="kiln"\r\n/i);
    }
  });

  it('a slow password is checked while others are served', async (t) => {
    const made = await files(t);
    await writeFile(made.htpasswd, `ann:${hashSync('slow', 12)}\n`);
    await createToken(made, '--name', 'ann');
    const kiln = await serve(t, made);
    let checked = false;
    const slow = statusFor(kiln, basic('ann', 'slow')).then((status) => ((checked = true), status));
    let servedMeanwhile = 0;
    while (!checked) {
      assert.equal((await fetchHttp(kiln.port, '/healthz')).status, 200);
      if (!checked) servedMeanwhile += 1;
    }
    assert.equal(await slow, 200);
    assert.ok(servedMeanwhile >= 3, `${servedMeanwhile} requests were served meanwhile`);
  });

  it('wrong passwords are slowed down with a time to come back; right ones that are known are not', async (t) => {
    const made = await files(t);
    await writeFile(made.htpasswd, `ann:${hashSync('right', 4)}\n`);
    await createToken(made, '--name', 'ann');
    const kiln = await serve(t, made);
    assert.equal(await statusFor(kiln, basic('ann', 'right')), 200);
    const attempts = await Promise.all(Array.from({ length: 20 }, (_, number) => fetchHttp(kiln.port, emptyBlob, { headers: { authorization: basic('ann', `guess ${number}`) } })));
    const refused = attempts.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 8, `${refused.length} of 20 were sent away`);
    for (const { headers } of refused) assert.match(headers['retry-after'] ?? '', /^[1-9]\d*$/);
    assert.ok(attempts.every(({ status }) => status === 401 || status === 429));
    assert.equal(await statusFor(kiln, basic('ann', 'right')), 200);
  });

  it('are in no log, no error, no metric and no list of processes, right or wrong', async (t) => {
    const made = await files(t);
    const token = await createToken(made, '--grant', 'main=read');
    await writeFile(made.htpasswd, `ann:${hashSync('pässword-of-ann', 4)}\n`);
    const kiln = await serve(t, made, '--log-level', 'debug');
    const secrets = [token, 'pässword-of-ann', 'wrong-password', 'kiln_wrong-token', 'wrong-scheme-secret', 'secret-in-url', 'user-that-is-a-secret'];
    const headers = [`Bearer ${token}`, basic('x', token), basic('ann', 'pässword-of-ann'), basic('ann', 'wrong-password'), basic('user-that-is-a-secret', ''), 'Bearer kiln_wrong-token', 'wrong-scheme-secret'];
    const said: string[] = [];
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    for (const authorization of headers) {
      for (const [method, path] of [['GET', emptyBlob], ['PUT', emptyBlob], ['GET', '/metrics'], ['GET', '/none'], ['POST', '/admin/cpu-profile']] as const) {
        const reply = await fetchHttp(kiln.port, path, { method, headers: { authorization } });
        said.push(reply.text, JSON.stringify(reply.headers));
      }
      const metadata = new grpc.Metadata();
      metadata.set('authorization', authorization);
      await client.unary(Capabilities.method.getCapabilities, { instanceName: 'main' }, { metadata }).catch((error: grpc.ServiceError) => said.push(error.details, JSON.stringify(error.metadata)));
    }
    said.push((await fetchHttp(kiln.port, '/metrics', { headers: { authorization: `Bearer ${token}` } })).text);
    kiln.kill('SIGTERM');
    const { out, errors } = await kiln.ended;
    const everything = [...said, out, errors].join('\n');
    assert.match(everything, /kiln_/, 'metrics and texts are there');
    for (const secret of secrets) {
      for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, ''), JSON.stringify(secret).slice(1, -1)]) assert.ok(!everything.includes(form), `${secret} was repeated as ${form}`);
    }
    for (const header of headers) assert.ok(!everything.includes(header));
  });
});
