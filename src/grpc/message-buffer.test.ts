// Memory of messages that is used again: of the right size, by one at a time, within its bound.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { MessageMemory, newMessageBuffer, partialBytesMin } from './message-buffer.ts';

const kept = 1024 * 1024;

describe('memory of messages', () => {
  it('is used again for a message of about that size', () => {
    const memory = new MessageMemory(kept);
    const first = memory.take(65_600);
    assert.equal(first.byteLength, 65_600);
    memory.giveBack(first);
    assert.equal(memory.keptBytes, partialBytesMin);
    const second = memory.take(65_536);
    assert.equal(second.buffer, first.buffer);
    assert.equal(second.byteLength, 65_536);
    assert.equal(memory.keptBytes, 0);
  });

  it('is never that of two messages at a time', (t) => {
    const random = seededRandom(t);
    const memory = new MessageMemory(kept);
    const inUse: Uint8Array[] = [];
    for (let round = 0; round < 5_000; round += 1) {
      if (inUse.length > 20 || (inUse.length > 0 && random.integer(0, 1) === 0)) {
        const [done] = inUse.splice(random.integer(0, inUse.length - 1), 1);
        if (done !== undefined) memory.giveBack(done);
      } else {
        const message = memory.take(random.integer(1, 100_000));
        assert.ok(message.byteLength < 4_096 || inUse.every(({ buffer }) => buffer !== message.buffer));
        inUse.push(message);
      }
      assert.ok(memory.keptBytes <= kept);
    }
  });

  it('is not kept beyond its bound, and not when it came from elsewhere', () => {
    const memory = new MessageMemory(100_000);
    const messages = [memory.take(65_536), memory.take(65_536)];
    for (const message of messages) memory.giveBack(message);
    assert.equal(memory.keptBytes, partialBytesMin);
    memory.giveBack(newMessageBuffer(10));
    memory.giveBack(new Uint8Array(20_480).subarray(1));
    assert.equal(memory.keptBytes, partialBytesMin);
  });

  it('is not more than a quarter larger than its message, beside an envelope', () => {
    const memory = new MessageMemory(kept);
    for (let length = 1; length < 5_000_000; length = Math.ceil(length * 1.07)) {
      const { buffer, byteLength } = memory.take(length);
      assert.equal(byteLength, length);
      assert.ok(length < 4_096 || buffer.byteLength - length <= Math.max(4_096, buffer.byteLength / 4), `${length}`);
    }
  });
});
