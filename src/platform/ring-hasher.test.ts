// What a body does that ends in the instant between the news of a free piece and its use.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { ToHashThread } from './hash-messages.ts';
import { RingHasher } from './ring-hasher.ts';

function waitingBody() {
  const sent: ToHashThread['kind'][] = [];
  const body = new RingHasher(1, new SharedArrayBuffer(RingHasher.ringBytes), ({ kind }) => sent.push(kind));
  const update = body.update(new Uint8Array(2 * RingHasher.ringBytes));
  assert.deepEqual(sent, ['piece', 'piece', 'piece', 'piece']);
  return { body, sent, update: Promise.resolve(update) };
}

describe('RingHasher', () => {
  it('sends nothing behind its drop', async () => {
    const { body, sent, update } = waitingBody();
    body.onRead();
    body[Symbol.dispose]();
    await assert.rejects(update, { code: 'cancelled' });
    assert.deepEqual(sent.slice(4), ['drop']);
  });

  it('does not go on after its thread has died', async () => {
    const { body, sent, update } = waitingBody();
    body.onRead();
    body.fail(new CacheError('unavailable', 'died'));
    await assert.rejects(update, { code: 'unavailable' });
    assert.equal(sent.length, 4);
  });
});
