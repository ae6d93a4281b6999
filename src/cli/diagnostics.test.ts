// CPU profiles and heap snapshots of the real server: who may have them, when they come by themselves, what stays.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hashOfToken } from '../rights/token.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

interface Profile {
  readonly nodes: readonly { readonly callFrame: { readonly functionName: string } }[];
  readonly startTime: number;
  readonly endTime: number;
}

interface Administered {
  readonly kiln: KilnProcess;
  readonly data: string;
}

const launcher = fileURLToPath(new URL('../../bin/kiln', import.meta.url));
const token = 'kiln_of-the-administrator-of-these-tests';
const admin = { authorization: `Bearer ${token}` };

/** A server with an administrator. */
async function serve(t: TestContext, ...args: readonly string[]): Promise<Administered> {
  const directory = await temporaryDirectory(t);
  const tokens = join(directory, 'tokens.yaml');
  await writeFile(tokens, `- { name: ops, tokens: ["${hashOfToken(token)}"], grants: [{ instances: ["*"], rights: [admin] }] }\n`);
  const data = join(directory, 'data');
  const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', data, '--rights-tokens-file', tokens, '--allow-anonymous', 'write', ...args]);
  return { kiln, data };
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 25_000;
  while (!(await isTrue())) {
    assert.ok(performance.now() < endMs, `${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function filesIn(data: string): Promise<readonly string[]> {
  const names = await readdir(join(data, 'diagnostics')).catch((): string[] => []);
  return names.toSorted((a, b) => a.localeCompare(b));
}

/** Requests one after the other until `isEnough`. */
async function load(port: number, isEnough: () => boolean): Promise<void> {
  while (!isEnough()) await Promise.all(Array.from({ length: 4 }, () => fetchHttp(port, '/status')));
}

describe('diagnostics of kiln serve', () => {
  it('takes a CPU profile and a heap snapshot for an administrator, as files of the owner only, and lists them', async (t) => {
    const { kiln, data } = await serve(t);
    const taken = await fetchHttp(kiln.port, '/admin/cpu-profile?seconds=0.5', { method: 'POST', headers: admin });
    assert.equal(taken.status, 200, taken.text);
    const answer = JSON.parse(taken.text) as { path: string; sizeBytes: number; takenAt: string };
    assert.match(answer.path, /\/data\/diagnostics\/cpu-profile-\d{8}T\d{9}Z\.cpuprofile$/);
    const profile = JSON.parse(await readFile(answer.path, 'utf8')) as Profile;
    assert.ok(profile.nodes.some(({ callFrame }) => callFrame.functionName === '(root)'));
    assert.ok(profile.endTime - profile.startTime >= 400_000, 'microseconds');
    const snapshot = await fetchHttp(kiln.port, '/admin/heap-snapshot', { method: 'POST', headers: admin });
    assert.equal(snapshot.status, 200, snapshot.text);
    const heap = JSON.parse(await readFile((JSON.parse(snapshot.text) as { path: string }).path, 'utf8')) as { snapshot: { node_count: number } };
    assert.ok(heap.snapshot.node_count > 10_000);
    for (const name of await filesIn(data)) assert.equal((await stat(join(data, 'diagnostics', name))).mode & 0o777, 0o600, name);
    assert.equal((await stat(join(data, 'diagnostics'))).mode & 0o777, 0o700);
    const listed = JSON.parse((await fetchHttp(kiln.port, '/admin/cpu-profile', { headers: admin })).text) as { files: unknown[] };
    assert.deepEqual(listed.files, [{ kind: 'cpu-profile', path: answer.path, sizeBytes: answer.sizeBytes, takenAt: answer.takenAt }]);
    assert.match(kiln.errors(), / warn {2}taking a heap snapshot: nothing is served until it is written, .*secrets included/);
  });

  it('refuses who is no administrator, what it does not understand, and a second one at the same time', async (t) => {
    const { kiln, data } = await serve(t);
    for (const path of ['/admin/cpu-profile', '/admin/heap-snapshot']) {
      for (const method of ['GET', 'POST']) assert.equal((await fetchHttp(kiln.port, path, { method })).status, 401, `${method} ${path}`);
      assert.equal((await fetchHttp(kiln.port, path, { method: 'PUT', headers: admin })).status, 405);
    }
    for (const query of ['seconds=0', 'seconds=301', 'seconds=-1', 'seconds=1e3', 'seconds=', 'second=1']) {
      const { status, text } = await fetchHttp(kiln.port, `/admin/cpu-profile?${query}`, { method: 'POST', headers: admin });
      assert.equal(status, 400, query);
      assert.match(text, /seconds=/);
    }
    assert.deepEqual(await filesIn(data), []);
    const first = fetchHttp(kiln.port, '/admin/cpu-profile?seconds=2', { method: 'POST', headers: admin });
    await until('the first', async () => {
      const { status, headers } = await fetchHttp(kiln.port, '/admin/cpu-profile?seconds=0.1', { method: 'POST', headers: admin });
      assert.ok(status === 200 || Number(headers['retry-after']) > 0);
      return status === 503;
    });
    assert.equal((await first).status, 200);
  });

  it('takes a CPU profile at SIGUSR2, and opens no debugger at SIGUSR1', async (t) => {
    const { kiln, data } = await serve(t, '--diagnostics-profile-duration', '200ms');
    kiln.kill('SIGUSR1');
    kiln.kill('SIGUSR2');
    await until('the profile', () => kiln.errors().includes('CPU profile written'));
    assert.match((await filesIn(data)).join(), /^cpu-profile-.*\.cpuprofile$/);
    assert.doesNotMatch(kiln.errors(), /Debugger listening/);
    const debuggerPort = request({ port: 9229, host: '127.0.0.1', path: '/json' });
    await assert.rejects(new Promise((resolve, reject) => debuggerPort.on('response', resolve).on('error', reject).end()), { code: 'ECONNREFUSED' });
  });

  it('lives on when SIGUSR2 comes before it serves', { skip: process.platform !== 'linux' && 'reads /proc' }, async (t) => {
    const directory = await temporaryDirectory(t);
    // It reads the tokens while it starts, and waits for somebody to write them.
    const tokens = join(directory, 'tokens.yaml');
    assert.equal(spawnSync('mkfifo', [tokens]).status, 0);
    const starting = spawn(launcher, ['serve', '--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--rights-tokens-file', tokens], { stdio: ['ignore', 'ignore', 'inherit'] });
    t.after(() => starting.kill('SIGKILL'));
    const sigusr2 = 1n << 11n;
    await until('a handler', async () => {
      const [, caught = '0'] = /^SigCgt:\s*(\w+)/m.exec(await readFile(`/proc/${starting.pid}/status`, 'utf8')) ?? [];
      return (BigInt(`0x${caught}`) & sigusr2) !== 0n;
    });
    starting.kill('SIGUSR2');
    starting.kill('SIGTERM');
    const [, signal] = (await once(starting, 'exit')) as [number | null, string | null];
    assert.notEqual(signal, 'SIGUSR2'); // of two signals the system delivers the lower one first
  });

  it('K11-03: writes one CPU profile per interval under sustained load', async (t) => {
    const intervalMs = 2_000;
    const { kiln, data } = await serve(t, '--diagnostics-profile-cpu', '2%', '--diagnostics-profile-interval', `${intervalMs}ms`, '--diagnostics-profile-duration', '200ms');
    const startedMs = performance.now();
    let files: readonly string[] = [];
    const watched = until('three profiles', async () => (files = await filesIn(data)).filter((name) => name.endsWith('.cpuprofile')).length >= 3);
    await load(kiln.port, () => files.length >= 3);
    await watched;
    const tookMs = performance.now() - startedMs;
    assert.ok(files.length <= 1 + tookMs / intervalMs, `${files.length} files in ${tookMs} ms`);
    const listed = JSON.parse((await fetchHttp(kiln.port, '/admin/cpu-profile', { headers: admin })).text) as { files: { takenAt: string }[] };
    const times = listed.files.map(({ takenAt }) => Date.parse(takenAt)).toReversed();
    for (const [index, time] of times.slice(1).entries()) assert.ok(time - (times[index] ?? 0) >= 0.7 * intervalMs, String(times)); // files begin some time after they are due
    assert.match(kiln.errors(), /the main thread is busy; taking a CPU profile percentOfCore=\d+ forMs=\d+/);
  });

  it('takes a heap snapshot when the heap is larger than configured, once per interval', async (t) => {
    const { kiln, data } = await serve(t, '--diagnostics-heap-snapshot', '16MiB');
    await until('the snapshot', () => kiln.errors().includes('heap snapshot written'));
    assert.match((await filesIn(data)).join(), /^heap-snapshot-[^,]*\.heapsnapshot$/);
    assert.match(kiln.errors(), /the heap is larger than diagnostics\.heap-snapshot/);
    assert.equal((await fetchHttp(kiln.port, '/status')).status, 200);
  });

  it('keeps a bounded number of files, leaves those of others alone, and removes what was not finished', async (t) => {
    const directory = await temporaryDirectory(t);
    const data = join(directory, 'data');
    const first = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', data]);
    first.kill('SIGTERM');
    await first.ended;
    await mkdir(join(data, 'diagnostics'));
    const old = Array.from({ length: 30 }, (_, index) => `cpu-profile-202001${String(index + 1).padStart(2, '0')}T000000000Z.cpuprofile`);
    for (const name of [...old, 'notes.txt', 'cpu-profile-20200101T000000001Z.cpuprofile.partial']) await writeFile(join(data, 'diagnostics', name), '{}');
    const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', data, '--diagnostics-profile-duration', '100ms']);
    assert.equal((await filesIn(data)).filter((name) => name.endsWith('.partial')).length, 0);
    kiln.kill('SIGUSR2');
    await until('the limit', async () => (await filesIn(data)).length === 25);
    const left = await filesIn(data);
    assert.ok(left.includes('notes.txt'));
    assert.ok(!left.includes(old[0] ?? '') && left.includes(old.at(-1) ?? ''), 'the oldest go first');
    assert.doesNotMatch(kiln.errors(), /files that Kiln did not make/);
  });
});
