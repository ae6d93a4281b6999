// What a pool does with threads that are slow, die or cannot be had; that its hashes are right is shown where the digest
// functions are known (wiring/hashes.test.ts).
import assert from 'node:assert/strict';
import { createHash, hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setEnvironmentData } from 'node:worker_threads';
import type { BodyHasher } from '../base/log-files.ts';
import { hashGateName } from '../testing/moody-hash-thread.ts';
import { standsStill } from '../testing/stands-still.ts';
import { HashPool } from './hash-pool.ts';
import type { HashPoolOptions } from './hash-pool.ts';
import { entryBeside } from './thread.ts';

type FunctionName = 'sha256' | 'die';
const mib = 1_048_576;
const entry = entryBeside(import.meta.url, '../testing/moody-hash-thread.ts');

/** A pool whose threads read as many pieces as `permit` says; negative: as many as there are. */
function gatedPool(permits: number, options: Partial<HashPoolOptions<FunctionName>> = {}) {
  const gate = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  gate[0] = permits;
  setEnvironmentData(hashGateName, gate);
  const createHasher = () => {
    const running = createHash('sha256');
    return { update: (bytes: Uint8Array) => void running.update(bytes), hex: () => running.digest('hex') };
  };
  const pool = new HashPool<FunctionName>({ entry, createHasher, threadsMax: 1, ringsMax: 4, ...options });
  const permit = (count: number): void => {
    if (count < 0) Atomics.store(gate, 0, count);
    else Atomics.add(gate, 0, count);
    Atomics.notify(gate, 0);
  };
  return { pool, permit };
}

async function feed(body: BodyHasher, bytes: Uint8Array): Promise<string> {
  await body.update(bytes);
  return body.hex();
}

describe('HashPool', () => {
  it('hashes a body where it is when no thread can be started', async () => {
    const { pool } = gatedPool(-1, { entry: new URL('http://nowhere.invalid/at/all.ts') });
    await using _ = pool;
    const bytes = Buffer.alloc(2 * mib, 'x');
    assert.equal(await feed(pool.begin('sha256', bytes.byteLength), bytes), hash('sha256', bytes));
    assert.equal(pool.lentRings, 0);
  });

  it('takes a MiB of a body and no more before its thread has read, and goes on with each piece', async () => {
    const { pool, permit } = gatedPool(0);
    await using _ = pool;
    const bytes = Buffer.alloc(3 * mib, 'abc');
    using body = pool.begin('sha256', bytes.byteLength);
    let taken = 0;
    const all = (async () => {
      for (let at = 0; at < bytes.byteLength; at += 65_536) {
        await body.update(bytes.subarray(at, at + 65_536));
        taken += 65_536;
      }
    })();
    assert.equal(await standsStill(() => taken), mib);
    permit(1);
    assert.equal(await standsStill(() => (taken === mib ? 0 : taken)), mib + 262_144);
    permit(-1);
    await all;
    assert.equal(await body.hex(), hash('sha256', bytes));
  });

  it('lends rings up to its bound and hashes what comes beyond at once, without waiting for anybody', async () => {
    const { pool, permit } = gatedPool(0, { ringsMax: 2 });
    await using _ = pool;
    const bytes = Buffer.alloc(2 * mib, 'x');
    const held = [pool.begin('sha256', bytes.byteLength), pool.begin('sha256', bytes.byteLength)].map((body) => feed(body, bytes));
    assert.equal(pool.lentRings, 2);
    using beyond = pool.begin('sha256', bytes.byteLength);
    assert.equal(beyond.update(bytes), undefined);
    assert.equal(await beyond.hex(), hash('sha256', bytes));
    permit(-1);
    assert.deepEqual(await Promise.all(held), [hash('sha256', bytes), hash('sha256', bytes)]);
    assert.deepEqual([pool.lentRings, pool.ringBytes], [0, 2 * mib]);
  });

  it('keeps small bodies on the loop', async () => {
    const { pool } = gatedPool(0);
    await using _ = pool;
    using body = pool.begin('sha256', mib - 1);
    assert.equal(pool.lentRings, 0);
    assert.equal(await feed(body, Buffer.alloc(mib - 1)), hash('sha256', Buffer.alloc(mib - 1)));
  });

  it('gives a ring back when its body is disposed in the middle, but not before its thread is through', async () => {
    const { pool, permit } = gatedPool(0, { ringsMax: 1 });
    await using _ = pool;
    const body = pool.begin('sha256', 3 * mib);
    const waiting = body.update(Buffer.alloc(3 * mib));
    body[Symbol.dispose]();
    body[Symbol.dispose]();
    await assert.rejects(Promise.resolve(waiting), { code: 'cancelled' });
    assert.equal(pool.lentRings, 1);
    permit(-1);
    while (pool.lentRings > 0) await sleep(1);
    const bytes = Buffer.alloc(2 * mib, 'next');
    using next = pool.begin('sha256', bytes.byteLength);
    assert.equal(pool.lentRings, 1);
    assert.equal(await feed(next, bytes), hash('sha256', bytes));
    assert.equal(pool.ringBytes, mib);
  });

  it('a body disposed just when its thread had read harms no other', async () => {
    const { pool } = gatedPool(-1, { ringsMax: 8 });
    await using _ = pool;
    const bytes = Buffer.alloc(4 * mib, 'y');
    using witness = pool.begin('sha256', 8 * bytes.byteLength);
    for (let round = 0; round < 8; round += 1) {
      const body = pool.begin('sha256', Infinity);
      const outcome = Promise.resolve(body.update(bytes)).then(() => body.hex()).catch((error: unknown) => error);
      await witness.update(bytes);
      body[Symbol.dispose]();
      await outcome;
    }
    assert.equal(await witness.hex(), hash('sha256', Buffer.alloc(32 * mib, 'y')));
  });

  it('fails the bodies of a thread that dies, waiting or not, and starts another one for the next', async () => {
    const { pool, permit } = gatedPool(0);
    await using _ = pool;
    const bytes = Buffer.alloc(3 * mib, 'z');
    using waiting = pool.begin('sha256', bytes.byteLength);
    using idle = pool.begin('sha256', bytes.byteLength);
    using ending = pool.begin('sha256', bytes.byteLength);
    using deadly = pool.begin('die', bytes.byteLength);
    const outcomes = [waiting.update(bytes), deadly.update(bytes), ending.hex()].map((call) => assert.rejects(Promise.resolve(call), { code: 'unavailable' }));
    permit(-1);
    await Promise.all(outcomes);
    assert.equal(pool.lentRings, 0);
    await assert.rejects(Promise.resolve(idle.update(bytes)), { code: 'unavailable' });
    await assert.rejects(idle.hex(), { code: 'unavailable' });
    using next = pool.begin('sha256', bytes.byteLength);
    assert.equal(await feed(next, bytes), hash('sha256', bytes));
    assert.equal(pool.ringBytes, 4 * mib);
  });

  it('fails bodies whose thread cannot be started, and those that are open when it is closed', async () => {
    const { pool } = gatedPool(0, { entry: new URL('file:///nowhere/at/all.ts') });
    using lost = pool.begin('sha256', 2 * mib);
    await assert.rejects(feed(lost, Buffer.alloc(2 * mib)), { code: 'unavailable' });
    await pool[Symbol.asyncDispose]();
    const { pool: closing } = gatedPool(0);
    using open = closing.begin('sha256', 2 * mib);
    const outcome = assert.rejects(feed(open, Buffer.alloc(2 * mib)), { code: 'unavailable' });
    await closing[Symbol.asyncDispose]();
    await outcome;
    assert.throws(() => closing.begin('sha256', 2 * mib), { code: 'unavailable' });
  });
});
