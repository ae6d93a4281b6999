// How many handshakes run, who waits, and who has to go.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { HandshakeLine } from './handshake-line.ts';
import type { HandshakeEnd } from './handshake-line.ts';

function lineOf(handshakesMax: number) {
  const clock = new ManualClock();
  const events: string[] = [];
  const line = new HandshakeLine<string>({ handshakesMax, handshakeTimeoutMs: 10_000 }, {
    clock,
    timers: clock,
    begin: (item) => void events.push(`begin ${item}`),
    giveUp: (item, why: HandshakeEnd) => void events.push(`${why} ${item}`),
  });
  return { clock, events, line };
}

describe('a line of handshakes', () => {
  it('begins as many as may run, and the others as those leave, first come first', () => {
    const { events, line } = lineOf(2);
    for (const item of ['a', 'b', 'c', 'd']) line.enter(item);
    assert.deepEqual([events, line.running, line.waiting], [['begin a', 'begin b'], 2, 2]);
    line.leave('b');
    line.leave('b');
    assert.deepEqual([events.at(-1), line.running, line.waiting], ['begin c', 2, 1]);
    line.leave('d'); // whoever waits may leave as well
    line.leave('a');
    line.leave('c');
    assert.deepEqual([events.length, line.running, line.waiting], [3, 0, 0]);
  });

  it('goes through any number that leave as they begin', () => {
    const clock = new ManualClock();
    let begun = 0;
    const line: HandshakeLine<number> = new HandshakeLine({ handshakesMax: 1, handshakeTimeoutMs: 10_000 }, {
      clock,
      timers: clock,
      begin(item) {
        begun += 1;
        if (item > 0) line.leave(item);
      },
      giveUp: () => assert.fail('nobody is late'),
    });
    for (let item = 0; item < 30_000; item += 1) line.enter(item);
    line.leave(0);
    assert.deepEqual([begun, line.running, line.waiting, clock.pendingTimers <= 1], [30_000, 0, 0, true]);
  });

  it('takes another bound at once, and another timeout for those that enter from then on', () => {
    const { clock, events, line } = lineOf(1);
    for (const item of ['a', 'b', 'c']) line.enter(item);
    line.limit({ handshakesMax: 2, handshakeTimeoutMs: 1_000 });
    assert.deepEqual([events, line.running, line.waiting], [['begin a', 'begin b'], 2, 1]);
    line.leave('c');
    line.limit({ handshakesMax: 3, handshakeTimeoutMs: 1_000 });
    line.enter('d');
    clock.advance(1_000);
    assert.deepEqual(events.slice(2), ['begin d', 'timeout d']);
  });

  it('gives up after the timeout what has not left, begun or not', () => {
    const { clock, events, line } = lineOf(1);
    line.enter('a');
    clock.advance(1_000);
    line.enter('b');
    line.leave('a');
    clock.advance(9_999);
    assert.deepEqual(events, ['begin a', 'begin b']);
    clock.advance(1);
    assert.deepEqual(events.slice(2), ['timeout b']);
    assert.deepEqual([line.running, line.waiting, clock.pendingTimers], [0, 0, 0]);
  });

  it('lets the oldest go while others wait, once it has had two seconds, and nobody while nobody waits', () => {
    const { clock, events, line } = lineOf(2);
    line.enter('a');
    clock.advance(1_000);
    line.enter('b');
    clock.advance(4_000);
    assert.deepEqual(events, ['begin a', 'begin b']);
    line.enter('c');
    clock.advance(0);
    assert.deepEqual(events.slice(2), ['crowded a', 'begin c']);
    line.enter('d');
    clock.advance(0);
    assert.deepEqual(events.slice(4), ['crowded b', 'begin d']);
    line.enter('e');
    clock.advance(1_999);
    assert.equal(events.length, 6, 'c and d are young');
    clock.advance(1);
    assert.deepEqual(events.slice(6), ['crowded c', 'begin e']);
    line.enter('f');
    line.leave('d'); // makes room by itself
    clock.advance(1_999);
    assert.deepEqual(events.slice(8), ['begin f']);
  });

  it('lets a flood of silent ones keep nobody out: the more wait, the less each may take', () => {
    for (const silent of [20, 160, 350]) {
      const { clock, events, line } = lineOf(10);
      for (let index = 0; index < silent; index += 1) line.enter(`silent ${index}`);
      line.enter('honest');
      clock.advance(9_999);
      assert.ok(events.includes('begin honest'), `${silent}, ten at a time`);
    }
  });
});
