// curl against the real server: HTTP/1.1, HTTP/2 with prior knowledge or by ALPN, and a unix socket all reach the same
// routes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';
import { startTlsDaemon } from './tls-daemon.ts';

const blobBytes = 5_000_000;

describe('curl', () => {
  for (const [name, wanted, flagsFor] of [
    ['HTTP/1.1', '1.1', () => ['--http1.1']],
    ['HTTP/2 with prior knowledge', '2', () => ['--http2-prior-knowledge']],
    ['HTTP/1.1 over a unix socket', '1.1', (socket: string) => ['--http1.1', '--unix-socket', socket]],
    ['HTTP/2 over a unix socket', '2', (socket: string) => ['--http2-prior-knowledge', '--unix-socket', socket]],
    ['HTTP/1.1 over TLS', '1.1', () => ['--http1.1']],
    ['HTTP/2 over TLS, by ALPN', '2', () => ['--http2']],
  ] as const) {
    it(`CT-10, CT-11: gets /status, puts and gets a blob over ${name}`, async (t) => {
      const directory = temporaryDirectory(t, 'curl');
      const socket = join(directory, 'kiln.sock');
      const tls = name.includes('TLS') ? await startTlsDaemon(t) : undefined;
      const daemon = tls ?? (await startDaemon(t, join(directory, 'data'), { flags: ['--listen', `unix:${socket}`] }));
      const trust = tls === undefined ? [] : ['--cacert', tls.caFile];
      const curl = [installedTool('curl', 'apt-get install curl'), '--silent', '--show-error', '--noproxy', '*', ...trust, ...flagsFor(socket)] as const;
      const [program, ...flags] = curl;
      const run = (...words: string[]): Promise<string> => mustRun([program, ...flags, ...words], { cwd: directory });

      const [status = '', version] = (await run('--write-out', '|%{http_version}', `${daemon.http}/status`)).split('|');
      assert.equal(version, wanted);
      assert.equal((JSON.parse(status) as { status: string }).status, 'ok');

      const bytes = Buffer.alloc(blobBytes, 'curl');
      const hash = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(directory, 'blob'), bytes);
      const url = `${daemon.http}/cas/${hash}`;
      assert.equal(await run('--output', 'nothing', '--write-out', '%{http_code}', url), '404');
      assert.match(await run('--upload-file', 'blob', '--output', 'answer', '--write-out', '%{http_code}', url), /^20[0-4]$/);
      assert.equal(await run('--output', 'back', '--write-out', '%{http_code} %{size_download}', url), `200 ${blobBytes}`);
      assert.equal(await mustRun(['cmp', 'blob', 'back'], { cwd: directory }), '');
      assert.match(await run('--head', url), new RegExp(`content-length: ${blobBytes}`, 'i'));
      await daemon.stop();
    });
  }
});
