// Real descriptors: what a channel does when its reader does nothing.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../testing/kiln-process.ts';
import { NonBlockingChannel, PooledChannel } from './output-channel.ts';

describe('output channel', () => {
  it('K11-06: takes from a full pipe what fits, then nothing, without waiting', async (t) => {
    const path = join(await temporaryDirectory(t), 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    t.after(() => closeSync(writer));
    const channel = new NonBlockingChannel(writer);
    let taken = 0;
    for (let outcome = channel.write(Buffer.alloc(40_000)); outcome !== 0; outcome = channel.write(Buffer.alloc(40_000))) {
      assert.notEqual(outcome, 'broken');
      taken += Number(outcome);
    }
    assert.ok(taken > 0);
    assert.equal(readSync(reader, Buffer.alloc(40_000)), 40_000);
    assert.ok(Number(channel.write(Buffer.alloc(4_096))) > 0, 'there is room again');
    closeSync(reader);
    assert.equal(channel.write(Buffer.alloc(10)), 'broken');
  });

  it('writes a file by a thread, each chunk once and in order', async (t) => {
    const path = join(await temporaryDirectory(t), 'log');
    const descriptor = openSync(path, 'w');
    t.after(() => closeSync(descriptor));
    const channel = new PooledChannel(descriptor);
    for (const text of ['one\n', 'two\n']) {
      const bytes = Buffer.from(text);
      while (channel.write(bytes) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(channel.writeAtEnd(Buffer.from('three\n')), 6);
    assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\nthree\n');
    assert.equal(channel.hanging, false);
  });

  it('loses nothing of a file to an end by a signal, which no thread survives', async (t) => {
    const directory = await temporaryDirectory(t);
    const program = `
      import { pbkdf2 } from 'node:crypto';
      import { openSync } from 'node:fs';
      import { PooledChannel } from '${new URL('./output-channel.ts', import.meta.url).href}';
      const channel = new PooledChannel(openSync(process.argv[2], 'w'));
      pbkdf2('', '', 5_000, 32, 'sha256', () => {}); // some milliseconds, for which the only thread has no time
      channel.write(Buffer.from('last words'));
      channel.writeAtEnd(Buffer.from('last words'));
      process.kill(process.pid, 'SIGKILL');
    `;
    const [file, path] = [join(directory, 'program.mjs'), join(directory, 'log')];
    await writeFile(file, program);
    const child = spawn(process.execPath, [file, path], { stdio: 'ignore', env: { ...process.env, UV_THREADPOOL_SIZE: '1' } });
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    assert.equal(readFileSync(path, 'utf8'), 'last words');
  });

  it('says of a full disk that it is broken, and tries again after that', async () => {
    const descriptor = openSync('/dev/full', 'w');
    const channel = new PooledChannel(descriptor);
    let outcome = channel.write(Buffer.from('x'));
    while (outcome === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      outcome = channel.write(Buffer.from('x'));
    }
    assert.equal(outcome, 'broken');
    assert.equal(channel.write(Buffer.from('x')), 0, 'on its way');
    assert.equal(channel.writeAtEnd(Buffer.from('x')), 1);
    closeSync(descriptor);
  });

  it('K11-06: ends the process although a thread waits for a device that never answers', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    t.after(() => closeSync(reader));
    const url = (name: string) => new URL(name, import.meta.url).href;
    const program = `
      import { openSync } from 'node:fs';
      import { monotonicClock, timers, wallClock } from '${url('./clocks.ts')}';
      import { openPinoLog } from '${url('./pino-log.ts')}';
      import { PooledChannel } from '${url('./output-channel.ts')}';
      const channel = new PooledChannel(openSync(process.argv[2], 'w'));
      const log = openPinoLog({ level: 'info', format: 'text' }, { wallClock, clock: monotonicClock, timers }, channel);
      log.info('x'.repeat(500_000));
      setInterval(() => channel.hanging && process.exit(0), 50);
    `;
    const file = join(directory, 'program.mjs');
    await writeFile(file, program);
    const child = spawn(process.execPath, [file, path], { stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
  });
});
