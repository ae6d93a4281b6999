// Commands that end by themselves, as real processes.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { runKiln } from '../testing/kiln-process.ts';

const packageFile = new URL('../../package.json', import.meta.url);

describe('kiln', () => {
  it('prints its version', async () => {
    const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };
    for (const args of [['version'], ['--version']]) {
      assert.deepEqual(await runKiln(args), { status: 0, out: `kiln ${version}\n`, errors: '' });
    }
  });

  it('prints help about itself and about a command', async () => {
    const general = await runKiln(['help']);
    assert.equal(general.status, 0);
    for (const command of ['serve', 'version', 'help']) assert.match(general.out, new RegExp(`^ {2}kiln ${command} `, 'm'));
    assert.deepEqual(await runKiln(['--help']), general);
    const serve = await runKiln(['help', 'serve']);
    assert.equal(serve.status, 0);
    for (const flag of ['--config', '--listen', '--data', '--max-size', '--allow-anonymous', '--ready-file', '--log-level']) {
      assert.match(serve.out, new RegExp(`^ {2}${flag} `, 'm'));
    }
    assert.deepEqual(await runKiln(['serve', '--help']), serve);
    assert.match((await runKiln(['help', 'config'])).out, /Otherwise it\n {6}names every mistake/, 'lines are broken once');
  });

  const misuses: readonly [string, readonly string[], Record<string, string>, RegExp][] = [
    ['no command', [], {}, /^Kiln: /],
    ['an unknown command', ['server'], {}, /^kiln: unknown command "server"\n {2}did you mean kiln serve\? .*\n$/],
    ['an unknown option', ['serve', '--max-sise', '1GiB'], {}, /^kiln: unknown option --max-sise\n {2}did you mean --max-size\? example: --max-size 10GiB\n$/],
    ['an option of a later version', ['serve', '--execute'], {}, /^kiln: unknown option --execute\n {2}"kiln help serve" lists the options\n$/],
    ['a wrong value', ['serve', '--max-size', 'big'], {}, /^kiln: --max-size: "big" is not a size\n {2}example: --max-size 10GiB\n$/],
    ['a wrong variable', ['serve'], { KILN_LISTEN: '9092' }, /^kiln: KILN_LISTEN: "9092" is not an address.*\n {2}example: KILN_LISTEN=127\.0\.0\.1:9092\n$/],
    ['no place for the data', ['serve'], {}, /^kiln: no place for the data: neither XDG_CACHE_HOME nor HOME is set\n {2}name a directory: --data .*\n$/],
    ['help about nothing known', ['help', 'serv'], {}, /^kiln: unknown command "serv"\n/],
    ['a superfluous argument', ['version', 'now'], {}, /^kiln: unexpected argument "now"\n/],
  ];
  for (const [name, args, environment, errors] of misuses) {
    it(`answers ${name} with status 2 and two lines`, async () => {
      const outcome = await runKiln(args, environment);
      assert.equal(outcome.status, 2);
      assert.equal(outcome.out, '');
      assert.match(outcome.errors, errors);
    });
  }

  for (const address of ['0.0.0.0:0', '[::]:0']) {
    it(`refuses to open ${address} to the network without being told what for`, async () => {
      const outcome = await runKiln(['serve', '--listen', address, '--data', '/nonexistent']);
      assert.equal(outcome.status, 2);
      assert.match(outcome.errors, /can be reached from other machines.*\n {2}.*--allow-anonymous read .* or --allow-anonymous write .*\n$/);
    });
  }
});
