// Whatever the order of adding and pulling, all bytes come out once, in order, in chunks within their bound.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settle } from '../testing/grpc-harness.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { chunkBytes, GatheredBytes } from './gathered-bytes.ts';

function gathering() {
  const kept: number[] = [];
  return { kept, gathered: new GatheredBytes((bytes) => kept.push(bytes)) };
}

describe('GatheredBytes', () => {
  it('gives what was added, in any pieces, with pulls at any time, and keeps none of what it was lent', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 30; round += 1) {
      const bytes = random.bytes(random.integer(0, 500_000));
      const { kept, gathered } = gathering();
      const chunks: Buffer[] = [];
      const pulled = (async () => {
        for (let chunk = await gathered.next(); chunk !== undefined; chunk = await gathered.next()) {
          if (random.integer(0, 1) === 0) await settle();
          assert.ok(chunk.byteLength > 0 && chunk.byteLength <= chunkBytes);
          chunks.push(Buffer.from(chunk));
        }
      })();
      for (let at = 0; at < bytes.byteLength; ) {
        const piece = bytes.slice(at, at + random.integer(1, 100_000));
        at += piece.byteLength;
        await gathered.add(piece, random.integer(0, 1) === 0);
        piece.fill(0xee);
      }
      gathered.end();
      await pulled;
      assert.ok(Buffer.concat(chunks).equals(bytes));
      assert.equal(kept.at(-1) ?? 0, 0);
      assert.ok(Math.max(0, ...kept) <= 6 * chunkBytes, 'two that are full, what came in one piece, one that is used');
    }
  });

  it('waits for the end of a message, or a full chunk, and for neither when all has come', async () => {
    const { gathered } = gathering();
    let given: number | undefined;
    const pull = () => void gathered.next().then((chunk) => (given = chunk?.byteLength ?? -1));
    pull();
    await gathered.add(new Uint8Array(100), false);
    await settle();
    assert.equal(given, undefined);
    await gathered.add(new Uint8Array(50), true);
    await settle();
    assert.equal(given, 150);
    await gathered.add(new Uint8Array(70), true); // during the use of the first
    await gathered.add(new Uint8Array(7), true);
    pull();
    await settle();
    assert.equal(given, 77);
    await gathered.add(new Uint8Array(chunkBytes + 1), false);
    pull();
    await settle();
    assert.equal(given, chunkBytes);
    gathered.end();
    pull();
    await settle();
    assert.equal(given, 1);
    pull();
    await settle();
    assert.equal(given, -1);
  });

  it('HT-4: asks for a pause while two chunks wait, and has room again when one is taken', async () => {
    const { kept, gathered } = gathering();
    assert.equal(gathered.add(new Uint8Array(chunkBytes), true), undefined);
    let hasRoom = false;
    const room = gathered.add(new Uint8Array(chunkBytes), true);
    assert.ok(room instanceof Promise);
    void room.then(() => (hasRoom = true));
    await settle();
    assert.equal(hasRoom, false);
    assert.equal(kept.at(-1), 2 * chunkBytes);
    await gathered.next();
    await settle();
    assert.equal(hasRoom, true);
  });

  it('HT-4: has no room while much of a large message waits, and tells all who were asked for a pause', async () => {
    const { gathered } = gathering();
    const told: string[] = [];
    for (const name of ['first', 'second']) void Promise.resolve(gathered.add(new Uint8Array(4 * chunkBytes), true)).then(() => told.push(name));
    for (let taken = 1; taken <= 8; taken += 1) {
      await gathered.next();
      await settle();
      assert.deepEqual(told, taken < 7 ? [] : ['first', 'second'], `${taken} of 8 chunks are taken`);
    }
  });

  it('tells of a failure before all else, but not behind the end; and holds nothing when it is dropped', async () => {
    const { kept, gathered } = gathering();
    await gathered.add(new Uint8Array(10), true);
    const waiting = gathered.next().then(() => gathered.next());
    await settle();
    await gathered.add(new Uint8Array(10), false);
    gathered.fail(new Error('broken'));
    await assert.rejects(waiting, /broken/);
    gathered.drop();
    assert.equal(kept.at(-1), 0);
    const ended = gathering().gathered;
    ended.end();
    ended.fail(new Error('too late'));
    assert.equal(await ended.next(), undefined);
  });
});
