// Every way to give an option, and what comes of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ListenAddress } from '../base/listen-address.ts';
import { besideTlsKey, exampleTlsFiles } from '../testing/example-tls-files.ts';
import { optionHelp } from './option-help.ts';
import { readServeConfiguration } from './read-serve-configuration.ts';
import type { ServeOptions } from './serve-options.ts';
import { serveKeys } from './serve-schema.ts';
import type { StartContext } from './start-context.ts';

const context = (args: readonly string[] = [], environment: StartContext['environment'] = {}): StartContext => ({
  args,
  environment: { HOME: '/home/ada', ...environment },
  workingDirectory: '/here',
  platform: 'linux',
});

const readServeOptions = async (given: StartContext): Promise<ServeOptions> => (await readServeConfiguration(given, emptyFile)).options;

const emptyFile = (path: string) => Promise.resolve(Buffer.from(exampleTlsFiles.get(path) ?? ''));

const listening = (...addresses: readonly ListenAddress[]) => addresses.map((address) => ({ address, tls: false, messageBytesMax: 4 * 2 ** 20 }));

const defaults = {
  listen: listening({ kind: 'tcp', host: '127.0.0.1', port: 9092 }),
  listenIsDefault: true,
  allowedHosts: [],
  dataDirectory: '/home/ada/.cache/kiln',
  maxBytes: undefined,
  allowAnonymous: undefined,
  readyFile: undefined,
  rights: { tokensFile: undefined, htpasswdFile: undefined, identities: [] },
  tls: undefined,
  store: {
    durability: 'durable',
    leaseMs: 3 * 3_600_000,
    leases: 'shorten',
    lowWatermarkShare: undefined,
    ageMaxMs: 0,
    countMax: 0,
    smallBytesMax: 64 * 2 ** 10,
    diskFloorBytes: 500 * 2 ** 20,
  },
  drain: { timeoutMs: 35_000, listenerTimeoutMs: 30_000, flushTimeoutMs: 30_000 },
  log: { level: 'info', format: 'auto', summaryIntervalMs: 60_000 },
  metrics: { enabled: true },
  traces: { endpoint: undefined, sampleRatio: 0.01, headers: {} },
  diagnostics: {
    loopStallMs: 500,
    storeStallMs: 10_000,
    profileCpuShare: 0.95,
    profileIntervalMs: 3_600_000,
    profileDurationMs: 10_000,
    heapSnapshotBytes: undefined,
  },
  limits: {
    connectionsMax: 4_096,
    firstBytesTimeoutMs: 10_000,
    streamsMax: 256,
    stallTimeoutMs: 120_000,
    busyStallTimeoutMs: 10_000,
    stallBytesMin: 4 * 2 ** 10,
    messageBytesMax: 4 * 2 ** 20,
    batchBytesMax: 3 * 2 ** 20,
    blobBytesMax: undefined,
    valueBytesMax: 64 * 2 ** 20,
    hotBytesMax: 128 * 2 ** 20,
    bufferedBytesMax: undefined,
    heldBodyBytesMax: 256 * 2 ** 20,
    openReadsMax: 512,
    openWritesMax: 256,
    tlsHandshakesMax: 256,
    tlsHandshakeTimeoutMs: 10_000,
    http2: {
      streamWindowBytes: 2 ** 20,
      connectionWindowBytes: 16 * 2 ** 20,
      outputBytesMax: 2 ** 20,
      headerListBytesMax: 64 * 2 ** 10,
      idleTimeoutMs: 600_000,
      pingIntervalMs: 30_000,
      pingTimeoutMs: 20_000,
      idleFramesBurst: 1_000,
      idleFramesPerSecond: 100,
    },
    http1: { headerBytesMax: 32 * 2 ** 10, headersTimeoutMs: 30_000, keepAliveTimeoutMs: 120_000, pipelinedRequestsMax: 32 },
  },
};

describe('options of kiln serve', () => {
  it('has the documented defaults', async () => {
    assert.deepEqual(await readServeOptions(context()), defaults);
  });

  it('takes values from flags, in both spellings', async () => {
    const flags = ['--listen', '[::1]:0', '--listen=unix:kiln.sock', '--data', 'cache', '--max-size=10GiB', '--ready-file', '/run/ready.json'];
    const options = await readServeOptions(context([...flags, '--allow-anonymous', 'read', '--log-level', 'debug', '--drain-timeout', '5s']));
    assert.deepEqual(options, {
      ...defaults,
      listen: listening({ kind: 'tcp', host: '::1', port: 0 }, { kind: 'unix', path: '/here/kiln.sock' }),
      listenIsDefault: false,
      dataDirectory: '/here/cache',
      maxBytes: 10 * 2 ** 30,
      allowAnonymous: 'read',
      readyFile: '/run/ready.json',
      drain: { timeoutMs: 5_000, listenerTimeoutMs: 5_000, flushTimeoutMs: 30_000 },
      log: { ...defaults.log, level: 'debug' },
    });
  });

  it('takes values from the environment, and flags go before it', async () => {
    const environment = { KILN_MAX_SIZE: '2GiB', KILN_LISTEN: '127.0.0.1:0,unix:/run/k', KILN_DATA: '/data', KILN_LOG_LEVEL: '', KILN_TRACES_HEADERS: 'a=b=c, d=e' };
    const options = await readServeOptions(context(['--data', '/flag'], environment));
    assert.equal(options.maxBytes, 2 * 2 ** 30);
    assert.equal(options.dataDirectory, '/flag');
    assert.equal(options.log.level, 'info', 'an empty variable counts as unset');
    assert.deepEqual(options.listen, listening({ kind: 'tcp', host: '127.0.0.1', port: 0 }, { kind: 'unix', path: '/run/k' }));
    assert.deepEqual(options.traces.headers, { a: 'b=c', d: 'e' });
  });

  it('takes off for what can be switched off', async () => {
    const flags = ['summary-interval', 'loop-stall', 'store-stall', 'profile-cpu', 'heap-snapshot', 'endpoint'].flatMap((name) => serveKeys.filter(({ path }) => path.at(-1) === name).map(({ flag }) => `${flag}=off`));
    const { log, diagnostics, traces } = await readServeOptions(context(flags));
    assert.equal(flags.length, 6);
    assert.equal(log.summaryIntervalMs, 0);
    assert.deepEqual(diagnostics, { ...defaults.diagnostics, loopStallMs: 0, storeStallMs: 0, profileCpuShare: 0 });
    assert.equal(traces.endpoint, undefined);
  });

  const directories: readonly [string, Partial<StartContext>, string][] = [
    ['XDG_CACHE_HOME', { environment: { XDG_CACHE_HOME: '/xdg', HOME: '/home/ada' } }, '/xdg/kiln'],
    ['a relative XDG_CACHE_HOME, which is ignored', { environment: { XDG_CACHE_HOME: 'xdg', HOME: '/home/ada' } }, '/home/ada/.cache/kiln'],
    ['HOME on macOS', { environment: { XDG_CACHE_HOME: '/xdg', HOME: '/Users/ada' }, platform: 'darwin' }, '/Users/ada/Library/Caches/kiln'],
  ];
  for (const [name, facts, directory] of directories) {
    it(`derives the data directory from ${name}`, async () => {
      assert.equal((await readServeOptions({ ...context(), ...facts })).dataDirectory, directory);
    });
  }

  it('names the flag when there is no HOME, and needs none with --data', async () => {
    const homeless = { ...context(), environment: {} };
    await assert.rejects(readServeOptions(homeless), { code: 'invalid_argument', message: /HOME is set\nname a directory: --data / });
    assert.equal((await readServeOptions({ ...homeless, args: ['--data', '/d'] })).dataDirectory, '/d');
  });

  const refusals: readonly [string, readonly string[], StartContext['environment'], RegExp][] = [
    ['a misspelt flag', ['--max-sise', '1GiB'], {}, /^unknown option --max-sise\ndid you mean --max-size\? example: --max-size 10GiB$/],
    ['a flag like nothing known', ['--execute'], {}, /^unknown option --execute\n"kiln help serve" lists the options$/],
    ['a flag without its value', ['--data'], {}, /^--data needs a value\nexample: --data \/var\/cache\/kiln$/],
    ['a flag without its value before another', ['--data', '--max-size', '1GiB'], {}, /^--data needs a value\nexample: --data \/var\/cache\/kiln$/],
    ['an empty path', ['--data='], {}, /^--data: "" is not a path\n/],
    ['a flag given twice', ['--data', '/a', '--data', '/b'], {}, /^--data is given twice\ngive --data once$/],
    ['a positional argument', ['now'], {}, /^unexpected argument "now"\n/],
    ['a short flag', ['-p', '9092'], {}, /^unknown option -p\n"kiln help serve" lists the options$/],
    ['a size without a unit', ['--max-size', '10'], {}, /^--max-size: "10" has no unit .*\nexample: --max-size 10GiB$/],
    ['a size that is too small', ['--max-size', '10KiB'], {}, /^--max-size: "10KiB" is too small; the least is 1MiB\nexample: --max-size 10GiB$/],
    ['a right that does not exist', ['--allow-anonymous', 'all'], {}, /^--allow-anonymous: "all" is none of none, read, write, overwrite\nexample: /],
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
    it(`refuses ${name}`, async () => {
      await assert.rejects(readServeOptions(context(args, environment)), { code: 'invalid_argument', message });
    });
  }

  it('leaves variables of the test programs and of clients alone', async () => {
    await assert.doesNotReject(readServeOptions(context([], { KILN_TEST_SEED: '1', KILN_TOKEN: 'kiln_secret' })));
  });

  it('has a flag, a variable, an example that works and a help text for every option', async () => {
    const help = optionHelp(serveKeys);
    for (const key of serveKeys) {
      const { environment } = besideTlsKey(key.name);
      assert.match(key.help, /^[A-Z].*\.$/s, key.name);
      if (key.environment !== undefined) await assert.doesNotReject(readServeOptions(context([], { ...environment, [key.environment]: key.example })), key.environment);
      if (key.flag === undefined) continue;
      assert.equal(key.environment, `KILN_${key.flag.slice(2).replaceAll('-', '_').toUpperCase()}`);
      await assert.doesNotReject(readServeOptions(context([key.flag, key.example], environment)), key.flag);
      assert.match(help, new RegExp(`  ${key.flag} .*\\n(      .*\\n)+      \\[${key.environment}; default: `));
    }
    for (const line of help.split('\n')) assert.ok(line.length <= 100, line);
  });
});
