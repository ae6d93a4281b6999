// Syncs of large content: one at a time, as fast as the pacer lets them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SyncPort } from '../base/log-files.ts';
import { systemError } from '../testing/faulty-file-system.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { LargeSyncs } from './large-syncs.ts';
import { SyncPacer } from './sync-pacer.ts';

class GatedSyncs implements SyncPort {
  readonly begun: number[] = [];
  readonly #waiting: PromiseWithResolvers<number>[] = [];

  sync(fd: number): Promise<number> {
    this.begun.push(fd);
    const waiting = Promise.withResolvers<number>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  end(failure?: Error): void {
    const waiting = this.#waiting.shift();
    if (failure === undefined) waiting?.resolve(100);
    else waiting?.reject(failure);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open.
  }
}

function open(bytesPerSMax = 1e12): { readonly syncs: GatedSyncs; readonly large: LargeSyncs; readonly pacer: SyncPacer; readonly clock: ManualClock } {
  const [syncs, clock] = [new GatedSyncs(), new ManualClock()];
  const pacer = new SyncPacer({ bytesPerSMin: 1, bytesPerSMax, targetUs: 1_000 });
  return { syncs, clock, pacer, large: new LargeSyncs({ syncs, monotonicClock: clock, timers: clock }, pacer) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('syncs of large files', () => {
  it('are one at a time, in the order in which they were asked for', async () => {
    const { syncs, large } = open();
    const all = [1, 2, 3].map((fd) => large.sync({ fd }, 1 << 20));
    for (const expected of [[1], [1, 2], [1, 2, 3]]) {
      await turn();
      assert.deepEqual(syncs.begun, expected);
      syncs.end();
    }
    await Promise.all(all);
  });

  it('wait as long as the pacer says, and may be cancelled meanwhile', async () => {
    const { syncs, large, clock, pacer } = open(1_000_000);
    const first = large.sync({ fd: 1 }, 500_000);
    await turn();
    syncs.end();
    await first;
    const abort = new AbortController();
    const cancelled = large.sync({ fd: 2 }, 500_000, { signal: abort.signal });
    await turn();
    assert.deepEqual(syncs.begun, [1]);
    abort.abort();
    await assert.rejects(cancelled, { code: 'cancelled' });
    assert.equal(clock.pendingTimers, 0);
    const third = large.sync({ fd: 3 }, 500_000);
    await turn();
    clock.advance(1_000);
    await turn();
    assert.deepEqual(syncs.begun, [1, 3]);
    syncs.end();
    await third;
    assert.throws(() => pacer.largeEnded(), 'each was ended once');
  });

  it('wait for a segment that is made ahead and for a deletion, which wait for one of them at most', async () => {
    const { syncs, large } = open();
    const order: string[] = [];
    const content = [1, 2, 3].map((fd) => large.sync({ fd }, 1 << 20));
    await turn();
    const ahead = large.syncAhead({ fd: 4 }, 1 << 20);
    const deletion = large.deletion(async () => void order.push(`deleted behind ${syncs.begun.length}`));
    for (let ended = 0; ended < 4; ended += 1) {
      syncs.end();
      await turn();
    }
    await Promise.all([...content, ahead, deletion]);
    assert.deepEqual(syncs.begun, [1, 4, 2, 3]);
    assert.deepEqual(order, ['deleted behind 2']);
  });

  it('take turns with deletions, those included that fail, which do not make the rate fall', async () => {
    const { syncs, large, pacer, clock } = open();
    const held = Promise.withResolvers<void>();
    const deletion = large.deletion(() => held.promise);
    const sync = large.sync({ fd: 1 }, 1);
    await turn();
    assert.deepEqual(syncs.begun, []);
    clock.advance(49);
    await turn();
    assert.deepEqual(syncs.begun, []);
    pacer.smallSync(50_000);
    held.reject(systemError('EIO'));
    await assert.rejects(deletion, { code: 'EIO' });
    await turn();
    assert.deepEqual([syncs.begun, pacer.bytesPerS], [[1], 1e12]);
    assert.equal(clock.pendingTimers, 0);
    syncs.end();
    await sync;
  });

  it('go on while a disk hangs in a deletion', async () => {
    const { syncs, large, clock } = open();
    const hangs = Promise.withResolvers<void>();
    const deletion = large.deletion(() => hangs.promise);
    const sync = large.sync({ fd: 1 }, 1);
    await turn();
    clock.advance(50);
    await turn();
    assert.deepEqual(syncs.begun, [1]);
    hangs.resolve();
    await deletion;
    const next = large.sync({ fd: 2 }, 1);
    await turn();
    assert.deepEqual(syncs.begun, [1], 'the turn was given back once');
    syncs.end();
    await sync;
    await turn();
    syncs.end();
    await next;
  });

  it('that fail do not keep the next from its turn', async () => {
    const { syncs, large } = open();
    const [first, second] = [large.sync({ fd: 1 }, 1), large.sync({ fd: 2 }, 1)];
    await turn();
    syncs.end(systemError('EIO'));
    await assert.rejects(first, { code: 'unavailable' });
    await turn();
    syncs.end();
    await second;
  });

  it('may be cancelled in line', async () => {
    const { syncs, large } = open();
    const first = large.sync({ fd: 1 }, 1);
    const abort = new AbortController();
    const second = large.sync({ fd: 2 }, 1, { signal: abort.signal });
    abort.abort();
    await assert.rejects(second, { code: 'cancelled' });
    syncs.end();
    await first;
    assert.deepEqual(syncs.begun, [1]);
  });
});
