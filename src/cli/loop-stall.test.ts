// A loop that stands still in the real server, and what keeps connections to machines that are gone from staying.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { once } from 'node:events';
import { fetchHttp } from '../testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

/** Runs inside the server: SIGWINCH keeps its loop busy for as long as the environment says. */
const busyCode = `
function computeForTooLong(untilMs) {
  let sum = 0;
  while (performance.now() < untilMs) sum += Math.sqrt(sum + 1);
  return sum;
}
process.on('SIGWINCH', () => void computeForTooLong(performance.now() + Number(process.env.BUSY_MS)));
`;

async function serveBusy(t: TestContext, busyMs: number, ...args: readonly string[]): Promise<KilnProcess> {
  const directory = await temporaryDirectory(t);
  const file = join(directory, 'busy.mjs');
  await writeFile(file, busyCode);
  const environment = { NODE_OPTIONS: `--import=${pathToFileURL(file).href}`, BUSY_MS: String(busyMs) };
  const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(directory, 'data'), ...args], environment);
  return kiln;
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!isTrue()) {
    assert.ok(performance.now() < endMs, `${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function stop(kiln: KilnProcess): Promise<string> {
  kiln.kill('SIGTERM');
  const { status, errors } = await kiln.ended;
  assert.equal(status, 143, errors);
  return errors;
}

/** The thread that watches begins after the server serves, and sees nothing before. */
async function watching(kiln: KilnProcess): Promise<void> {
  await until('the thread', () => kiln.errors().includes('is ready'));
}

describe('a loop that stands still', () => {
  it('K11-01: is reported once, with how long and where', async (t) => {
    const kiln = await serveBusy(t, 2_000, '--log-level', 'debug');
    await watching(kiln);
    kiln.kill('SIGWINCH');
    await until('the report', () => kiln.errors().includes('stood still'));
    const { text } = await fetchHttp(kiln.port, '/metrics');
    assert.match(text, /^kiln_event_loop_stall_seconds_count [1-9]/m);
    const errors = await stop(kiln);
    const reports = errors.split('\n').filter((line) => line.includes('the event loop stood still') && Number(/forMs=(\d+)/.exec(line)?.[1]) > 1_500);
    assert.equal(reports.length, 1, errors);
    const forMs = Number(/ warn {2}the event loop stood still forMs=(\d+)$/.exec(reports[0] ?? '')?.[1]);
    assert.ok(forMs > 1_850 && forMs < 30_000, `${forMs} ms`); // more when the machine is busy with others
    assert.match(errors, /\n {4}at computeForTooLong \(file:.*busy\.mjs:\d+:\d+\)\n {4}at /);
  });

  it('K11-01: is not looked for when it is switched off', async (t) => {
    const kiln = await serveBusy(t, 1_000, '--diagnostics-loop-stall', 'off');
    kiln.kill('SIGWINCH');
    assert.equal((await fetchHttp(kiln.port, '/status')).status, 200);
    assert.doesNotMatch(await stop(kiln), /stood still/);
  });

  it('is told from a process that was suspended', async (t) => {
    const kiln = await serveBusy(t, 0, '--log-level', 'debug');
    await watching(kiln);
    kiln.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    kiln.kill('SIGCONT');
    await until('the report', () => /the whole process stood still; .* forMs=\d{4}/.test(kiln.errors()));
    await stop(kiln);
  });
});

describe('connections', () => {
  it('K11-01: are kept alive by TCP, so that peers that are gone are noticed', { skip: process.platform !== 'linux' && 'reads /proc' }, async (t) => {
    const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', await temporaryDirectory(t)]);
    const socket = connect(kiln.port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write('GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await once(socket, 'data');
    const hex = (port: number | undefined) => (port ?? 0).toString(16).toUpperCase().padStart(4, '0');
    const [local, remote] = [`0100007F:${hex(kiln.port)}`, `0100007F:${hex(socket.localPort)}`];
    const entry = readFileSync('/proc/net/tcp', 'utf8').split('\n').map((line) => line.trim().split(/\s+/)).find(([, from, to]) => from === local && to === remote);
    // Column "tr": which timer runs; 2 is keepalive.
    assert.match(entry?.[5] ?? '', /^02:/, `no keepalive timer: ${entry?.join(' ')}`);
  });
});
