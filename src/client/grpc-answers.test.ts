// What the only message of an answer takes of the budget.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { framed } from '../testing/grpc-harness.ts';
import { OnlyAnswer } from './grpc-answers.ts';

describe('OnlyAnswer', () => {
  it('counts a message that came in pieces until the answer ends, or is wanted no more', () => {
    for (const end of ['end', 'close'] as const) {
      const budget = unboundedByteBudget();
      const received: number[] = [];
      const answer = new OnlyAnswer({ consumed() {} }, { messageBytesMax: 1_000_000, budget, onMessage: () => received.push(budget.usedBytes), onFault: assert.fail });
      const wire = framed(new Uint8Array(300_000));
      for (let from = 0; from < wire.byteLength; from += 16_384) answer.push(wire.subarray(from, from + 16_384));
      answer.push(new Uint8Array(0));
      assert.equal(budget.usedBytes, 300_000, 'a server may keep the end to itself for as long as it likes');
      answer[end]();
      answer.close();
      assert.equal(budget.usedBytes, 0);
      assert.deepEqual(received, end === 'end' ? [0] : []);
    }
  });
});
