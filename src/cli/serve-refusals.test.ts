// What keeps the server from starting: status 1 and two lines, what is wrong and what to do.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';

const anyPort = ['--listen', '127.0.0.1:0'];
const launcher = fileURLToPath(new URL('../../bin/kiln', import.meta.url));

/** Whether this user may have a mount name space of its own, which the tests of odd file systems need. */
function canMount(): boolean {
  try {
    execFileSync('unshare', ['-rm', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Runs `kiln serve` on a data directory below a file system of its own. `prepare` gets its mount point as $1. */
async function serveOnMount(mountPoint: string, prepare: string): Promise<{ status: number; errors: string }> {
  const script = `${prepare}; exec "$2" serve --listen 127.0.0.1:0 --data "$1/data"`;
  const child = spawn('unshare', ['-rm', 'sh', '-c', script, 'sh', mountPoint, launcher], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [status] = (await once(child, 'close')) as [number];
  return { status, errors };
}

describe('kiln serve refuses to start', () => {
  it('on a port that is in use', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const { port } = other.address() as AddressInfo;
    const data = await temporaryDirectory(t);
    const { status, out, errors } = await runKiln(['serve', '--listen', `127.0.0.1:${port}`, '--data', data]);
    assert.equal(status, 1);
    assert.equal(out, '');
    assert.equal(errors, `kiln: 127.0.0.1:${port} is in use by another process\n  stop that process, or choose another port; --listen 127.0.0.1:0 picks a free one\n`);
    // And gives back what it had opened before.
    await serveKiln(t, [...anyPort, '--data', data]);
  });

  it('on an address that is not of this machine, and a name that is nobody', async (t) => {
    const data = ['--data', await temporaryDirectory(t), '--allow-anonymous', 'read'];
    const foreign = await runKiln(['serve', '--listen', '192.0.2.1:0', ...data]);
    assert.equal(foreign.status, 1);
    assert.match(foreign.errors, /^kiln: this machine has no interface with the address of 192\.0\.2\.1:0\n {2}.*\n$/);
    const nobody = await runKiln(['serve', '--listen', 'no-such-host.invalid:0', ...data]);
    assert.equal(nobody.status, 1);
    assert.match(nobody.errors, /^kiln: cannot find the address of host "no-such-host\.invalid"\n {2}.*\n$/);
  });

  it('when the ready file cannot be written', async (t) => {
    const data = await temporaryDirectory(t);
    const { status, errors } = await runKiln(['serve', ...anyPort, '--data', data, '--ready-file', '/nonexistent/ready.json']);
    assert.equal(status, 1);
    assert.match(errors, /^\S+ info {2}stopped.*\nkiln: cannot write the ready file \/nonexistent\/ready\.json \(ENOENT\)\n {2}.*--ready-file FILE\n$/);
  });

  it('and removes the ready file of a dead server before it tries, but not that of a living one', async (t) => {
    const directory = await temporaryDirectory(t);
    const readyFile = join(directory, 'ready.json');
    const tryToStart = () => runKiln(['serve', '--listen', `unix:${directory}`, '--data', join(directory, 'data'), '--ready-file', readyFile]);
    await writeFile(readyFile, JSON.stringify({ pid: process.pid, grpc: 'grpc://127.0.0.1:1' }));
    assert.equal((await tryToStart()).status, 1);
    assert.ok(existsSync(readyFile));
    await writeFile(readyFile, JSON.stringify({ pid: 2 ** 22 + 1, grpc: 'grpc://127.0.0.1:1' }));
    assert.equal((await tryToStart()).status, 1);
    assert.ok(!existsSync(readyFile));
  });

  it('on a data directory that is a file, or below one', async (t) => {
    const file = join(await temporaryDirectory(t), 'file');
    await writeFile(file, 'precious');
    const link = `${file}-link`;
    await symlink(`${file}-nowhere`, link);
    for (const data of [file, join(file, 'data'), link, join(link, 'data')]) {
      const { status, errors } = await runKiln(['serve', ...anyPort, '--data', data]);
      assert.equal(status, 1);
      assert.match(errors, /^kiln: the data directory .* is a file or a link that leads nowhere, or is below one\n {2}choose a directory with --data\n$/);
    }
  });

  it('on a directory in which the system lets nobody make one', { skip: process.platform !== 'linux' }, async () => {
    const { status, errors } = await runKiln(['serve', ...anyPort, '--data', '/proc/kiln/data']);
    assert.equal(status, 1);
    assert.match(errors, /^kiln: the data directory \/proc\/kiln\/data cannot be used: the system reports ENOENT\n {2}choose another with --data\n$/);
  });

  it('on a directory with files of somebody else', async (t) => {
    const directory = await temporaryDirectory(t);
    await writeFile(join(directory, 'thesis.tex'), 'precious');
    const { status, errors } = await runKiln(['serve', ...anyPort, '--data', directory]);
    assert.equal(status, 1);
    assert.match(errors, /^kiln: the data directory .* holds "thesis\.tex" and was not made by Kiln\n {2}choose .*\n$/);
  });

  it('on a directory it may not write to', { skip: process.getuid?.() === 0 && 'root may write everywhere' }, async (t) => {
    const directory = await temporaryDirectory(t);
    await mkdir(join(directory, 'closed'));
    await chmod(join(directory, 'closed'), 0o555);
    const { status, errors } = await runKiln(['serve', ...anyPort, '--data', join(directory, 'closed', 'data')]);
    assert.equal(status, 1);
    assert.match(errors, /^kiln: the data directory .* may not be used by this user \(EACCES\)\n {2}change its owner or mode, .*\n$/);
  });

  const mounts = { skip: !canMount() && 'needs unshare -rm' };
  it('on a read-only file system', mounts, async (t) => {
    const directory = await temporaryDirectory(t);
    const { status, errors } = await serveOnMount(directory, 'mount -t tmpfs -o ro none "$1"');
    assert.equal(status, 1);
    assert.match(errors, /^kiln: the data directory .* is on a read-only file system\n {2}choose another with --data\n$/);
  });

  it('on a full disk', mounts, async (t) => {
    const directory = await temporaryDirectory(t);
    const fill = 'mount -t tmpfs -o size=64k none "$1"; mkdir "$1/data"; dd if=/dev/zero of="$1/rest" 2>/dev/null';
    const { status, errors } = await serveOnMount(directory, fill);
    assert.equal(status, 1);
    assert.match(errors, /^kiln: the disk of the data directory .* is full \(ENOSPC\)\n {2}free some space, or choose another with --data\n$/);
  });
});
