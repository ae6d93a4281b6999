// Files that are changed as a whole, by one at a time.
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../testing/kiln-process.ts';
import { changePrivateFile } from './private-file.ts';

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('changePrivateFile', () => {
  it('makes a file that only its owner may read, and leaves nothing beside it', async (t) => {
    const directory = await temporaryDirectory(t);
    await changePrivateFile(join(directory, 'f'), (text) => `${text}one\n`);
    await changePrivateFile(join(directory, 'f'), (text) => `${text}two\n`);
    assert.equal(await readFile(join(directory, 'f'), 'utf8'), 'one\ntwo\n');
    assert.equal(await modeOf(join(directory, 'f')), 0o600);
    assert.deepEqual(await readdir(directory), ['f']);
  });

  it('keeps the mode of a file that a server reads by its group', async (t) => {
    const path = join(await temporaryDirectory(t), 'f');
    await writeFile(path, 'one\n');
    await chmod(path, 0o640);
    await changePrivateFile(path, (text) => `${text}two\n`);
    assert.equal(await modeOf(path), 0o640);
  });

  it('changes the file that a link leads to', async (t) => {
    const directory = await temporaryDirectory(t);
    await mkdir(join(directory, 'real'));
    await writeFile(join(directory, 'real', 'f'), 'one\n');
    await symlink(join('real', 'f'), join(directory, 'link'));
    await changePrivateFile(join(directory, 'link'), (text) => `${text}two\n`);
    assert.equal(await readFile(join(directory, 'real', 'f'), 'utf8'), 'one\ntwo\n');
  });

  it('lets one at a time at it, and loses nothing', async (t) => {
    const path = join(await temporaryDirectory(t), 'f');
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, number) => changePrivateFile(path, (text) => `${text}${number}\n`)));
    const done = outcomes.filter(({ status }) => status === 'fulfilled').length;
    assert.ok(done >= 1);
    assert.equal((await readFile(path, 'utf8')).split('\n').length - 1, done);
    for (const outcome of outcomes) if (outcome.status === 'rejected') assert.match(String(outcome.reason), /is being changed by somebody else/);
  });

  it('loses nothing when the next one begins the moment the file is in place', async (t) => {
    const path = join(await temporaryDirectory(t), 'f');
    const eager = async (name: string): Promise<void> => {
      for (let number = 0; number < 25; ) {
        const done = await changePrivateFile(path, (text) => `${text}${name}${number}\n`).then(() => true, () => false);
        if (done) number += 1;
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(eager));
    assert.equal((await readFile(path, 'utf8')).split('\n').length - 1, 100);
  });

  it('leaves everything as it was when the change is refused, or cannot be written', async (t) => {
    const directory = await temporaryDirectory(t);
    const path = join(directory, 'f');
    await writeFile(path, 'one\n');
    await assert.rejects(changePrivateFile(path, () => { throw new TypeError('no'); }));
    assert.deepEqual([await readFile(path, 'utf8'), await readdir(directory)], ['one\n', ['f']]);
    await assert.rejects(changePrivateFile(join(directory, 'none', 'f'), (text) => text), { code: 'failed_precondition', message: /cannot change .* \(ENOENT\)\nname a file that you own/ });
    await assert.rejects(changePrivateFile(directory, (text) => text), { code: 'failed_precondition', message: /\(EISDIR\)/ });
  });
});
