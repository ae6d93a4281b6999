// The real files: modes, syncs, and which errors count as absence.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, symlink, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { NodeFileSystem } from './node-file-system.ts';

const files = new NodeFileSystem();

async function temporaryDirectory() {
  const path = await mkdtemp(join(tmpdir(), 'kiln-files-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe('NodeFileSystem', () => {
  it('K1-18: makes files with mode 0444, whatever the umask', async () => {
    await using directory = await temporaryDirectory();
    const before = process.umask();
    try {
      for (const umask of [0o022, 0o077, 0o777]) {
        process.umask(umask);
        const path = join(directory.path, String(umask));
        await using file = await files.createExclusive(path);
        await file.write(Buffer.from('x'));
        assert.equal((await stat(path)).mode & 0o7777, 0o444, `umask ${umask.toString(8)}`);
      }
    } finally {
      process.umask(before);
    }
  });

  it('appends, syncs and reads back, short only at the end', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    {
      await using file = await files.createExclusive(path);
      await file.write(Buffer.from('hello '));
      await file.write(Buffer.from('world'));
      await file.syncData();
    }
    await files.syncDirectory(directory.path);
    await using file = await files.openRead(path);
    assert.ok(file);
    const into = new Uint8Array(8);
    assert.equal(await file.read(into, 0), 8);
    assert.equal(Buffer.from(into).toString(), 'hello wo');
    assert.equal(await file.read(into, 8), 3);
    assert.equal(await file.read(into, 11), 0);
    await file[Symbol.asyncDispose]();
  });

  it('never opens a file that is there for writing', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'file');
    await (await files.createExclusive(path))[Symbol.asyncDispose]();
    await assert.rejects(files.createExclusive(path), { code: 'EEXIST' });
  });

  it('says absent for what is absent, and lets every other error through', async () => {
    await using directory = await temporaryDirectory();
    const absent = join(directory.path, 'absent');
    assert.equal(await files.openRead(absent), undefined);
    assert.equal(await files.status(absent), undefined);
    assert.equal(await files.list(absent), undefined);
    assert.equal(await files.remove(absent), false);
    await files.discard(absent);
    await assert.rejects(files.list(process.execPath), { code: 'ENOTDIR' });
    await assert.rejects(files.openRead(join(process.execPath, 'x')), { code: 'ENOTDIR' });
  });

  it('lists, stats, renames and removes', async () => {
    await using directory = await temporaryDirectory();
    const inner = join(directory.path, 'a/b');
    assert.equal(await files.makeDirectory(inner), true);
    assert.equal(await files.makeDirectory(inner), false);
    await (await files.createExclusive(join(inner, 'one')))[Symbol.asyncDispose]();
    await files.rename(join(inner, 'one'), join(inner, 'two'));
    await symlink('two', join(inner, 'link'));
    await utimes(join(inner, 'two'), 1_234, 1_234);
    const listed = Array.from((await files.list(inner)) ?? [], ({ name, kind }) => `${name} ${kind}`).toSorted();
    assert.deepEqual(listed, ['link other', 'two file']);
    assert.deepEqual(await files.status(join(inner, 'two')), { kind: 'file', sizeBytes: 0, modifiedMs: 1_234_000 });
    assert.equal(await files.remove(join(inner, 'two')), true);
    assert.equal((await files.status(inner))?.kind, 'directory');
  });

  it('writes all of a piece that the system takes in parts', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'large');
    const bytes = Buffer.alloc(9_000_001, 'kiln');
    {
      await using file = await files.createExclusive(path);
      await file.write(bytes);
    }
    assert.ok((await readFile(path)).equals(bytes));
    const { freeBytes, totalBytes } = await files.space(directory.path);
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
  });
});
