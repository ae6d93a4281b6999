// Every way to give an option, and what is refused, with the words of the refusal.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { optionHelp } from './option-help.ts';
import type { StartContext } from './parse-options.ts';
import { parseServeOptions, serveOptionTable } from './serve-options.ts';

const context = (args: readonly string[] = [], environment: StartContext['environment'] = {}): StartContext => ({
  args,
  environment: { HOME: '/home/ada', ...environment },
  workingDirectory: '/here',
  platform: 'linux',
});

describe('options of kiln serve', () => {
  it('has the documented defaults', () => {
    assert.deepEqual(parseServeOptions(context()), {
      listen: [{ kind: 'tcp', host: '127.0.0.1', port: 9092 }],
      dataDirectory: '/home/ada/.cache/kiln',
      maxBytes: undefined,
      allowAnonymous: undefined,
      readyFile: undefined,
      drainTimeoutMs: 30_000,
      logLevel: 'info',
    });
  });

  it('takes values from flags, in both spellings', () => {
    const flags = ['--listen', '[::1]:0', '--listen=unix:kiln.sock', '--data', 'cache', '--max-size=10GiB', '--ready-file', '/run/ready.json'];
    const options = parseServeOptions(context([...flags, '--allow-anonymous', 'read', '--log-level', 'debug', '--drain-timeout', '5s']));
    assert.deepEqual(options, {
      listen: [{ kind: 'tcp', host: '::1', port: 0 }, { kind: 'unix', path: '/here/kiln.sock' }],
      dataDirectory: '/here/cache',
      maxBytes: 10 * 2 ** 30,
      allowAnonymous: 'read',
      readyFile: '/run/ready.json',
      drainTimeoutMs: 5_000,
      logLevel: 'debug',
    });
  });

  it('takes values from the environment, and flags go before it', () => {
    const environment = { KILN_MAX_SIZE: '2GiB', KILN_LISTEN: '127.0.0.1:0,unix:/run/k', KILN_DATA: '/data', KILN_LOG_LEVEL: '' };
    const options = parseServeOptions(context(['--data', '/flag'], environment));
    assert.equal(options.maxBytes, 2 * 2 ** 30);
    assert.equal(options.dataDirectory, '/flag');
    assert.equal(options.logLevel, 'info', 'an empty variable counts as unset');
    assert.deepEqual(options.listen, [{ kind: 'tcp', host: '127.0.0.1', port: 0 }, { kind: 'unix', path: '/run/k' }]);
  });

  const directories: readonly [string, Partial<StartContext>, string][] = [
    ['XDG_CACHE_HOME', { environment: { XDG_CACHE_HOME: '/xdg', HOME: '/home/ada' } }, '/xdg/kiln'],
    ['a relative XDG_CACHE_HOME, which is ignored', { environment: { XDG_CACHE_HOME: 'xdg', HOME: '/home/ada' } }, '/home/ada/.cache/kiln'],
    ['HOME on macOS', { environment: { XDG_CACHE_HOME: '/xdg', HOME: '/Users/ada' }, platform: 'darwin' }, '/Users/ada/Library/Caches/kiln'],
  ];
  for (const [name, facts, directory] of directories) {
    it(`derives the data directory from ${name}`, () => {
      assert.equal(parseServeOptions({ ...context(), ...facts }).dataDirectory, directory);
    });
  }

  it('names the flag when there is no HOME, and needs none with --data', () => {
    const homeless = { ...context(), environment: {} };
    assert.throws(() => parseServeOptions(homeless), { code: 'invalid_argument', message: /HOME is set\nname a directory: --data / });
    assert.equal(parseServeOptions({ ...homeless, args: ['--data', '/d'] }).dataDirectory, '/d');
  });

  const refusals: readonly [string, readonly string[], StartContext['environment'], RegExp][] = [
    ['a misspelt flag', ['--max-sise', '1GiB'], {}, /^unknown option --max-sise\ndid you mean --max-size\? example: --max-size 10GiB$/],
    ['a flag like nothing known', ['--execute'], {}, /^unknown option --execute\n"kiln help serve" lists the options$/],
    ['a flag of a later version', ['--config', 'kiln.yaml'], {}, /^unknown option --config\n/],
    ['a flag without its value', ['--data'], {}, /^--data needs a value\nexample: --data \/var\/cache\/kiln$/],
    ['an empty path', ['--data='], {}, /^--data: "" is not a path\n/],
    ['a flag given twice', ['--data', '/a', '--data', '/b'], {}, /^--data is given twice\n/],
    ['a positional argument', ['now'], {}, /^unexpected argument "now"\n/],
    ['a short flag', ['-p', '9092'], {}, /^unknown option -p\n/],
    ['a size without a unit', ['--max-size', '10'], {}, /^--max-size: "10" has no unit .*\nexample: --max-size 10GiB$/],
    ['a size that is too small', ['--max-size', '10KiB'], {}, /^--max-size: 10240 bytes are too few .*\nexample: --max-size 10GiB$/],
    ['a right that does not exist', ['--allow-anonymous', 'all'], {}, /^--allow-anonymous: "all" is none of read, write\nexample: /],
    ['a port alone', ['--listen', '9092'], {}, /^--listen: "9092" is not an address: the host is missing\nexample: --listen 127\.0\.0\.1:9092$/],
    ['a host alone', ['--listen', 'localhost'], {}, /the port is missing/],
    ['an address without a host', ['--listen', ':9092'], {}, /has no host; 0\.0\.0\.0 stands for every interface/],
    ['IPv6 without brackets', ['--listen', '::1:9092'], {}, /goes into brackets/],
    ['a port out of range', ['--listen', '127.0.0.1:65536'], {}, /ports end at 65535/],
    ['a unix socket without a path', ['--listen', 'unix:'], {}, /names no path/],
    ['a misspelt variable', [], { KILN_MAXSIZE: '1GiB' }, /^unknown environment variable KILN_MAXSIZE\ndid you mean KILN_MAX_SIZE\? example: KILN_MAX_SIZE=10GiB$/],
    ['an unknown variable', [], { KILN_ADMIN_PASSWORD_FILE: 'secret' }, /^unknown environment variable KILN_ADMIN_PASSWORD_FILE\nunset it; /],
    ['a wrong value in a variable', [], { KILN_MAX_SIZE: 'lots' }, /^KILN_MAX_SIZE: "lots" is not a size\nexample: KILN_MAX_SIZE=10GiB$/],
  ];
  for (const [name, args, environment, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseServeOptions(context(args, environment)), { code: 'invalid_argument', message });
    });
  }

  it('leaves variables of the test programs alone', () => {
    assert.doesNotThrow(() => parseServeOptions(context([], { KILN_TEST_SEED: '1' })));
  });

  it('is described in docs/operations.md, option by option', async () => {
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    for (const option of Object.values(serveOptionTable)) {
      assert.match(page, new RegExp(`^\\| \`${option.flag} .*\\| \`${option.environment}\` \\|`, 'm'));
      if ('text' in option.default) assert.ok(page.includes(`\`${option.environment}\` | \`${option.default.text}\``), option.flag);
    }
  });

  it('has a flag, a variable, an example that works and a help text for every option', () => {
    const help = optionHelp(serveOptionTable);
    for (const option of Object.values(serveOptionTable)) {
      assert.equal(option.environment, `KILN_${option.flag.slice(2).replaceAll('-', '_').toUpperCase()}`);
      assert.doesNotThrow(() => parseServeOptions(context([option.flag, option.example])), option.flag);
      assert.match(help, new RegExp(`  ${option.flag} .*\\n(      .*\\n)+      \\[${option.environment}; default: `));
    }
    for (const line of help.split('\n')) assert.ok(line.length <= 100, line);
  });
});
