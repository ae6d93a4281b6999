// The real thread over real files, and the protocol with it over files that a test holds up, loses and breaks at will.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { setEnvironmentData } from 'node:worker_threads';
import { brokenFd, deadlyFd, gateName, gateWord, gateWords } from '../testing/gated-sync-thread.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { SyncThread } from './sync-thread.ts';
import { entryBeside } from './thread.ts';

const gatedEntry = entryBeside(import.meta.url, '../testing/gated-sync-thread.ts');
const openWide = -1;

/** Files in memory, and the side of the test of the thread that syncs them. */
class Gate {
  readonly words = new Int32Array(new SharedArrayBuffer(gateWords * Int32Array.BYTES_PER_ELEMENT));
  readonly thread: SyncThread;

  constructor(permits: number) {
    this.words[gateWord.permits] = permits;
    setEnvironmentData(gateName, this.words);
    this.thread = new SyncThread('gated', { entry: gatedEntry });
  }

  /** Resolves to what is written now. */
  write(fd: number): number {
    return Atomics.add(this.words, gateWord.written + fd, 1) + 1;
  }

  durable(fd: number): number {
    return Atomics.load(this.words, gateWord.durable + fd);
  }

  permit(count: number): void {
    if (count === openWide) Atomics.store(this.words, gateWord.permits, openWide);
    else Atomics.add(this.words, gateWord.permits, count);
    Atomics.notify(this.words, gateWord.permits);
  }

  get begun(): number {
    return Atomics.load(this.words, gateWord.begun);
  }

  async untilBegun(count: number): Promise<void> {
    for (let begun = this.begun; begun < count; begun = this.begun) {
      const changed = Atomics.waitAsync(this.words, gateWord.begun, begun, 1_000);
      if (changed.async) await Promise.race([changed.value, sleep(50)]);
    }
  }
}

async function temporaryFile() {
  const path = await mkdtemp(join(tmpdir(), 'kiln-sync-'));
  const file = await open(join(path, 'file'), 'w+');
  return {
    path,
    fd: file.fd,
    write: () => file.write(Buffer.from('x')),
    async [Symbol.asyncDispose]() {
      await file.close();
      await rm(path, { recursive: true });
    },
  };
}

describe('SyncThread over real files', () => {
  it('syncs content and names, one after the other and together', async () => {
    await using file = await temporaryFile();
    const directory = await open(file.path, 'r');
    {
      await using thread = new SyncThread('test');
      for (let round = 0; round < 20; round += 1) {
        await file.write();
        const took = await Promise.all([thread.sync(file.fd, 'data'), thread.sync(directory.fd, 'names')]);
        for (const microseconds of took) assert.ok(Number.isInteger(microseconds) && microseconds >= 0, String(microseconds));
      }
    }
    await directory.close();
  });

  it('tells the error of the system, and goes on', async () => {
    await using file = await temporaryFile();
    await using thread = new SyncThread('test');
    const closed = 1_000_000;
    await assert.rejects(thread.sync(closed, 'data'), { code: 'EBADF', syscall: 'fdatasync', message: `EBADF: bad file descriptor, fdatasync of descriptor ${closed}` });
    await assert.rejects(thread.sync(closed, 'names'), { code: 'EBADF', syscall: 'fsync' });
    await thread.sync(file.fd, 'data');
  });

  it('starts when it is asked, where it was told so, and closes without having been', async () => {
    await using file = await temporaryFile();
    let started = 0;
    const count = (): void => void (started += 1);
    process.on('worker', count);
    try {
      await using unused = new SyncThread('unused', { whenAsked: true });
      await using thread = new SyncThread('test', { whenAsked: true });
      await new Promise((resolve) => setImmediate(resolve)); // it is told in the turn after
      assert.equal(started, 0);
      await thread.sync(file.fd, 'data');
      assert.equal(started, 1);
      await unused[Symbol.asyncDispose]();
    } finally {
      process.off('worker', count);
    }
  });
});

describe('SyncThread', () => {
  it('K1-03: a sync that has begun does not answer for what is written later; those that wait are one', async () => {
    const gate = new Gate(0);
    await using thread = gate.thread;
    gate.write(7);
    const first = thread.sync(7, 'data');
    await gate.untilBegun(1);
    const second = gate.write(7);
    const later = [thread.sync(7, 'data'), thread.sync(7, 'data'), thread.sync(7, 'names')];
    gate.permit(1);
    await first;
    assert.equal(gate.durable(7), 1);
    gate.permit(1);
    await Promise.all(later);
    assert.equal(gate.durable(7), second);
    assert.equal(gate.begun, 2);
  });

  it('takes more requests than the ring has places, and answers each', async () => {
    const gate = new Gate(0);
    await using thread = gate.thread;
    const finished: number[] = [];
    const all = Array.from({ length: 200 }, async (_, fd) => {
      const written = gate.write(fd);
      await thread.sync(fd, 'data');
      assert.equal(gate.durable(fd), written);
      finished.push(fd);
    });
    await gate.untilBegun(1);
    gate.permit(openWide);
    await Promise.all(all);
    assert.deepEqual(finished, Array.from({ length: 200 }, (_, fd) => fd), 'in the order in which they came');
    assert.equal(gate.begun, 200);
  });

  it('K1-03: a failed sync fails those that waited for the same file, and no others', async () => {
    const gate = new Gate(0);
    await using thread = gate.thread;
    const failing = thread.sync(brokenFd, 'data');
    await gate.untilBegun(1);
    const [waiting, other] = [thread.sync(brokenFd, 'data'), thread.sync(1, 'data')];
    gate.permit(openWide);
    await assert.rejects(failing, { code: 'EIO' });
    await assert.rejects(waiting, { code: 'EIO' });
    await other;
    assert.equal(gate.begun, 2, 'the file was not synced again');
  });

  it('fails all that is open when the thread dies, and starts another one', async () => {
    const gate = new Gate(0);
    await using thread = gate.thread;
    const done = thread.sync(1, 'data');
    const open = [deadlyFd, deadlyFd, 2, 3, ...Array.from({ length: 100 }, (_, index) => index + 4)].map((fd) => thread.sync(fd, 'data'));
    const outcomes = Promise.allSettled(open);
    await gate.untilBegun(1);
    gate.permit(2);
    await done;
    for (const outcome of await outcomes) assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'unavailable');
    gate.permit(openWide);
    const written = gate.write(2);
    await thread.sync(2, 'data');
    assert.equal(gate.durable(2), written);
  });

  it('finishes what was asked when it is closed, and takes nothing more', async () => {
    const gate = new Gate(0);
    const written = gate.write(1);
    const open = [gate.thread.sync(1, 'data'), ...Array.from({ length: 80 }, (_, index) => gate.thread.sync(index + 2, 'data'))];
    await gate.untilBegun(1);
    const closed = gate.thread[Symbol.asyncDispose]();
    await assert.rejects(gate.thread.sync(1, 'data'), { code: 'unavailable' });
    gate.permit(openWide);
    await Promise.all([closed, gate.thread[Symbol.asyncDispose](), ...open]);
    assert.equal(gate.durable(1), written);
  });

  it('closes though the thread dies of its last request, and though it died before', async () => {
    const gate = new Gate(openWide);
    const dying = gate.thread.sync(deadlyFd, 'data');
    await Promise.all([assert.rejects(dying, { code: 'unavailable' }), gate.thread[Symbol.asyncDispose]()]);
    const again = new Gate(openWide);
    await assert.rejects(again.thread.sync(deadlyFd, 'data'), { code: 'unavailable' });
    await again.thread[Symbol.asyncDispose]();
  });

  it('does not keep the process alive while nothing is open, but does for what is', async () => {
    await using file = await temporaryFile();
    const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    // The second sync ends by a timer that does not keep the process alive either.
    const program = `
      import { setEnvironmentData } from 'node:worker_threads';
      import { SyncThread } from ${here('sync-thread.ts')};
      const gate = new Int32Array(new SharedArrayBuffer(${gateWords * Int32Array.BYTES_PER_ELEMENT}));
      gate[${gateWord.permits}] = 1;
      setEnvironmentData('${gateName}', gate);
      const thread = new SyncThread('left open', { entry: new URL(${here('../testing/gated-sync-thread.ts')}) });
      process.on('exit', (status) => console.log('exit', status));
      await thread.sync(1, 'data');
      setTimeout(() => {
        Atomics.store(gate, ${gateWord.permits}, ${openWide});
        Atomics.notify(gate, ${gateWord.permits});
      }, 50).unref();
      thread.sync(1, 'data').then(() => console.log('synced'));`;
    const path = join(file.path, 'program.mjs');
    await writeFile(path, program);
    const { stdout } = await promisify(execFile)(process.execPath, [path]);
    assert.equal(stdout, 'synced\nexit 0\n');
  });

  it('an entry that cannot be loaded fails what is asked', async () => {
    await using thread = new SyncThread('test', { entry: new URL('file:///nowhere/at/all.ts') });
    await assert.rejects(thread.sync(1, 'data'), { code: 'unavailable' });
  });

  it('fails what is asked where no thread can be started, and again for the same file, and closes', async () => {
    await using thread = new SyncThread('test', { entry: new URL('http://nowhere.invalid/at/all.ts'), whenAsked: true });
    for (let tries = 0; tries < 2; tries += 1) await assert.rejects(thread.sync(1, 'data'), { code: 'unavailable', message: /could not be started/ });
  });

  it('K1-03: loses no wake-up and answers for all that was written before, in any order of writes and pauses', async (t) => {
    const random = seededRandom(t);
    const gate = new Gate(openWide);
    await using thread = gate.thread;
    const writer = async (): Promise<void> => {
      for (let round = 0; round < 150; round += 1) {
        const fd = random.integer(0, 90);
        const written = gate.write(fd);
        const synced = thread.sync(fd, random.pick(['data', 'names']));
        if (random.integer(0, 3) === 0) gate.write(fd);
        await synced;
        assert.ok(gate.durable(fd) >= written, `file ${fd}: ${gate.durable(fd)} is durable, ${written} was asked for`);
        if (random.integer(0, 9) === 0) await sleep(random.integer(0, 1)); // the thread falls asleep now and then
      }
    };
    await Promise.all(Array.from({ length: 100 }, writer));
  });
});
