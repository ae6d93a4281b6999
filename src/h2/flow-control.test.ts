// Windows: what may come, what is announced, what is too much.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReceiveWindow, windowAfter } from './flow-control.ts';

describe('flow control', () => {
  it('a send window never exceeds 2^31-1, and may be negative (RFC 9113 §6.9.1, §6.9.2)', () => {
    assert.equal(windowAfter(0x7fff_fffe, 1), 0x7fff_ffff);
    assert.equal(windowAfter(0x7fff_ffff, 1), undefined);
    assert.equal(windowAfter(-70_000, 65_535), -4_465);
  });

  it('a receive window takes exactly its size', () => {
    const window = new ReceiveWindow(100);
    assert.equal(window.take(100), true);
    assert.equal(window.take(1), false);
  });

  it('announces in steps of half its size, never more than was consumed', () => {
    const window = new ReceiveWindow(100);
    assert.equal(window.take(100), true);
    assert.equal(window.give(49), 0);
    assert.equal(window.give(1), 50);
    assert.equal(window.take(50), true);
    assert.equal(window.take(1), false);
  });

  it('shrinks below zero when it is made smaller, and recovers', () => {
    const window = new ReceiveWindow(65_535);
    assert.equal(window.take(60_000), true);
    assert.equal(window.resize(100), 0);
    assert.equal(window.take(0), false); // 60,000 sent, 100 allowed
    assert.equal(window.give(60_000), 60_000);
    assert.equal(window.take(100), true);
    assert.equal(window.take(1), false);
  });

  it('announces at once what a smaller size makes worth announcing, or nobody ever would', () => {
    const window = new ReceiveWindow(65_535);
    assert.equal(window.take(30_000), true);
    assert.equal(window.give(30_000), 0);
    assert.equal(window.resize(10_000), 30_000);
    assert.equal(window.take(10_000), true);
    assert.equal(window.take(1), false);
  });
});
