// Proves that the ports without threads keep what the ports promise, and no more.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sha256 } from '../digest/digest-function.ts';
import { emptyDisk } from './disk-image.ts';
import { seededRandom } from './seeded-random.ts';
import { SimulatedMachine, StuckError } from './simulated-machine.ts';
import { spoiltSyncs } from './spoiled-ports.ts';

describe('ports without threads', () => {
  it('do what is asked in an order of the seed: the same again with it, another with another one', async () => {
    const orderOf = async (seed: number): Promise<string> => {
      using machine = new SimulatedMachine(seed, emptyDisk, 0);
      const done: number[] = [];
      await machine.finish(Promise.all(Array.from({ length: 10 }, (_, index) => machine.turns.run(() => done.push(index)))));
      return done.join();
    };
    assert.equal(await orderOf(1), await orderOf(1));
    assert.notEqual(await orderOf(1), await orderOf(2));
  });

  it('follow from one piece of work before the next is done', async () => {
    using machine = new SimulatedMachine(3, emptyDisk, 0);
    let followed = 0;
    const work = Array.from({ length: 20 }, async (_, index) => {
      const before = await machine.turns.run(() => followed);
      assert.equal(before, followed, `number ${index} has company`);
      await Promise.resolve();
      followed += 1;
    });
    await machine.finish(Promise.all(work));
  });

  it('a machine that is off does nothing more', async () => {
    const machine = new SimulatedMachine(1, emptyDisk, 0);
    let isDone = false;
    void machine.turns.run(() => (isDone = true));
    machine[Symbol.dispose]();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isDone, false);
  });

  it('time passes when there is nothing else to do, and waiting for nothing is told', async () => {
    using machine = new SimulatedMachine(1, emptyDisk, 0);
    await machine.finish(new Promise<void>((resolve) => void machine.clock.after(5_000, resolve)));
    assert.ok(machine.clock.nowMs() >= 5_000);
    await assert.rejects(machine.finish(new Promise(() => undefined)), StuckError);
  });

  it('syncs: one of a file at a time, those who wait share the next, and one failure is told to all', async () => {
    using machine = new SimulatedMachine(5, emptyDisk, 0);
    const { disk, smallSyncs } = machine;
    await machine.finish(
      (async () => {
        const file = await disk.createLog('/a', 0o600);
        await Promise.all(Array.from({ length: 10 }, () => smallSyncs.sync(file.fd, 'data')));
        assert.equal(disk.trace.filter((line) => line === 'sync /a').length, 1);
        disk.fault = () => 'EIO';
        const outcomes = await Promise.allSettled([smallSyncs.sync(file.fd, 'data'), machine.turns.nextTurn().then(() => smallSyncs.sync(file.fd, 'data'))]);
        assert.ok(outcomes.every(({ status }) => status === 'rejected'));
        disk.fault = () => undefined;
        await smallSyncs[Symbol.asyncDispose]();
        await assert.rejects(smallSyncs.sync(file.fd, 'data'), { code: 'unavailable' });
      })(),
    );
  });

  it('hashes: right, and of bytes as they are when the promise resolves', async (t) => {
    const random = seededRandom(t);
    using machine = new SimulatedMachine(random.seed, emptyDisk, 0);
    const bytes = random.bytes(5_000);
    await machine.finish(
      (async () => {
        const hasher = machine.hashes.begin('sha256', bytes.byteLength);
        for (let at = 0; at < bytes.byteLength; at += 700) await hasher.update(bytes.subarray(at, at + 700));
        assert.equal(await hasher.hex(), sha256.hashHex(bytes));
      })(),
    );
  });

  it('spoilt syncs: dropped is never done, told early is done later', async () => {
    for (const how of ['dropped', 'told_early'] as const) {
      using machine = new SimulatedMachine(5, emptyDisk, 0);
      const { disk } = machine;
      const syncs = spoiltSyncs(machine.smallSyncs, how, (path, target) => path === '/a' && target === 'data', (fd) => disk.pathOf(fd));
      await machine.finish(
        (async () => {
          const [spoilt, right] = [await disk.createLog('/a', 0o600), await disk.createLog('/b', 0o600)];
          await syncs.sync(spoilt.fd, 'data');
          assert.ok(!disk.trace.includes('sync /a'));
          await syncs.sync(right.fd, 'data');
          assert.ok(disk.trace.includes('sync /b'));
        })(),
      );
      assert.equal(disk.trace.includes('sync /a'), how === 'told_early');
    }
  });
});
