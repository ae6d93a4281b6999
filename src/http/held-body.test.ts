// The memory for request bodies: taken as bytes come, given back in every case.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { collect } from '../base/byte-source.ts';
import { BodyMemory } from './held-body.ts';

async function* body(...lengths: readonly number[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const length of lengths) yield Buffer.alloc(length, length);
}

describe('BodyMemory', () => {
  it('holds a body up to the limit, whole', async () => {
    const memory = new BodyMemory(100, unboundedByteBudget());
    {
      using held = await memory.hold(body(3, 0, 4), 7);
      assert.deepEqual([held.complete, held.bytes.byteLength, memory.heldBytes], [true, 7, 7]);
      assert.equal((await collect(held.all(), 100)).byteLength, 7);
    }
    assert.equal(memory.heldBytes, 0);
  });

  it('holds the start of a longer one, and gives the rest behind it', async () => {
    const memory = new BodyMemory(100, unboundedByteBudget());
    using held = await memory.hold(body(3, 4, 5), 6);
    assert.deepEqual([held.complete, held.bytes.byteLength], [false, 7]);
    assert.equal((await collect(held.all(), 100)).byteLength, 12);
  });

  it('is given back once, however often a body is disposed', async () => {
    const memory = new BodyMemory(100, unboundedByteBudget());
    const other = await memory.hold(body(5), 10);
    const held = await memory.hold(body(3), 10);
    held[Symbol.dispose]();
    held[Symbol.dispose]();
    assert.equal(memory.heldBytes, 5);
    other[Symbol.dispose]();
    assert.equal(memory.heldBytes, 0);
  });

  it('refuses when it is used up, says when to come back, and keeps nothing of what was refused', async () => {
    const memory = new BodyMemory(10, unboundedByteBudget());
    const held = await memory.hold(body(6), 10);
    await assert.rejects(memory.hold(body(3, 2), 10), { code: 'unavailable', details: [{ kind: 'retry_after', delayMs: 1000 }] });
    assert.equal(memory.heldBytes, 6);
    held[Symbol.dispose]();
    (await memory.hold(body(10), 10))[Symbol.dispose]();
    assert.equal(memory.heldBytes, 0);
  });

  it('keeps nothing of a body that breaks off', async () => {
    const memory = new BodyMemory(10, unboundedByteBudget());
    async function* broken() {
      yield Buffer.alloc(4);
      throw new Error('gone');
    }
    await assert.rejects(memory.hold(broken(), 10), /gone/);
    assert.equal(memory.heldBytes, 0);
  });
});
