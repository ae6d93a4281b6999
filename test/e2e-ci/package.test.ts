// The npm package: what is in it, and that it works where a user installs it: the daemon through npx, and the client
// library from JavaScript and TypeScript.
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { removeTree, temporaryDirectory } from '../e2e/file-tree.ts';
import { installInto, npm, pack, root, userEnvironment } from './package-install.ts';
import type { Tarball } from './package-install.ts';
import { mustRun, runTool, spawnInGroup } from '../e2e/tool-run.ts';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
/** npx adds half a second to what kiln itself takes. */
const startTimeoutMs = 20_000;
const stopTimeoutMs = 10_000;

interface Served {
  readonly http: string;
  readonly pid: number;
  readonly out: () => string;
  /** From the command to the ready file, milliseconds. */
  readonly startedInMs: number;
  /** SIGTERM to the server. Gives the status of what was started. */
  stop(): Promise<number | null>;
}

const program = `
import { openCache, Digest, CacheError } from 'kiln-build-cache';

await using cache = openCache(process.argv[2] + '/some/instance');
const bytes = Buffer.from('bytes of the plain program');
const digest = await cache.putBytes(bytes);
if (!(await cache.has(digest))) throw new Error('what was put is not there');
const back = await cache.getBytes(digest);
if (!bytes.equals(back)) throw new Error('other bytes came back');
const refusal = await cache.put(Digest.of(Buffer.from('others')), bytes).catch((error) => error);
if (!(refusal instanceof CacheError) || refusal.code !== 'invalid_argument') throw refusal;
console.log('fine', digest.hash);
`;

const typedProgram = `
import { createReadStream } from 'node:fs';
import { openCache, digestOf, sha256 } from 'kiln-build-cache';
import type { ActionResult, CacheClient, Digest } from 'kiln-build-cache';

const [, , url = '', path = ''] = process.argv;
await using cache: CacheClient = openCache(url, { connectionsMax: 2 });
const digest: Digest = await digestOf(createReadStream(path), sha256);
await cache.put(digest, () => createReadStream(path));
const action = await cache.putBytes(new TextEncoder().encode('an action'));
await cache.putActionResult(action, { exitCode: 3, outputFiles: [{ path: 'out', digest: { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) } }] });
const result: ActionResult | undefined = await cache.getActionResult(action, { signal: AbortSignal.timeout(10_000) });
let length = 0;
for await (const chunk of (await cache.get(digest)) ?? []) length += chunk.byteLength;
console.log(result?.exitCode, result?.outputFiles[0]?.path, length === digest.sizeBytes);
`;

const typeChecks = {
  compilerOptions: { strict: true, exactOptionalPropertyTypes: true, module: 'nodenext', target: 'esnext', noEmit: true, skipLibCheck: false, types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
  files: ['typed.ts'],
};

describe('the npm package', () => {
  let directory = '';
  let project = '';
  let tarball: Tarball;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kiln-package-'));
    project = join(directory, 'project');
    tarball = pack(directory);
    installInto(project, tarball);
  });
  after(() => removeTree(directory));

  const inProject = (command: readonly [string, ...string[]]): Promise<string> => mustRun(command, { cwd: project, env: userEnvironment() });

  /** `command` and then the arguments of `kiln`, until it is ready. */
  async function serve(t: TestContext, command: readonly [string, ...string[]]): Promise<Served> {
    const own = temporaryDirectory(t, 'package-serve');
    const readyFile = join(own, 'ready.json');
    const startedAtMs = performance.now();
    const child = spawnInGroup([...command, 'serve', '--listen', '127.0.0.1:0', '--data', join(own, 'data'), '--ready-file', readyFile], { cwd: project, env: userEnvironment() });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => void (output += text.toString()));
    while (!existsSync(readyFile)) {
      assert.equal(child.exitCode, null, `it ended before it was ready:\n${output}`);
      assert.ok(performance.now() - startedAtMs < startTimeoutMs, `it was not ready after ${startTimeoutMs} ms:\n${output}`);
      await delay(5);
    }
    const startedInMs = performance.now() - startedAtMs;
    const { http, pid } = JSON.parse(readFileSync(readyFile, 'utf8')) as { http: string; pid: number };
    return {
      http,
      pid,
      out: () => output,
      startedInMs,
      async stop() {
        const ended = once(child, 'exit', { signal: AbortSignal.timeout(stopTimeoutMs) });
        process.kill(pid, 'SIGTERM'); // npx and its shell do not hand signals on
        const [status] = (await ended) as [number | null];
        assert.ok(!existsSync(readyFile), 'the ready file is left behind');
        return status;
      },
    };
  }

  it('holds the program, the types of the library and what operators read, and nothing that develops it', (t) => {
    t.diagnostic(`${tarball.files.length} files, ${tarball.bytes} bytes packed, ${tarball.unpackedBytes} unpacked`);
    const allowed = /^(?:LICENSE|README\.md|package\.json|bin\/kiln|dist\/[\w./-]+\.(?:js|d\.ts)|docs\/[\w./-]+\.(?:md|json)|packaging\/[\w./-]+)$/;
    assert.deepEqual(tarball.files.map(({ path }) => path).filter((path) => !allowed.test(path)), []);
    const development = /\.test\.|(?:^|\/)testing\/|^docs\/(?!\w+\.md$|protocols\/|[\w.]+\.json$)|^docs\/(?:architecture|benchmarks|dependencies)|docker/;
    assert.deepEqual(tarball.files.map(({ path }) => path).filter((path) => development.test(path)), []);
    for (const path of ['LICENSE', 'README.md', 'bin/kiln', 'dist/cli/main.js', 'dist/library/client.js', 'dist/library/client.d.ts', 'docs/client.md']) {
      assert.ok(tarball.files.some((file) => file.path === path), `${path} is missing`);
    }
    assert.equal((tarball.files.find(({ path }) => path === 'bin/kiln')?.mode ?? 0) & 0o111, 0o111, 'the launcher cannot be executed');
    assert.ok(tarball.bytes < 1024 * 1024, `${tarball.bytes} bytes are more than everybody should download`);
  });

  it('holds every page that one of its pages leads to', () => {
    const paths = tarball.files.map(({ path }) => path);
    const linked = paths.filter((path) => path.endsWith('.md')).flatMap((page) => {
      const targets = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => target);
      return targets.filter((target) => !URL.canParse(target)).map((target) => ({ page, path: join(dirname(page), target) }));
    });
    assert.ok(linked.length > 10);
    assert.deepEqual(linked.filter(({ path }) => !paths.some((held) => held === path || held.startsWith(join(path, '/')))), []);
  });

  it('runs no script when it is installed', () => {
    // Also those of what it depends on; a lock file lists who has any.
    const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as { packages: Record<string, { hasInstallScript?: boolean }> };
    assert.deepEqual(Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path), []);
    assert.ok(Object.keys(lock.packages).length > 5, 'the lock file lists what was installed');
  });

  it('answers npx kiln version and help', async () => {
    assert.match(await inProject(['npx', '--no', 'kiln', 'version']), new RegExp(`^kiln ${version.replaceAll('.', '\\.')}$`, 'm'));
    const help = await inProject(['npx', '--no', 'kiln', 'help', 'serve']);
    assert.match(help, /--listen/);
    assert.doesNotMatch(help, /\.ts\b|node_modules/);
  });

  it('has the files of its threads beside those that name them', () => {
    const dist = join(project, 'node_modules/kiln-build-cache/dist');
    const named = globSync('**/*.js', { cwd: dist }).flatMap((path) =>
      [...readFileSync(join(dist, path), 'utf8').matchAll(/entryBeside\(import\.meta\.url, "\.\/([\w-]+)\.ts"\)/g)].map(([, name = '']) => join(dist, path, '..', `${name}.js`)),
    );
    assert.ok(named.length >= 5, named.join(', '));
    for (const path of named) assert.ok(existsSync(path), path);
  });

  it('K10-01: serves builds and programs, and ends cleanly', async (t) => {
    const served = await serve(t, ['npx', '--no', 'kiln']);
    const bytes = Buffer.from('a blob over plain HTTP');
    assert.match(await inProject(['npx', '--no', 'kiln', 'status', served.http]), /is up\n {2}rights +you may read and write\n/);
    const path = `${served.http}/cas/${hash('sha256', bytes)}`;
    assert.equal((await fetch(path, { method: 'PUT', body: bytes })).status, 200);
    assert.equal(await (await fetch(path)).text(), bytes.toString());
    const large = Buffer.alloc(3 * 1024 * 1024, 'hashed on a thread of its own; '); // what was acknowledged was synced, on another thread
    assert.equal((await fetch(`${served.http}/cas/${hash('sha256', large)}`, { method: 'PUT', body: large })).status, 200);

    writeFileSync(join(project, 'plain.mjs'), program);
    assert.match(await inProject([process.execPath, 'plain.mjs', served.http]), /^fine [0-9a-f]{64}$/m);

    writeFileSync(join(project, 'typed.ts'), typedProgram);
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(typeChecks));
    await inProject([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.']);
    assert.match(await inProject([process.execPath, 'typed.ts', served.http, join(project, 'package-lock.json')]), /^3 out true$/m);

    assert.match(served.out(), /ready grpc:\/\//);
    assert.doesNotMatch(served.out(), /Warning|ExperimentalWarning/);
    assert.equal(await served.stop(), 143);
  });

  it('refuses a program whose types are wrong', async () => {
    writeFileSync(join(project, 'wrong.ts'), "import { openCache } from 'kiln-build-cache';\nopenCache('http://127.0.0.1:1', { conectionsMax: 2 });\n");
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ ...typeChecks, files: ['wrong.ts'] }));
    const { status, output } = await runTool([process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: project, env: userEnvironment() });
    assert.notEqual(status, 0);
    assert.match(output, /conectionsMax/);
  });

  it('exports nothing but the library', async () => {
    const { status, output } = await runTool([process.execPath, '--input-type=module', '--eval', "await import('kiln-build-cache/dist/cli/main.js')"], { cwd: project, env: userEnvironment() });
    assert.notEqual(status, 0);
    assert.match(output, /ERR_PACKAGE_PATH_NOT_EXPORTED/);
  });

  it('starts about as fast as a clone', async (t) => {
    const times: Record<'package' | 'clone', number[]> = { package: [], clone: [] };
    for (let round = 0; round < 3; round += 1) {
      for (const kind of ['package', 'clone'] as const) {
        const served = await serve(t, [kind === 'clone' ? join(root, 'bin/kiln') : join(project, 'node_modules/.bin/kiln')]);
        times[kind].push(served.startedInMs);
        await served.stop();
      }
    }
    const least = (kind: keyof typeof times): string => Math.min(...times[kind]).toFixed(0);
    t.diagnostic(`ready after ${least('package')} ms from the package, ${least('clone')} ms from a clone (best of 3)`);
  });

  it('can be removed again', () => {
    npm(['uninstall', '--no-audit', '--no-fund', 'kiln-build-cache'], project);
    assert.ok(!existsSync(join(project, 'node_modules/kiln-build-cache')));
  });
});
