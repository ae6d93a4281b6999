// Uses are written as records, a second after they were noted, and anew when they have grown out of proportion.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { HandSyncedLog } from '../testing/hand-synced-log.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { KeyWords } from './key-words.ts';
import { decodeTouches } from './record-payloads.ts';
import type { Touch } from './record-payloads.ts';
import { UseLog } from './use-log.ts';

const nowS = 1_600_000_000;
const segmentBytes = 65_536;

function hashOf(name: string): Uint8Array {
  return createHash('sha256').update(name).digest();
}

class Rig {
  readonly log = new HandSyncedLog({ segmentBytes, leaseS: 3_600, nowS: () => nowS });
  readonly clock = new ManualClock();
  readonly lines = new RecordedLog();
  readonly written: Touch[][] = [];
  readonly givenUp: number[] = [];
  beforeGiveUp: () => Promise<void> = () => Promise.resolve();
  isFailing = false;
  readonly uses: UseLog;

  constructor() {
    this.log.onAppend = ({ kind, payload }) => {
      if (this.isFailing) throw new Error('EIO');
      if (kind === 'touches') this.written.push([...(decodeTouches(Buffer.from(payload)) ?? [])]);
    };
    this.uses = new UseLog({
      writer: this.log.logs.touch,
      table: this.log.table,
      recycler: {
        giveUp: async (row) => {
          await this.beforeGiveUp();
          this.givenUp.push(row.id);
          await this.log.supply.giveBack(row);
          return { copiedBytes: 0, droppedBytes: 0, droppedCount: 0 };
        },
      },
      entries: this.log.entries,
      nowS: () => nowS,
      timers: this.clock,
      nextTurn: () => Promise.resolve(),
      log: this.lines,
    });
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await Promise.resolve();
}

describe('UseLog', () => {
  it('writes what was noted a second later, in one record, and sets no timer without need', async () => {
    const rig = new Rig();
    rig.uses.note(1, 2, nowS);
    rig.uses.note(3, 4, nowS + 16);
    rig.clock.advance(999);
    await settled();
    assert.deepEqual(rig.written, []);
    rig.clock.advance(1);
    await settled();
    assert.deepEqual(rig.written, [[{ low: 1, high: 2, usedAtS: nowS }, { low: 3, high: 4, usedAtS: nowS + 16 }]]);
    assert.equal(rig.clock.pendingTimers, 0);
  });

  it('holds no more than 65,536, and writes 4,096 in a record', async () => {
    const rig = new Rig();
    for (let number = 0; number < 70_000; number += 1) rig.uses.note(number, 0, nowS);
    rig.uses.flush();
    await settled();
    assert.equal(rig.written.slice(0, 16).reduce((sum, touches) => sum + touches.length, 0), 65_536);
    assert.ok(rig.written.every((touches) => touches.length <= 4_096));
  });

  it('writes the uses of all entries anew when it has grown, and gives up what was there, oldest first', async () => {
    const rig = new Rig();
    const used = ['one', 'two', 'three'];
    for (const name of [...used, 'never']) rig.log.putBlob(hashOf(name), Buffer.alloc(10), nowS - 1_600);
    for (const name of used) rig.log.entries.blobs.setUsed(rig.log.findBlob(hashOf(name)), nowS);
    for (let round = 0; round < 30 && rig.givenUp.length === 0; round += 1) {
      for (let number = 0; number < 1_000; number += 1) rig.uses.note(number, round, nowS);
      rig.clock.advance(1_000);
      await settled();
    }
    assert.ok(rig.givenUp.length > 0);
    assert.deepEqual(rig.givenUp, rig.givenUp.toSorted((a, b) => a - b));
    const key = new KeyWords();
    const expected = used.map((name) => {
      key.setBytes(4, hashOf(name));
      return { low: key.words[0], high: key.words[1], usedAtS: nowS };
    });
    const byLow = (a: { readonly low?: number | undefined }, b: { readonly low?: number | undefined }) => (a.low ?? 0) - (b.low ?? 0);
    assert.deepEqual(rig.written.at(-1)?.toSorted(byLow), expected.toSorted(byLow));
    assert.equal(rig.log.table.countOf('touch'), 1);
  });

  it('writes what is noted during a compaction within a second of its end', async () => {
    const rig = new Rig();
    const done = Promise.withResolvers<void>();
    rig.beforeGiveUp = () => done.promise;
    for (const name of ['one', 'two']) rig.log.putBlob(hashOf(name), Buffer.alloc(10), nowS - 1_600);
    rig.uses.note(1, 2, nowS);
    rig.clock.advance(1_000);
    await settled();
    const compacting = rig.uses.compact();
    await settled();
    rig.uses.note(3, 4, nowS);
    rig.clock.advance(1_000); // finds that there is no turn for it
    await settled();
    assert.equal(rig.written.length, 1);
    done.resolve();
    await compacting;
    rig.clock.advance(1_000);
    await settled();
    assert.deepEqual(rig.written.at(-1), [{ low: 3, high: 4, usedAtS: nowS }]);
    assert.equal(rig.clock.pendingTimers, 0);
  });

  it('costs no more than ages when it cannot write: says so, and goes on', async () => {
    const rig = new Rig();
    rig.isFailing = true;
    rig.uses.note(1, 2, nowS);
    rig.clock.advance(1_000);
    await settled();
    assert.match(rig.lines.lines.join('\n'), /warn uses could not be written down/);
    rig.isFailing = false;
    rig.uses.note(3, 4, nowS);
    rig.clock.advance(1_000);
    await settled();
    assert.deepEqual(rig.written, [[{ low: 3, high: 4, usedAtS: nowS }]]);
  });

  it('writes the rest at the end, and notes nothing afterwards', async () => {
    const rig = new Rig();
    rig.uses.note(1, 2, nowS);
    await rig.uses.close();
    assert.equal(rig.written.length, 1);
    rig.uses.note(3, 4, nowS);
    rig.clock.advance(5_000);
    await settled();
    assert.equal(rig.written.length, 1);
  });
});
