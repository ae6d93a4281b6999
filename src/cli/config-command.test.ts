// kiln config, as real processes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Capabilities } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { runKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';

const home = { HOME: '/home/ada' };

async function fileWith(t: TestContext, yaml: string): Promise<string> {
  const file = join(await temporaryDirectory(t), 'kiln.yaml');
  await writeFile(file, yaml);
  return file;
}

const everything = [
  'listen: ["[::1]:0", unix:run/kiln.sock]',
  'data: "a folder: with # signs"',
  'max-size: 2 GiB',
  'log: {level: debug}',
  'rights:',
  '  identities:',
  '    - name: ci',
  `      tokens: ["sha256:${'0'.repeat(64)}"]`,
  '      grants: [{instances: ["*", ""], rights: [read]}]',
  'traces: {endpoint: off, headers: {authorization: Bearer topsecret}}',
].join('\n');

describe('kiln config', () => {
  it('check says that a file is all right, and names what is not, with status 2', async (t) => {
    const file = await fileWith(t, everything);
    assert.deepEqual(await runKiln(['config', 'check', '--config', file], home), { status: 0, out: `${file} is all right\n`, errors: '' });
    assert.equal((await runKiln(['config', 'check'], home)).status, 0);
    await writeFile(file, 'max-sise: 1\nlog: {level: loud}\n');
    assert.deepEqual(await runKiln(['config', 'check'], { ...home, KILN_CONFIG: file }), {
      status: 2,
      out: '',
      errors: [
        `kiln: ${file}:1:1: unknown key "max-sise"`,
        '  did you mean max-size? example: max-size: 10GiB',
        `kiln: ${file}:2:14: log.level: "loud" is none of debug, info, warn, error`,
        '  example: level: debug',
        '',
      ].join('\n'),
    });
    await writeFile(file, Array.from({ length: 30 }, (_, index) => `key${index}: x\n`).join(''));
    const { errors } = await runKiln(['config', 'check', '--config', file], home);
    assert.equal(errors.match(/^kiln: /gm)?.length, 21);
    assert.match(errors, /^kiln: 10 more mistakes are not shown\n {2}set these right first\n$/m);
  });

  it('print shows where values come from, and what it prints is a configuration that means the same', async (t) => {
    const file = await fileWith(t, everything);
    const args = ['--config', file, '--log-level', 'warn'];
    const printed = await runKiln(['config', 'print', ...args], { ...home, KILN_DRAIN_TIMEOUT: '40s' });
    assert.equal(printed.status, 0);
    const has = (line: RegExp) => assert.match(printed.out, line);
    has(/^listen: +# \/.*kiln\.yaml:1\n {2}- "\[::1\]:0"\n {2}- unix:\/.*\/run\/kiln\.sock\n/m);
    has(/^max-size: "2 GiB" +# \/.*kiln\.yaml:3$/m);
    has(/^ {2}level: warn +# --log-level$/m);
    has(/^ {2}timeout: 40s +# KILN_DRAIN_TIMEOUT$/m);
    has(/^ {2}summary-interval: 60s +# default$/m);
    has(/^ {2}# headers: hidden, from \/.*kiln\.yaml:10$/m);
    assert.ok(!printed.out.includes('topsecret'));
    const again = await fileWith(t, printed.out);
    assert.equal((await runKiln(['config', 'check', '--config', again], home)).status, 0);
    const values = (text: string) => text.split('\n').slice(1).map((line) => line.replace(/ # .*$/, '').trimEnd()).filter((line) => !line.includes('headers'));
    assert.deepEqual(values((await runKiln(['config', 'print', '--config', again], home)).out), values(printed.out));
  });

  it('schema prints what docs/ has', async () => {
    const { status, out } = await runKiln(['config', 'schema']);
    assert.equal(status, 0);
    assert.equal(out, await readFile(new URL('../../docs/configuration.schema.json', import.meta.url), 'utf8'));
  });

  const misuses: readonly [string, readonly string[], string][] = [
    ['nothing to do', ['config'], 'kiln: kiln config needs to know what to do\n  one of: kiln config check, kiln config print, kiln config schema\n'],
    ['an unknown command', ['config', 'validate'], 'kiln: unknown command "config validate"\n  "kiln help config" lists the commands\n'],
    ['a misspelt command', ['config', 'chekc'], 'kiln: unknown command "config chekc"\n  did you mean kiln config check? "kiln help config" lists the commands\n'],
    ['a file without its flag', ['config', 'check', 'kiln.yaml'], 'kiln: unexpected argument "kiln.yaml"\n  did you mean --config kiln.yaml?\n'],
    ['an argument of schema', ['config', 'schema', 'x'], 'kiln: unexpected argument "x"\n  "kiln config schema" takes none\n'],
  ];
  for (const [name, args, errors] of misuses) {
    it(`answers ${name} with status 2`, async () => {
      assert.deepEqual(await runKiln(args, home), { status: 2, out: '', errors });
    });
  }

  it('has help within 100 columns, as every command', async () => {
    for (const args of [['help'], ['help', 'serve'], ['help', 'config'], ['help', 'token']]) {
      const { status, out } = await runKiln(args);
      assert.equal(status, 0, args.join(' '));
      for (const line of out.split('\n')) assert.ok(line.length <= 100, line);
    }
    const help = await runKiln(['help', 'config']);
    for (const args of [['config', '--help'], ['config', 'check', '--help'], ['help', 'config', 'check']]) assert.deepEqual(await runKiln(args), help);
    assert.equal((await runKiln(['help', 'config', 'chekc'])).errors, 'kiln: unexpected argument "chekc"\n  "kiln help" takes one command\n');
  });
});

describe('kiln serve --config', () => {
  it('serves what the file says, with paths relative to it', async (t) => {
    const file = await fileWith(t, 'listen: [127.0.0.1:0]\ndata: data\nallow-anonymous: read\n');
    const kiln = await serveKiln(t, ['--config', file]);
    const put = await fetchHttp(kiln.port, `/cas/${'0'.repeat(64)}`, { method: 'PUT', body: 'x' });
    assert.ok([401, 403].includes(put.status), String(put.status));
    kiln.kill('SIGTERM');
    assert.match((await kiln.ended).out, new RegExp(`keeps +${join(file, '..', 'data')}:`));
  });

  it('keeps to the limits of the file', async (t) => {
    const file = await fileWith(t, 'listen: [127.0.0.1:0]\ndata: data\nlimits: {blob-size: 1MiB, batch-size: 1MiB}\n');
    const kiln = await serveKiln(t, ['--config', file]);
    const put = async (path: string, bytes: number) => (await fetchHttp(kiln.port, path, { method: 'PUT', body: new Uint8Array(bytes) })).status;
    const zeros = (bytes: number) => createHash('sha256').update(new Uint8Array(bytes)).digest('hex');
    assert.deepEqual([await put(`/cas/${zeros(2 ** 20)}`, 2 ** 20), await put(`/cas/${zeros(2 ** 20 + 1)}`, 2 ** 20 + 1)], [200, 413]);
    using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    const { message } = await client.unary(Capabilities.method.getCapabilities, {});
    assert.equal(message.cacheCapabilities?.maxBatchTotalSizeBytes, 2n ** 20n);
  });

  it('reads a pipe, which a secret may come through', async (t) => {
    const launcher = new URL('../../bin/kiln', import.meta.url).pathname;
    const script = `printf 'log: {level: debug}\\n' | "$0" config print --config /dev/stdin`;
    const { stdout } = await promisify(execFile)('sh', ['-c', script, launcher], { env: { ...process.env, ...home } });
    assert.match(stdout, /^ {2}level: debug +# \/dev\/stdin:1$/m);
    t.diagnostic('an ended pipe is refused, so that a reload of it changes nothing');
    await assert.rejects(promisify(execFile)('sh', ['-c', `true | "$0" config check --config /dev/stdin`, launcher], { env: { ...process.env, ...home } }), /is a pipe, and nothing comes out of it/);
  });
});
