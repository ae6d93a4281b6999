// The real files of the segment engine: positions, lengths, modes, and errors that keep their names.
import assert from 'node:assert/strict';
import { link, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { NodeLogFileSystem, buffersBehind } from './node-log-files.ts';
import { SyncThread } from './sync-thread.ts';

const files = new NodeLogFileSystem();

async function temporaryDirectory() {
  const path = await mkdtemp(join(tmpdir(), 'kiln-log-files-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe('NodeLogFileSystem', () => {
  it('K1-18: makes files of the mode asked for, whatever the umask, and never over one that is there', async () => {
    await using directory = await temporaryDirectory();
    const before = process.umask();
    try {
      for (const [index, umask] of [0o022, 0o077, 0o777].entries()) {
        process.umask(umask);
        for (const mode of [0o600, 0o444]) {
          const path = join(directory.path, `${index}-${mode}`);
          await using file = await files.createLog(path, mode);
          file.writeNow([Buffer.from('x')], 0);
          assert.equal((await stat(path)).mode & 0o7777, mode, `umask ${umask.toString(8)}`);
          await assert.rejects(files.createLog(path, mode), { code: 'EEXIST' });
        }
      }
    } finally {
      process.umask(before);
    }
  });

  it('writes and reads at positions, at once and off the loop', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    await using file = await files.createLog(path, 0o600);
    const expected = Buffer.alloc(400_000);
    let length = 0;
    for (let round = 0; round < 40; round += 1) {
      const position = random.integer(0, 300_000);
      const buffers = Array.from({ length: random.integer(0, 4) }, () => random.bytes(random.integer(0, 20_000)));
      const all = Buffer.concat(buffers);
      if (random.integer(0, 1) === 0) file.writeNow(buffers, position);
      else await file.write(all, position);
      all.copy(expected, position);
      if (all.byteLength > 0) length = Math.max(length, position + all.byteLength);
      const into = Buffer.alloc(random.integer(0, 50_000));
      const from = random.integer(0, 350_000);
      const got = random.integer(0, 1) === 0 ? file.readNow(into, from) : await file.read(into, from);
      assert.equal(got, Math.max(0, Math.min(into.byteLength, length - from)));
      assert.deepEqual(into.subarray(0, got), expected.subarray(from, from + got));
    }
    assert.deepEqual(await readFile(path), expected.subarray(0, length));
  });

  it('writes more buffers in one go than the system takes', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    await using file = await files.createLog(path, 0o600);
    const buffers = Array.from({ length: 5000 }, (_, index) => Buffer.from(`${index},`));
    file.writeNow(buffers, 3);
    assert.deepEqual((await readFile(path)).subarray(3), Buffer.concat(buffers));
  });

  it('opens again what was closed, cuts it and makes it longer, and tells length and names', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    {
      await using made = await files.createLog(path, 0o600);
      made.writeNow([Buffer.from('0123456789')], 0);
    }
    assert.equal(await files.openLog(join(directory.path, 'other')), undefined);
    await using file = await files.openLog(path);
    assert.ok(file);
    await link(path, join(directory.path, 'second name'));
    assert.deepEqual(await file.status(), { sizeBytes: 10, links: 2 });
    await file.truncate(4);
    await file.truncate(6);
    assert.deepEqual(await readFile(path), Buffer.from('0123\0\0'));
    await file.setMode(0o444);
    assert.equal((await stat(path)).mode & 0o7777, 0o444);
  });

  it('opens to read what nobody may write, and changes its mode', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    {
      await using made = await files.createLog(path, 0o444);
      made.writeNow([Buffer.from('0123')], 0);
    }
    assert.equal(await files.openLog(join(directory.path, 'other'), 'read'), undefined);
    await using file = await files.openLog(path, 'read');
    assert.ok(file);
    await assert.rejects(file.write(Buffer.from('x'), 0), { code: 'EBADF' });
    const into = Buffer.alloc(5);
    assert.equal(await file.read(into, 1), 3);
    await file.setMode(0o600);
    assert.equal((await stat(path)).mode & 0o7777, 0o600);
  });

  it('removes a directory only when it is empty', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'inner');
    assert.equal(await files.removeDirectory(path), false);
    await files.makeDirectory(path);
    await (await files.createLog(join(path, 'file'), 0o600))[Symbol.asyncDispose]();
    assert.equal(await files.removeDirectory(path), false);
    await assert.rejects(files.removeDirectory(join(path, 'file')), { code: 'ENOTDIR' });
    await files.remove(join(path, 'file'));
    assert.equal(await files.removeDirectory(path), true);
    assert.equal(await files.status(path), undefined);
  });

  it('keeps the names of errors', { skip: process.platform !== 'linux' && 'needs /dev/full' }, async () => {
    await using full = await files.openLog('/dev/full');
    assert.ok(full);
    assert.throws(() => full.writeNow([Buffer.from('x')], 0), { code: 'ENOSPC' });
    await assert.rejects(full.write(Buffer.from('x'), 0), { code: 'ENOSPC' });
    await assert.rejects(files.openLog(tmpdir()), { code: 'EISDIR' });
    await assert.rejects(files.openDirectory('/dev/full'), { code: 'ENOTDIR' });
  });

  it('gives descriptors that a thread can sync, and none once closed', async () => {
    await using directory = await temporaryDirectory();
    await using thread = new SyncThread('test');
    await using opened = await files.openDirectory(directory.path);
    const file = await files.createLog(join(directory.path, 'file'), 0o600);
    file.writeNow([Buffer.from('x')], 0);
    await Promise.all([thread.sync(file.fd, 'data'), thread.sync(opened.fd, 'names')]);
    await file[Symbol.asyncDispose]();
    await file[Symbol.asyncDispose]();
    assert.throws(() => file.fd, { name: 'AssertionError' });
    assert.throws(() => file.writeNow([Buffer.from('x')], 0), { name: 'AssertionError' });
  });
});

describe('buffersBehind', () => {
  it('is what is left, wherever the system stops', () => {
    const buffers = ['ab', '', 'cde', 'f', ''].map((text) => Buffer.from(text));
    const all = Buffer.concat(buffers);
    for (let count = 0; count <= all.byteLength; count += 1) {
      const left = buffersBehind(buffers, count);
      assert.deepEqual(Buffer.concat(left), all.subarray(count));
      if (count === all.byteLength) assert.deepEqual(left, [], 'nothing to go on with');
    }
  });
});
