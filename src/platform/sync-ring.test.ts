// Both sides of the ring in one thread: places, order, and counters that go round.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SyncRing, ringPlaces, wakeWord } from './sync-ring.ts';

describe('SyncRing', () => {
  for (const first of [0, 2 ** 31 - 100, -3]) {
    it(`hands requests over and results back in order, from request ${first}`, () => {
      const asking = new SyncRing(undefined, first);
      const seen: string[] = [];
      let expected = 0;
      for (let round = 0; round < 5; round += 1) {
        for (let index = 0; index < ringPlaces; index += 1) asking.ask(round * 1000 + index, index % 2 === 1);
        assert.throws(() => asking.ask(1, false), { name: 'AssertionError' });
        assert.equal(asking.take(), undefined);
        let finished = 0;
        // Ends without a wait: everything is asked already.
        const serving = new SyncRing(asking.words);
        assert.throws(() =>
          serving.serve(
            (fd, isNames) => {
              seen.push(`${fd} ${isNames}`);
              return fd % 7;
            },
            () => {
              finished += 1;
              if (finished === ringPlaces) throw new Error('enough');
            },
          ), { message: 'enough' });
        for (let index = 0; index < ringPlaces; index += 1) {
          const fd = round * 1000 + index;
          assert.equal(seen[expected], `${fd} ${index % 2 === 1}`);
          assert.equal(asking.take()?.errno, fd % 7);
          expected += 1;
        }
        assert.equal(asking.take(), undefined);
      }
    });
  }

  it('serves what was asked before the end, and then returns', () => {
    const ring = new SyncRing();
    for (const fd of [5, 6]) ring.ask(fd, false);
    ring.end();
    const seen: number[] = [];
    new SyncRing(ring.words).serve((fd) => (seen.push(fd), 0), () => undefined);
    assert.deepEqual(seen, [5, 6]);
  });

  it('knows that everything is done when the counters have gone round meanwhile', () => {
    const ring = new SyncRing(undefined, 2 ** 31 - 10);
    for (let fd = 0; fd < 20; fd += 1) ring.ask(fd, false);
    ring.end();
    const seen: number[] = [];
    const serve = (fd: number): number => {
      assert.ok(seen.length < 20, 'nothing more was asked');
      seen.push(fd);
      return 0;
    };
    new SyncRing(ring.words).serve(serve, () => undefined);
    assert.deepEqual(seen, Array.from({ length: 20 }, (_, fd) => fd));
  });

  it('changes the word that the thread sleeps on with each request and at the end', () => {
    const ring = new SyncRing();
    const seen = new Set([ring.words[wakeWord]]);
    ring.ask(1, false);
    seen.add(ring.words[wakeWord]);
    ring.ask(2, false);
    seen.add(ring.words[wakeWord]);
    ring.end();
    seen.add(ring.words[wakeWord]);
    assert.equal(seen.size, 4);
  });
});
