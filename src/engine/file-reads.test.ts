// Opening large files: how many at a time, and what becomes of those that are not what the index says.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blobOf, inPieces, onMachine, onSimulatedFiles as on, openSimulatedFiles } from '../testing/simulated-files.ts';

const { bytes, digest } = blobOf('read me');

describe('reading large files', () => {
  it('gives nothing for what is not there, and does not stand in line for it', () =>
    on(async ({ store }) => {
      await store.files.put(digest, inPieces(bytes));
      const opened = await Promise.all(Array.from({ length: 4 }, () => store.files.openRead(digest)));
      assert.equal(await store.files.openRead(blobOf('absent').digest), undefined);
      for (const one of opened) await one?.[Symbol.asyncDispose]();
    }));

  it('is bounded: who comes too many waits, can be cancelled, and one more is told that it is busy', () =>
    on(async ({ store }) => {
      await store.files.put(digest, inPieces(bytes));
      const opened = await Promise.all(Array.from({ length: 4 }, () => store.files.openRead(digest)));
      assert.deepEqual([store.files.usage.openReads, store.files.usage.openReadsMax], [4, 4]);
      const abort = new AbortController();
      const cancelled = store.files.openRead(digest, { signal: abort.signal });
      const waiting = Array.from({ length: 3 }, () => store.files.openRead(digest));
      assert.equal(store.files.usage.waitingReads, 4);
      await assert.rejects(store.files.openRead(digest), { kind: 'busy' });
      abort.abort();
      await assert.rejects(cancelled, { code: 'cancelled' });
      for (const one of opened) await one?.[Symbol.asyncDispose]();
      for (const one of await Promise.all(waiting)) await one?.[Symbol.asyncDispose]();
      assert.equal(store.files.usage.openReads, 0);
    }));

  it('gives back what it holds when the disk fails', () =>
    on(async ({ machine, store }) => {
      await store.files.put(digest, inPieces(bytes));
      machine.disk.fault = (operation, path) => (operation === 'open' && path.includes('objects') ? 'EIO' : undefined);
      for (let tries = 0; tries < 6; tries += 1) await assert.rejects(store.files.openRead(digest), { code: 'unavailable' });
      machine.disk.fault = () => undefined;
      assert.equal(store.has(digest), true);
      assert.deepEqual(await store.read(digest), bytes);
    }));

  it('a file that somebody removed is absent, said once, and can be put again', () =>
    on(async ({ machine, store }) => {
      await store.files.put(digest, inPieces(bytes));
      await machine.disk.remove(store.layout.final(digest.key));
      assert.equal(await store.read(digest), undefined);
      while (store.has(digest) || store.files.usage.pendingRemovals > 0) await machine.turns.nextTurn();
      assert.ok(machine.log.lines.includes('warn a stored file was removed by somebody else; it counts as absent'));
      assert.equal(store.ledger.usedBytes, 0);
      await store.files.put(digest, inPieces(bytes));
      assert.deepEqual(await store.read(digest), bytes);
    }));

  for (const { what, other } of [
    { what: 'shorter', other: bytes.subarray(1) },
    { what: 'longer', other: Buffer.concat([bytes, Buffer.alloc(1)]) },
  ]) {
    it(`K1-10: a file that is ${what} than its commit says goes to quarantine on the first read since the start`, async () => {
      await onMachine(async (machine) => {
        const first = await openSimulatedFiles(machine);
        await first.files.put(digest, inPieces(bytes));
        await first.close();
        machine.disk.tamper(first.layout.final(digest.key), other);
        const store = await openSimulatedFiles(machine);
        assert.equal(await store.read(digest), undefined);
        while (store.has(digest) || store.files.usage.pendingRemovals > 0) await machine.turns.nextTurn();
        assert.deepEqual([store.quarantine.count, store.ledger.bytesOf('files'), store.ledger.bytesOf('trash')], [1, 0, 0]);
        assert.ok(machine.disk.files().get(`/data/quarantine/sha256-${digest.hash}`)?.equals(other));
        await store.files.put(digest, inPieces(bytes));
        assert.deepEqual(await store.read(digest), bytes);
        await store.close();
      });
    });
  }

  it('holds nobody up who puts the blob again while it is read', () =>
    on(async ({ store }) => {
      await store.files.put(digest, inPieces(bytes));
      const opened = await store.files.openRead(digest);
      assert.ok(opened);
      await store.evict(digest);
      await store.files.put(digest, inPieces(bytes));
      assert.equal(await opened.read(Buffer.alloc(bytes.byteLength), 0), bytes.byteLength);
      await opened[Symbol.asyncDispose]();
    }));

  it('refuses once it is closing; what is open stays readable', () =>
    on(async ({ store }) => {
      await store.files.put(digest, inPieces(bytes));
      const opened = await store.files.openRead(digest);
      await store.files.close();
      await assert.rejects(store.files.openRead(digest), { code: 'unavailable' });
      await assert.rejects(store.files.put(digest, inPieces(bytes)), { code: 'unavailable' });
      assert.throws(() => store.files.pathOf(digest), { code: 'unavailable' });
      assert.equal(await opened?.read(Buffer.alloc(10), 0), 10);
      await opened?.[Symbol.asyncDispose]();
    }));
});
