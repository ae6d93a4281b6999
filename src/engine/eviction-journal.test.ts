// What is said of evictions, and how often.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { EvictionJournal } from './eviction-journal.ts';

const nowS = 1_600_000_000;
const digest = (): string => 'sha256/abc';

function rig() {
  const [clock, log] = [new ManualClock(), new RecordedLog()];
  return { clock, log, journal: new EvictionJournal({ monotonicClock: clock, log, nowS: () => nowS }) };
}

describe('EvictionJournal', () => {
  it('K2-10, K11-04: warns of what was used less than 120 s ago, and tells the rest at debug', () => {
    const { journal, log } = rig();
    journal.evicted('file', 70_000, nowS - 119, digest);
    journal.evicted('blob', 500, nowS - 120, digest);
    assert.deepEqual(log.lines.map((line) => line.split(' ')[0]), ['warn', 'debug']);
    assert.match(log.lines[0] ?? '', /"what":"file","digest":"sha256\/abc","sizeBytes":70000,"unusedS":119/);
    assert.match(log.lines[1] ?? '', /^debug evicted .*"what":"blob","digest":"sha256\/abc","sizeBytes":500,"unusedS":120/);
  });

  it('warns once a minute, and says how often it was held back', () => {
    const { clock, journal, log } = rig();
    for (let count = 0; count < 5; count += 1) journal.evicted('blob', 500, nowS, digest);
    assert.equal(log.lines.length, 1);
    clock.advance(60_000);
    journal.evicted('blob', 500, nowS, digest);
    assert.equal(log.lines.length, 2);
    assert.match(log.lines[1] ?? '', /"othersSince":4/);
  });

  it('counts, and takes no time of use for one to come', () => {
    const { journal } = rig();
    assert.deepEqual([journal.count, journal.bytes, journal.lastAgeMs], [0, 0, undefined]);
    journal.evicted('blob', 500, nowS - 1_000, digest);
    assert.equal(journal.lastAgeMs, 1_000_000);
    journal.evicted('value', 100, nowS + 15, digest);
    assert.deepEqual([journal.count, journal.bytes, journal.lastAgeMs], [2, 600, 0]);
  });
});
