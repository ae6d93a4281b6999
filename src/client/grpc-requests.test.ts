// What is sent of a stream of requests by one try after the other.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { turn } from '../testing/fake-grpc-session.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { OnlyRequest, RequestStream } from './grpc-requests.ts';
import type { GrpcRequests } from './grpc-requests.ts';
import { RequestRoom } from './request-room.ts';

const encode = (size: number): readonly Uint8Array[] => [new Uint8Array(size)];

/** Sizes of the messages that a try gets, up to `count` of them. */
async function taken(requests: GrpcRequests, count = Infinity): Promise<number[]> {
  const sizes: number[] = [];
  while (sizes.length < count) {
    const message = await requests.at(sizes.length);
    if (message === undefined) break;
    sizes.push(message[0]?.byteLength ?? 0);
  }
  return sizes;
}

async function* from(sizes: readonly number[]): AsyncGenerator<number, void, undefined> {
  yield* sizes;
}

async function* failingSource(): AsyncGenerator<number, void, undefined> {
  yield* [];
  throw new RangeError('no');
}

describe('RequestStream', () => {
  it('gives every try the same messages, wherever the ones before broke off and whatever was under way then', async (t) => {
    const random = seededRandom(t);
    const budget = unboundedByteBudget();
    for (let round = 0; round < 200; round += 1) {
      const sizes = Array.from({ length: random.integer(0, 12) }, () => random.integer(1, 50));
      const canReopen = random.fraction() < 0.5;
      const slow = async function* () {
        for (const size of sizes) {
          if (random.fraction() < 0.3) await turn();
          yield size;
        }
      };
      const requests = new RequestStream(canReopen ? slow : slow(), encode, random.integer(0, 300), budget);
      for (let tries = 0; tries < 4 && requests.isReplayable; tries += 1) {
        const count = random.integer(0, sizes.length);
        assert.deepEqual(await taken(requests, count), sizes.slice(0, count));
        const mayAsk = count > 0 || requests.isReplayable; // no longer, if what was under way has come meanwhile and was too much
        if (random.fraction() < 0.5 && mayAsk) void requests.at(count).catch(() => {}); // asked, and the try is over before it comes
      }
      if (!requests.isReplayable) {
        requests.end();
        continue;
      }
      const last = taken(requests);
      if (random.fraction() < 0.5) requests.commit(); // an answer that begins before all was sent
      assert.deepEqual(await last, sizes, `round ${round}`);
      requests.end();
      await turn(); // what was asked and not waited for has come
      assert.equal(budget.usedBytes, 0);
    }
  });

  it('counts what is kept until it is forgotten, and nothing that comes after the end', async () => {
    const budget = unboundedByteBudget();
    const requests = new RequestStream(from([40, 50, 60]), encode, 100, budget);
    await taken(requests, 2);
    assert.equal(budget.usedBytes, 90);
    const owed = requests.at(2);
    requests.end();
    await owed;
    assert.equal(budget.usedBytes, 0);
    const committed = new RequestStream(from([40, 50]), encode, 100, budget);
    await taken(committed, 1);
    committed.commit();
    assert.equal(budget.usedBytes, 0);
  });

  it('keeps no more than it may, and nothing once the answer has begun', async () => {
    const bounded = new RequestStream(from([60, 60, 60]), encode, 100, unboundedByteBudget());
    assert.deepEqual(await taken(bounded, 1), [60]);
    assert.ok(bounded.isReplayable);
    await bounded.at(1);
    assert.ok(!bounded.isReplayable);
    const committed = new RequestStream(() => from([1]), encode, 100, unboundedByteBudget());
    committed.commit();
    assert.ok(!committed.isReplayable);
  });

  it('opens the source once as long as nothing is lost, and anew after that', async () => {
    let opened = 0;
    const source = (): AsyncGenerator<number> => {
      opened += 1;
      return from([40, 40, 40]);
    };
    const requests = new RequestStream(source, encode, 100, unboundedByteBudget());
    assert.deepEqual([await taken(requests, 2), await taken(requests, 2), opened], [[40, 40], [40, 40], 1]);
    assert.deepEqual([await taken(requests), await taken(requests), opened], [[40, 40, 40], [40, 40, 40], 2]);
  });

  it('ends its source, also one that owes a message, and fails with what it throws', async () => {
    let ended = 0;
    const stuck = async function* () {
      try {
        yield 1;
        yield 2;
      } finally {
        ended += 1;
      }
    };
    const left = new RequestStream(stuck(), encode, 100, unboundedByteBudget());
    await left.at(0);
    left.end();
    await turn();
    assert.equal(ended, 1);
    const failing = new RequestStream(failingSource(), encode, 100, unboundedByteBudget());
    await assert.rejects(failing.at(0), { name: 'RangeError' });
    const broken = new RequestStream(() => { throw new RangeError('not even opened'); }, encode, 100, unboundedByteBudget());
    await assert.rejects(broken.at(0), { message: 'not even opened' });
    const unencodable = new RequestStream(from([1]), () => { throw new RangeError('no such message'); }, 100, unboundedByteBudget());
    await assert.rejects(unencodable.at(0), { message: 'no such message' });
  });
});

describe('OnlyRequest', () => {
  it('can be sent as often as wanted', async () => {
    const budget = unboundedByteBudget();
    const only = new OnlyRequest(encode(3), new RequestRoom('fake', budget, 100));
    only.begin();
    assert.deepEqual([await taken(only), await taken(only), only.isReplayable, budget.usedBytes], [[3], [3], true, 3]);
    only.commit();
    only.end();
    assert.equal(budget.usedBytes, 0);
  });
});
