// Proves that the facts about a store know a right answer from a wrong one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StoreFacts } from './store-facts.ts';

function putOf(facts: StoreFacts, content: string): void {
  facts.begin('k', content)('acknowledged');
}

function reads(facts: StoreFacts, found: string | undefined, nowMs = 0): void {
  facts.read('k', nowMs)(found);
}

describe('StoreFacts', () => {
  it('what was acknowledged stays, and what replaced it stays', () => {
    const facts = new StoreFacts(0);
    reads(facts, undefined);
    assert.throws(() => reads(facts, 'a'), /never put/);
    putOf(facts, 'a');
    reads(facts, 'a');
    assert.throws(() => reads(facts, undefined), /gone/);
    putOf(facts, 'b');
    assert.throws(() => reads(facts, 'a'));
    reads(facts, 'b');
  });

  it('calls that overlap may come one way round or the other, until one was seen', () => {
    const facts = new StoreFacts(0);
    const [a, b] = [facts.begin('k', 'a'), facts.begin('k', 'b')];
    const [early, late] = [facts.read('k', 0), facts.read('k', 0)];
    a('acknowledged');
    b('acknowledged');
    early(undefined);
    reads(facts, 'b');
    late('a');
    reads(facts, 'b');
    assert.throws(() => reads(facts, 'a'));
  });

  it('a put that failed or was given up is there or not', () => {
    for (const outcome of ['failed', 'given_up'] as const) {
      const facts = new StoreFacts(0);
      putOf(facts, 'a');
      facts.begin('k', 'b')(outcome);
      reads(facts, 'a');
      // Who gave up may be late; who was told of a failure knows that all is over.
      if (outcome === 'failed') assert.throws(() => reads(facts, 'b'));
      else reads(facts, 'b');
    }
    const facts = new StoreFacts(0);
    facts.begin('k', 'a')('refused');
    assert.throws(() => reads(facts, 'a'));
  });

  it('a crash ends what was under way, forgets what came later, and brings nothing old back', () => {
    const facts = new StoreFacts(0);
    putOf(facts, 'a');
    const end = facts.begin('k', 'b');
    const { mark } = facts;
    end('acknowledged');
    putOf(facts, 'c');
    for (const found of ['a', 'b']) {
      const after = facts.afterCrash(mark);
      assert.throws(() => reads(after, undefined));
      assert.throws(() => reads(after, 'c'));
      reads(after, found);
      assert.throws(() => reads(after, found === 'a' ? 'b' : 'a'));
      const again = after.afterCrash(after.mark);
      reads(again, found);
      assert.throws(() => reads(again, found === 'a' ? 'b' : 'a'), 'what a start has shown lasts');
    }
    const later = facts.afterCrash(facts.mark);
    assert.throws(() => reads(later, 'b'), 'replaced before the crash');
    reads(later, 'c');
  });

  it('what may be evicted may be gone, but not replaced by what was there before it', () => {
    const facts = new StoreFacts(0);
    facts.mayEvict = true;
    putOf(facts, 'a');
    putOf(facts, 'b');
    reads(facts, undefined);
    assert.throws(() => reads(facts, 'a'));
    const after = facts.afterCrash(facts.mark);
    after.mayEvict = false;
    reads(after, undefined);
    putOf(after, 'c');
    assert.throws(() => reads(after, undefined));
  });

  it('what was promised may not be evicted before its time', () => {
    const facts = new StoreFacts(0);
    facts.mayEvict = true;
    putOf(facts, 'a');
    facts.promise('k', 1_000);
    assert.throws(() => reads(facts, undefined, 999));
    reads(facts, undefined, 1_000);
    facts.promise('k', 3_000);
    facts.voidPromises();
    reads(facts, undefined, 2_000);
  });

  it('what is damaged may be gone, and old values stay gone', () => {
    const facts = new StoreFacts(0);
    putOf(facts, 'a');
    putOf(facts, 'b');
    facts.damage('k');
    assert.throws(() => reads(facts, 'a'));
    reads(facts, undefined);
    facts.heal('k');
    putOf(facts, 'c');
    assert.throws(() => reads(facts, undefined));
  });

  it('is settled until something is done', () => {
    const facts = new StoreFacts(0);
    facts.settle();
    assert.ok(facts.afterCrash(facts.mark).isSettled);
    assert.ok(!facts.afterCrash(facts.mark - 1).isSettled);
    putOf(facts, 'a');
    assert.ok(!facts.isSettled);
  });
});
