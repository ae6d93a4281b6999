// How many files are made ahead of the log, and what becomes of one that is being made.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import type { FreeFile } from './segment-mending.ts';
import { SegmentStock } from './segment-stock.ts';
import { SpaceLedger } from './space-ledger.ts';

const segmentBytes = 1_000;
const never = new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Rig {
  readonly clock = new ManualClock();
  readonly log = new RecordedLog();
  readonly ledger: SpaceLedger;
  readonly making: { readonly urgent: AbortSignal; end(failure?: Error): void }[] = [];
  free = 0;
  missed = 0;
  readonly stock: SegmentStock;

  constructor(maxBytes = 128 * segmentBytes) {
    this.ledger = new SpaceLedger({ maxBytes, diskFloorBytes: 0 });
    this.stock = new SegmentStock(
      {
        make: (room, urgent) => {
          const made = Promise.withResolvers<FreeFile>();
          this.making.push({
            urgent,
            end: (failure) => {
              if (failure !== undefined) made.reject(failure);
              else if (room !== 'beyond') {
                room.settle('free', segmentBytes);
                made.resolve({ number: 0, bytes: segmentBytes });
              }
            },
          });
          return made.promise;
        },
        put: () => void (this.free += 1),
        ledger: this.ledger,
        clock: this.clock,
        log: this.log,
        freeCount: () => this.free,
        onMissing: () => void (this.missed += 1),
      },
      segmentBytes,
    );
  }

  begin(count: number): void {
    for (let begun = 0; begun < count; begun += 1) this.stock.begun('blob');
  }
}

describe('SegmentStock', () => {
  it('wants as many as were begun within a second, but for one of each stream, and no more than a 32nd of the store', () => {
    const rig = new Rig();
    assert.equal(rig.stock.wantedCount, 0);
    rig.begin(1);
    rig.stock.begun('value');
    rig.stock.begun('touch');
    assert.equal(rig.stock.wantedCount, 0, 'a log that is slow asks early enough by itself');
    rig.clock.advance(500);
    rig.begin(2);
    assert.equal(rig.stock.wantedCount, 2);
    rig.clock.advance(500);
    assert.equal(rig.stock.wantedCount, 1);
    rig.begin(50);
    assert.equal(rig.stock.wantedCount, 4);
    rig.clock.advance(1_000);
    assert.equal(rig.stock.wantedCount, 0);
  });

  it('makes what is missing one after the other, in room that is reserved before', async () => {
    const rig = new Rig();
    rig.begin(3);
    rig.stock.refill();
    rig.stock.refill();
    assert.deepEqual([rig.making.length, rig.ledger.reservedBytes, rig.stock.missingCount], [1, segmentBytes, 1]);
    rig.making[0]?.end();
    await turn();
    assert.deepEqual([rig.making.length, rig.free, rig.stock.missingCount], [2, 1, 0]);
    rig.making[1]?.end();
    await turn();
    assert.deepEqual([rig.making.length, rig.free, rig.ledger.reservedBytes, rig.ledger.bytesOf('free')], [2, 2, 0, 2 * segmentBytes]);
  });

  it('waits for no room: it says that there is none, and makes it once it is told that there may be', () => {
    const rig = new Rig();
    const taken = rig.ledger.tryReserve(128 * segmentBytes);
    rig.begin(2);
    rig.stock.refill();
    assert.deepEqual([rig.making.length, rig.missed, rig.stock.missingCount], [0, 1, 1]);
    taken?.[Symbol.dispose]();
    rig.stock.refill();
    assert.deepEqual([rig.making.length, rig.missed], [1, 1]);
  });

  it('hurries what is being made once who waits for it is in a hurry', async () => {
    const rig = new Rig();
    assert.equal(await rig.stock.next(never), false, 'none is being made');
    rig.begin(2);
    rig.stock.refill();
    const urgent = new AbortController();
    const waits = rig.stock.next(urgent.signal);
    assert.equal(rig.making[0]?.urgent.aborted, false);
    urgent.abort();
    assert.equal(rig.making[0]?.urgent.aborted, true);
    rig.making[0]?.end();
    assert.equal(await waits, true);
  });

  it('lets who waits for it go when the call is cancelled', async () => {
    const rig = new Rig();
    rig.begin(2);
    rig.stock.refill();
    const abort = new AbortController();
    const waits = rig.stock.next(never, { signal: abort.signal });
    abort.abort();
    await assert.rejects(waits, { code: 'cancelled' });
  });

  it('rests for a while after a failure, of which it tells, and gives its room back', async () => {
    const rig = new Rig();
    rig.begin(4);
    rig.stock.refill();
    rig.making[0]?.end(new CacheError('unavailable', 'EIO'));
    await turn();
    rig.stock.refill();
    assert.deepEqual([rig.making.length, rig.stock.missingCount, rig.log.lines.length], [1, 0, 1]);
    rig.clock.advance(5_000);
    rig.begin(4);
    rig.stock.refill();
    assert.equal(rig.making.length, 2);
  });

  it('hurries what is under way when it closes, and makes nothing after that', async () => {
    const rig = new Rig();
    rig.begin(4);
    rig.stock.refill();
    const closed = rig.stock.close();
    assert.equal(rig.making[0]?.urgent.aborted, true);
    rig.making[0]?.end();
    await closed;
    rig.stock.refill();
    assert.equal(rig.making.length, 1);
  });
});
