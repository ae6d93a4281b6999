// One sync for many, in order, and never an answer for what was written after it began: over a port that is as bad as is
// legal, and over a real thread and file.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { SyncPort, SyncTarget } from '../base/log-files.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { SyncThread } from '../platform/sync-thread.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { GroupSync } from './group-sync.ts';

/** A file of one number, whose syncs end when the test says so and make durable what was written when they began. */
class NumberFile implements SyncPort {
  readonly fd = 9;
  written = 0;
  durable = 0;
  readonly targets: SyncTarget[] = [];
  #under: { readonly covers: number; readonly outcome: PromiseWithResolvers<number> } | undefined;

  get isSyncing(): boolean {
    return this.#under !== undefined;
  }

  sync(fd: number, target: SyncTarget): Promise<number> {
    assert.equal(fd, this.fd);
    assert.equal(this.#under, undefined, 'one at a time');
    this.targets.push(target);
    this.#under = { covers: this.written, outcome: Promise.withResolvers() };
    return this.#under.outcome.promise;
  }

  /** Ends the sync under way, and lets those who waited go on. */
  async end(failure?: Error): Promise<void> {
    const under = this.#under;
    assert.ok(under);
    this.#under = undefined;
    if (failure === undefined) this.durable = under.covers;
    if (failure === undefined) under.outcome.resolve(17);
    else under.outcome.reject(failure);
    await new Promise((resolve) => setImmediate(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}

describe('GroupSync', () => {
  it('K1-22: those who come during a sync share the next one, and are told in their order, all in one pass', async () => {
    const file = new NumberFile();
    const took: number[] = [];
    const group = new GroupSync(file, file, { target: 'data', onSync: (microseconds) => took.push(microseconds) });
    const told: string[] = [];
    const write = (name: string): void => {
      file.written += 1;
      const written = file.written;
      group.whenDurable((outcome) => {
        assert.ok(file.durable >= written);
        told.push(`${name} ${outcome.kind}`);
        void Promise.resolve().then(() => told.push(`turn of ${name}`));
      });
    };
    write('a');
    write('b');
    write('c');
    assert.equal(file.targets.length, 1);
    await file.end();
    assert.deepEqual(told, ['a durable', 'turn of a']);
    await file.end();
    assert.deepEqual(told.slice(2), ['b durable', 'c durable', 'turn of b', 'turn of c']);
    assert.equal(file.isSyncing, false);
    assert.deepEqual(took, [17, 17]);
    assert.deepEqual(file.targets, ['data', 'data']);
  });

  it('K1-08: a failed sync fails those who waited, those who came meanwhile and all who come later; nothing is tried again', async () => {
    const file = new NumberFile();
    const group = new GroupSync(file, file, { target: 'names' });
    const failure = Object.assign(new Error('disk'), { code: 'EIO' });
    const told: unknown[] = [];
    const ask = (): void => group.whenDurable((outcome) => told.push(outcome.kind === 'failed' && outcome.cause));
    ask();
    ask();
    const promised = assert.rejects(group.durable(), failure);
    await file.end(failure);
    await promised;
    assert.equal(group.hasFailed, true);
    ask();
    assert.deepEqual(told, [failure, failure, failure]);
    await assert.rejects(group.durable(), failure);
    assert.deepEqual(file.targets, ['names']);
    await group[Symbol.asyncDispose]();
  });

  it('who is told may write and wait again', async () => {
    const file = new NumberFile();
    const group = new GroupSync(file, file, { target: 'data' });
    let rounds = 0;
    const again = (): void => {
      rounds += 1;
      if (rounds < 4) group.whenDurable(again);
    };
    group.whenDurable(again);
    for (let round = 0; round < 4; round += 1) await file.end();
    assert.equal(rounds, 4);
    assert.equal(file.isSyncing, false);
  });

  it('closing waits for all who came, and lets nobody come after', async () => {
    const file = new NumberFile();
    const group = new GroupSync(file, file, { target: 'data' });
    const waiting = [group.durable(), group.durable()];
    let closed = false;
    const closing = group[Symbol.asyncDispose]().then(() => (closed = true));
    assert.throws(() => group.whenDurable(() => undefined), { name: 'AssertionError' });
    await file.end();
    assert.equal(closed, false);
    await file.end();
    await Promise.all([closing, ...waiting]);
  });

  it('K1-03: answers for nothing that a sync may have missed, in any order of writes and ends', async (t) => {
    const random = seededRandom(t);
    const file = new NumberFile();
    const group = new GroupSync(file, file, { target: 'data' });
    let last = 0;
    let open = 0;
    for (let round = 0; round < 3000; round += 1) {
      if (random.integer(0, 2) > 0) {
        file.written += 1;
        const written = file.written;
        open += 1;
        group.whenDurable(() => {
          assert.ok(file.durable >= written, `${file.durable} is durable, ${written} was written`);
          assert.ok(written > last, 'in order');
          last = written;
          open -= 1;
        });
      } else if (file.isSyncing) {
        await file.end();
      }
    }
    while (file.isSyncing) await file.end();
    assert.equal(open, 0);
  });

  it('K1-22: over a real thread and file, needs far fewer syncs than writes', async () => {
    const path = await mkdtemp(join(tmpdir(), 'kiln-group-sync-'));
    let syncs = 0;
    {
      await using thread = new SyncThread('test');
      await using file = await new NodeLogFileSystem().createLog(join(path, 'log'), 0o600);
      await using group = new GroupSync(thread, file, { target: 'data', onSync: () => (syncs += 1) });
      let end = 0;
      const writer = async (): Promise<void> => {
        for (let round = 0; round < 15; round += 1) {
          const at = end;
          end += 4;
          file.writeNow([Buffer.from('word')], at);
          await group.durable();
        }
      };
      await Promise.all(Array.from({ length: 64 }, writer));
    }
    assert.equal((await readFile(join(path, 'log'), 'latin1')), 'word'.repeat(64 * 15));
    assert.ok(syncs <= 64 * 15 / 8, `${syncs} syncs for ${64 * 15} writes`);
    await rm(path, { recursive: true });
  });
});
