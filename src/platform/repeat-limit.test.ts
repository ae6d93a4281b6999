// Floods of one message.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { RepeatLimit } from './repeat-limit.ts';

function open(kindsMax = 10) {
  const clock = new ManualClock();
  const reports: string[] = [];
  const limit = new RepeatLimit({ linesMax: 3, windowMs: 1_000, kindsMax }, { clock, timers: clock }, ({ level, message }, lines) => reports.push(`${level} ${message}: ${lines}`));
  const admitted = (count: number, message = 'm') => Array.from({ length: count }, () => limit.admits('warn', message)).filter(Boolean).length;
  return { clock, reports, limit, admitted };
}

describe('repeat limit', () => {
  it('lets the first lines of a kind through in each window, and reports the rest at its end', () => {
    const { clock, reports, limit, admitted } = open();
    assert.equal(admitted(10), 3);
    assert.equal(admitted(2, 'other'), 2);
    assert.equal(limit.suppressedLines, 7);
    clock.advance(1_000);
    assert.deepEqual(reports, ['warn m: 7']);
    assert.equal(admitted(4), 3);
    clock.advance(1_000);
    assert.deepEqual(reports, ['warn m: 7', 'warn m: 1']);
  });

  it('keeps levels apart, and windows of kinds that began at different times', () => {
    const { clock, reports, limit, admitted } = open();
    admitted(4);
    clock.advance(600);
    assert.equal(limit.admits('error', 'm'), true);
    admitted(4, 'late');
    clock.advance(400);
    assert.deepEqual(reports, ['warn m: 1']);
    clock.advance(600);
    assert.deepEqual(reports, ['warn m: 1', 'warn late: 1']);
  });

  it('waits for nothing when nothing is limited', () => {
    const { clock, admitted } = open();
    admitted(1);
    clock.advance(2_000);
    assert.equal(clock.pendingTimers, 0);
  });

  it('lets everything through beyond the kinds it watches', () => {
    const { admitted } = open(1);
    admitted(1);
    assert.equal(admitted(10, 'unwatched'), 10);
  });

  it('reports at the end what it has not yet', () => {
    const { reports, limit, admitted } = open();
    admitted(5);
    limit.end();
    assert.deepEqual(reports, ['warn m: 2']);
  });
});
