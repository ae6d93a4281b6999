// Directories that survive: which syncs are shared and which may not be, and what is tried again.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemError } from '../testing/faulty-file-system.ts';
import { DurableDirectories } from './durable-directories.ts';

/** Directories whose syncs end by hand. */
class Rig {
  readonly made: string[] = [];
  readonly begun: string[] = [];
  readonly #ends: PromiseWithResolvers<void>[] = [];
  readonly directories = new DurableDirectories(
    {
      makeDirectory: (path) => {
        this.made.push(path);
        return Promise.resolve(true);
      },
      syncDirectory: (path) => {
        this.begun.push(path);
        const end = Promise.withResolvers<void>();
        this.#ends.push(end);
        return end.promise;
      },
    },
    '/data',
  );

  /** The sync that was begun first and has not ended. */
  async end(failure?: Error): Promise<void> {
    const end = this.#ends.shift();
    assert.ok(end, 'a sync is under way');
    if (failure === undefined) end.resolve();
    else end.reject(failure);
    await new Promise(setImmediate);
  }
}

describe('syncs of a directory', () => {
  it('K1-01: who comes while one is under way waits for the next, which all of them share', async () => {
    const rig = new Rig();
    const told: string[] = [];
    const sync = (who: string): Promise<void> => rig.directories.sync('/data/a').then(() => void told.push(who));
    const [first, second, third] = [sync('first'), sync('second'), sync('third')];
    assert.equal(rig.begun.length, 1);
    await rig.end();
    await first;
    assert.deepEqual([told, rig.begun.length], [['first'], 2]);
    const fourth = sync('fourth');
    assert.equal(rig.begun.length, 2);
    await rig.end();
    await Promise.all([second, third]);
    assert.deepEqual([told, rig.begun.length], [['first', 'second', 'third'], 3]);
    await rig.end();
    await fourth;
    const later = sync('later');
    assert.equal(rig.begun.length, 4, 'one that has ended says nothing of what came after it');
    await rig.end();
    await later;
  });

  it('is that of the one above, for who took a name away, where the directory is gone too', async () => {
    const rig = new Rig();
    const removed = rig.directories.syncRemoval('/data/objects/sha256/ab');
    await rig.end(systemError('ENOENT', 'open'));
    await rig.end(systemError('ENOENT', 'open'));
    await rig.end();
    await removed;
    assert.deepEqual(rig.begun, ['/data/objects/sha256/ab', '/data/objects/sha256', '/data/objects']);
    const failed = assert.rejects(rig.directories.syncRemoval('/data/a'), { code: 'unavailable' });
    await rig.end(systemError('EIO', 'sync'));
    await failed;
    const gone = assert.rejects(rig.directories.syncRemoval('/data'), { code: 'unavailable' });
    await rig.end(systemError('ENOENT', 'open'));
    await gone;
  });

  it('one that fails is told to those who waited for it, and not to those who wait for the next', async () => {
    const rig = new Rig();
    const first = assert.rejects(rig.directories.sync('/data/a'), { code: 'unavailable' });
    const second = rig.directories.sync('/data/a');
    await rig.end(systemError('EIO', 'sync'));
    await first;
    await rig.end();
    await second;
  });
});

describe('directories that are made', () => {
  it('are made and named durably from the root down, once', async () => {
    const rig = new Rig();
    const both = Promise.all([rig.directories.ensure('/data/a/b'), rig.directories.ensure('/data/a/b')]);
    for (const _level of ['a', 'b']) {
      await new Promise(setImmediate);
      await rig.end();
    }
    await both;
    await rig.directories.ensure('/data/a/b');
    await rig.directories.ensure('/data');
    assert.deepEqual([rig.made, rig.begun], [['/data/a', '/data/a/b'], ['/data', '/data/a']]);
  });

  it('are made again where the sync failed, or when they are forgotten', async () => {
    const rig = new Rig();
    const failing = assert.rejects(rig.directories.ensure('/data/a'), { code: 'unavailable' });
    await new Promise(setImmediate);
    await rig.end(systemError('EIO', 'sync'));
    await failing;
    for (const before of [() => undefined, () => rig.directories.forget('/data/a')]) {
      before();
      const again = rig.directories.ensure('/data/a');
      await new Promise(setImmediate);
      await rig.end();
      await again;
    }
    assert.deepEqual(rig.made, ['/data/a', '/data/a', '/data/a']);
  });
});
