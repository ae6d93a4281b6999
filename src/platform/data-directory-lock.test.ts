// The lock of a data directory, against other processes and within this one.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lockDataDirectory } from './data-directory-lock.ts';

const holder = { pid: process.pid, startedAt: '2026-01-02T03:04:05.000Z', listen: '127.0.0.1:9092' };

async function temporaryDirectory() {
  const path = await mkdtemp(join(tmpdir(), 'kiln-lock-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Another process that takes the lock, says so or why not, and then stays until killed. */
async function otherProcess(directory: string) {
  const code = `
    import { lockDataDirectory } from ${JSON.stringify(import.meta.resolve('./data-directory-lock.ts'))};
    try {
      await lockDataDirectory(${JSON.stringify(directory)}, { pid: process.pid, startedAt: 'then', listen: 'there' });
      console.log('taken');
    } catch (thrown) {
      console.log(thrown.code + ' ' + thrown.message);
      process.exit(1);
    }
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], { stdio: ['ignore', 'pipe', 'pipe'] });
  let noise = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (noise += text));
  const [said] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return {
    said: said.trim(),
    pid: child.pid,
    noise: () => noise,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

describe('data directory lock', () => {
  it('K1-15: refuses a second owner, naming the first, until the first lets go', async () => {
    await using directory = await temporaryDirectory();
    {
      await using lock = await lockDataDirectory(directory.path, { ...holder, listen: '127.0.0.1:0' });
      await lock.announce(holder);
      await using second = await otherProcess(directory.path);
      assert.match(second.said, /^failed_precondition /);
      for (const fact of [directory.path, `process ${process.pid}`, holder.startedAt, holder.listen, '--data']) {
        assert.ok(second.said.includes(fact), `${fact} in: ${second.said}`);
      }
      await lock[Symbol.asyncDispose]();
      await using third = await otherProcess(directory.path);
      assert.equal(third.said, 'taken');
    }
  });

  it('K1-15: is free again as soon as its owner was killed', async () => {
    await using directory = await temporaryDirectory();
    {
      await using other = await otherProcess(directory.path);
      assert.equal(other.said, 'taken');
      await assert.rejects(lockDataDirectory(directory.path, holder), { code: 'failed_precondition' });
    }
    await using _lock = await lockDataDirectory(directory.path, holder);
  });

  it('refuses a second owner in the same process, whatever name it uses, and the lock still holds', async () => {
    await using directory = await temporaryDirectory();
    const alias = `${directory.path}.alias`;
    await symlink(directory.path, alias);
    try {
      const outcomes = await Promise.allSettled([lockDataDirectory(directory.path, holder), lockDataDirectory(alias, holder)]);
      const taken = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      assert.equal(taken.length, 1);
      await assert.rejects(lockDataDirectory(directory.path, holder), { code: 'failed_precondition' });
      await using other = await otherProcess(directory.path);
      assert.match(other.said, /^failed_precondition /);
      await taken[0]?.[Symbol.asyncDispose]();
    } finally {
      await rm(alias);
    }
  });

  it('leaves nothing but the lock file, and prints nothing', async () => {
    await using directory = await temporaryDirectory();
    await using other = await otherProcess(directory.path);
    assert.equal(other.noise(), '');
    await other[Symbol.asyncDispose]();
    const lock = await lockDataDirectory(directory.path, holder);
    await lock[Symbol.asyncDispose]();
    await lock[Symbol.asyncDispose]();
    assert.deepEqual(await readdir(directory.path), ['lock']);
  });

  it('lets the error of the system through when the directory cannot be used', async () => {
    await assert.rejects(lockDataDirectory(join(process.execPath, 'data'), holder), { code: 'ENOTDIR' });
    await assert.rejects(lockDataDirectory('/proc/self/fdinfo', holder), (thrown: NodeJS.ErrnoException) => /^E[A-Z]+$/.test(thrown.code ?? ''));
  });
});
