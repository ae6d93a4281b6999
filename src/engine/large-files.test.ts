// Large files step by step: what happens in which order, what is left when a step fails, and who waits for whom.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctionNamed } from '../digest/digest-function.ts';
import { systemError } from '../testing/faulty-file-system.ts';
import { blobOf, inPieces, keyOf, onMachine, onSimulatedFiles as on, openSimulatedFiles } from '../testing/simulated-files.ts';
import type { FilesWorld as World } from '../testing/simulated-files.ts';
import type { SimulatedMachine } from '../testing/simulated-machine.ts';
import { replacing } from '../testing/spoiled-ports.ts';

/** The trace without what is written where, and with short names. */
function steps({ disk }: SimulatedMachine): readonly string[] {
  return disk.trace.map((line) =>
    line
      .replaceAll(/\/data\/objects\/\w+\/\w\w\/\w+/g, 'object')
      .replaceAll(/\/data\/objects\/\w+\/\w\w/g, 'shard')
      .replaceAll(/\/data\/log\/\d+/g, 'log')
      .replaceAll(/\/data\/uploads\/\d+\.data/g, 'upload')
      .replaceAll(/\/data\/trash\/\d+/g, 'trashed')
      .replace(/^(write \w+) .*/, '$1'),
  );
}

describe('a large put', () => {
  it('K1-01: syncs bytes and intent before the name can exist, the name before the commit is written, the commit before it is told', () =>
    on(async ({ machine, store }) => {
      const { bytes, digest } = blobOf('ordered');
      let isTold = false;
      const put = store.files.put(digest, inPieces(bytes)).then(() => void (isTold = true));
      machine.disk.beforeChange = () => assert.equal(isTold, false, 'nothing is left to do when it is told');
      await put;
      machine.disk.beforeChange = () => undefined;
      const order = steps(machine);
      const renamed = order.indexOf('rename upload object');
      const [intent, commit] = order.flatMap((step, at) => (step === 'write log' ? [at] : []));
      assert.ok(intent !== undefined && commit !== undefined && order.filter((step) => step === 'write log').length === 2);
      assert.ok(order.lastIndexOf('write upload') < order.lastIndexOf('sync upload') && order.lastIndexOf('sync upload') < renamed);
      assert.ok(intent < order.indexOf('sync log') && order.indexOf('sync log') < renamed);
      assert.ok(renamed < order.lastIndexOf('sync shard') && order.lastIndexOf('sync shard') < commit);
      assert.equal(order.at(-1), 'sync log');
      assert.deepEqual(store.log.appended, ['intent', 'commit']);
      assert.deepEqual(await store.read(digest), bytes);
    }));

  it('K1-01: the index learns of a file only when its commit is durable', () =>
    on(async ({ machine, store }) => {
      const { bytes, digest } = blobOf('indexed');
      machine.disk.beforeChange = () => assert.equal(store.has(digest), false);
      await store.files.put(digest, inPieces(bytes));
      assert.equal(store.has(digest), true);
      assert.equal(store.sieve.count, 1);
      machine.disk.beforeChange = () => undefined;
    }));

  it('takes room for all of it before it asks for the first byte, and counts it exactly', () =>
    on(async ({ store }) => {
      const { bytes, digest } = blobOf('reserved', 9_000);
      let reserved = -1;
      async function* watched(): AsyncGenerator<Uint8Array, void, undefined> {
        reserved = store.ledger.reservedBytes;
        yield bytes;
      }
      await store.files.put(digest, watched());
      assert.equal(reserved, 12_288);
      assert.deepEqual([store.ledger.reservedBytes, store.ledger.bytesOf('files')], [0, 12_288]);
    }));

  it('K1-16: asks for no byte of a blob that is there, and counts that as a use', () =>
    on(async ({ store }) => {
      const { bytes, digest } = blobOf('present');
      await store.files.put(digest, inPieces(bytes));
      const untouched = store.touched.length;
      const never: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => assert.fail('no byte is asked for') };
      await store.files.put(digest, never);
      assert.equal(store.touched.length, untouched + 1);
    }));

  it('of the same blob twice at a time ends with one file, and says so of the other in the log', () =>
    on(async ({ store }) => {
      const { bytes, digest } = blobOf('twice');
      await Promise.all([store.files.put(digest, inPieces(bytes)), store.files.put(digest, inPieces(bytes, 3_000))]);
      assert.deepEqual(store.log.appended.toSorted(), ['commit', 'ended', 'intent', 'intent']);
      assert.deepEqual(await store.read(digest), bytes);
      assert.equal(store.intents.isRunning(1), false);
    }));

  for (const { what, bytes } of [
    { what: 'other bytes', bytes: Buffer.alloc(9_000, 'x') },
    { what: 'too few bytes', bytes: blobOf('refused').bytes.subarray(1) },
    { what: 'too many bytes', bytes: Buffer.concat([blobOf('refused').bytes, Buffer.alloc(1)]) },
  ]) {
    it(`K1-09: refuses ${what} and keeps nothing`, () =>
      on(async ({ store }) => {
        const { digest } = blobOf('refused');
        await assert.rejects(store.files.put(digest, inPieces(bytes)), { code: 'invalid_argument' });
        assert.deepEqual(store.log.appended, []);
        await store.trash.idle();
        assert.equal(store.ledger.usedBytes, 0);
      }));
  }

  it('K1-09: keeps nothing when its source fails or the call is cancelled', () =>
    on(async ({ store }) => {
      const { bytes, digest } = blobOf('cut off');
      async function* failing(): AsyncGenerator<Uint8Array, void, undefined> {
        yield bytes.subarray(0, 5_000);
        throw new Error('the client went away');
      }
      await assert.rejects(store.files.put(digest, failing()), /went away/);
      const abort = new AbortController();
      async function* aborting(): AsyncGenerator<Uint8Array, void, undefined> {
        yield bytes.subarray(0, 5_000);
        abort.abort();
        yield bytes.subarray(5_000);
      }
      await assert.rejects(store.files.put(digest, aborting(), { signal: abort.signal }), { code: 'cancelled' });
      assert.equal(store.has(digest), false);
      await store.files.put(digest, inPieces(bytes));
    }));

  it('syncs the pieces of a long body while it comes', () =>
    on(async ({ machine, store }) => {
      const { bytes, digest } = blobOf('long', 5 << 20);
      const synced: number[] = [];
      async function* watched(): AsyncGenerator<Uint8Array, void, undefined> {
        for await (const piece of inPieces(bytes, 1 << 18)) {
          synced.push(steps(machine).filter((step) => step === 'sync upload').length);
          yield piece;
        }
      }
      await store.files.put(digest, watched());
      assert.ok((synced.at(-1) ?? 0) >= 3, `${synced.at(-1)} syncs before the last piece`);
      assert.deepEqual(await store.read(digest), bytes);
    }));
});

describe('a large put on a disk that fails', () => {
  const { bytes, digest } = blobOf('unlucky');
  const faults: readonly { readonly what: string; readonly operation: string; readonly path: RegExp; readonly nth?: number }[] = [
    { what: 'the creation of its file', operation: 'create', path: /uploads/ },
    { what: 'a write', operation: 'write', path: /uploads/ },
    { what: 'the sync of its bytes', operation: 'sync', path: /uploads\/\d/ },
    { what: 'the write of its intent', operation: 'write', path: /log/ },
    { what: 'the sync of its intent', operation: 'sync', path: /log\/\d/ },
    { what: 'its rename', operation: 'rename', path: /uploads/ },
    { what: 'the sync of its directory', operation: 'sync', path: /objects\/sha256\/\w\w/ },
    { what: 'the sync of its commit', operation: 'sync', path: /log\/\d/, nth: 2 },
  ];
  for (const { what, operation, path, nth = 1 } of faults) {
    it(`K1-08: fails once with ${what}, leaves nothing and can be tried again`, () =>
      on(async ({ machine, store }) => {
        let seen = 0;
        machine.disk.fault = (one, at) => (one === operation && path.test(at) && (seen += 1) === nth ? 'EIO' : undefined);
        await assert.rejects(store.files.put(digest, inPieces(bytes)), { code: 'unavailable' });
        assert.ok(seen >= nth, 'the fault was met');
        machine.disk.fault = () => undefined;
        assert.equal(store.has(digest), false);
        while (store.files.usage.pendingRemovals > 0) await machine.turns.nextTurn();
        await store.log.idle();
        await store.trash.idle();
        assert.equal(store.audit(), undefined);
        assert.equal(store.intents.isRunning(1), false);
        await store.files.put(digest, inPieces(bytes));
        assert.deepEqual(await store.read(digest), bytes);
      }));
  }

  it('leaves no file behind where its hash cannot begin', () =>
    on(async ({ machine, store }) => {
      const { hashes } = machine;
      const begin = hashes.begin.bind(hashes);
      hashes.begin = () => {
        throw new CacheError('unavailable', 'no thread can be had');
      };
      await assert.rejects(store.files.put(digest, inPieces(bytes)), { code: 'unavailable' });
      assert.deepEqual([store.ledger.usedBytes, [...machine.disk.files().keys()].filter((path) => path.includes('/uploads/'))], [0, []]);
      hashes.begin = begin;
      await store.files.put(digest, inPieces(bytes));
    }));

  it('a rename that was done and told as failed is found out', async () => {
    let isBroken = false;
    await on(
      async ({ store }) => {
        isBroken = true;
        await assert.rejects(store.files.put(digest, inPieces(bytes)), { code: 'unavailable' });
        isBroken = false;
        await store.log.idle();
        await store.trash.idle();
        assert.deepEqual([store.audit(), store.leftBehind(), store.has(digest)], [undefined, [], false]);
        await store.files.put(digest, inPieces(bytes));
      },
      {
        files: (disk) =>
          replacing<LogFileSystem>(disk, {
            async rename(from: string, to: string) {
              await disk.rename(from, to);
              if (isBroken && to.includes('objects')) throw systemError('EIO', 'rename');
            },
          }),
      },
    );
  });

  it('a commit that failed is followed by a tombstone before its file goes, since a start may find it', () =>
    on(async ({ machine, store }) => {
      let syncs = 0;
      machine.disk.fault = (one, at) => (one === 'sync' && /log\/\d/.test(at) && (syncs += 1) === 2 ? 'EIO' : undefined);
      await assert.rejects(store.files.put(digest, inPieces(bytes)), { code: 'unavailable' });
      assert.deepEqual(store.log.appended, ['intent', 'commit', 'removed', 'gone', 'ended']);
      const order = steps(machine);
      const meanwhile = order.slice(order.indexOf('sync log fails: EIO'), order.indexOf('rename object trashed'));
      assert.ok(meanwhile.includes('write log') && meanwhile.lastIndexOf('sync log') > meanwhile.lastIndexOf('write log'), meanwhile.join(', '));
    }));
});

describe('the removal of a large file', () => {
  it('forgets it and writes its tombstone in one turn, and takes its name only when that is durable', () =>
    on(async ({ machine, store }) => {
      const { bytes, digest } = blobOf('leaving');
      await store.files.put(digest, inPieces(bytes));
      machine.disk.trace.length = 0;
      const tombstones = (): number => store.log.appended.filter((word) => word === 'removed').length;
      machine.disk.beforeChange = () => assert.equal(tombstones(), store.has(digest) ? 0 : 1);
      assert.equal(await store.evict(digest), true);
      machine.disk.beforeChange = () => undefined;
      await store.trash.idle();
      const order = steps(machine);
      const renamed = order.indexOf('rename object trashed');
      assert.ok(order.indexOf('write log') < order.indexOf('sync log') && order.indexOf('sync log') < renamed);
      assert.ok(renamed < order.indexOf('sync shard') && renamed < order.indexOf('sync /data/trash'));
      assert.ok(Math.max(order.indexOf('sync shard'), order.indexOf('sync /data/trash')) < order.indexOf('remove trashed'));
      assert.equal(store.log.appended.at(-1), 'gone');
      assert.equal(await store.read(digest), undefined);
    }));

  it('counts its bytes as trash at once, and as free when they are', () =>
    on(async ({ store }) => {
      const { bytes, digest } = blobOf('counted');
      await store.files.put(digest, inPieces(bytes));
      const evicted = store.evict(digest);
      while (store.has(digest)) await Promise.resolve();
      assert.deepEqual([store.ledger.bytesOf('files'), store.ledger.bytesOf('trash')], [0, 12_288]);
      await evicted;
      await store.trash.idle();
      assert.equal(store.ledger.usedBytes, 0);
    }));

  it('K2-15: makes the file shorter only when its readers have ended, who read all of it', () =>
    on(async ({ machine, store }) => {
      const { bytes, digest } = blobOf('read', 10 << 20);
      await store.files.put(digest, inPieces(bytes, 1 << 20));
      const opened = await store.files.openRead(digest);
      assert.ok(opened);
      assert.equal(await store.evict(digest), true);
      for (let turn = 0; turn < 50; turn += 1) await machine.turns.nextTurn();
      const found = Buffer.alloc(bytes.byteLength);
      assert.equal(await opened.read(found, 0), bytes.byteLength);
      assert.ok(found.equals(bytes));
      assert.equal(steps(machine).some((step) => step.startsWith('truncate')), false);
      await opened[Symbol.asyncDispose]();
      await store.trash.idle();
      assert.deepEqual(steps(machine).filter((step) => /truncate|remove trashed/.test(step)), [...[8, 6, 4, 2].map((mebibytes) => `truncate trashed ${mebibytes << 20}`), 'remove trashed']);
    }));

  it('K1-18: never makes a file shorter that has another name, nor changes its mode', () =>
    on(async ({ machine, store }) => {
      const { bytes, digest } = blobOf('linked', 6 << 20);
      await store.files.put(digest, inPieces(bytes, 1 << 20));
      const held = store.files.pathOf(digest);
      assert.ok(held);
      await machine.disk.link(held.path, '/data/input');
      held[Symbol.dispose]();
      assert.equal(await store.evict(digest), true);
      await store.trash.idle();
      assert.equal(steps(machine).some((step) => step.startsWith('truncate')), false);
      assert.ok(machine.disk.files().get('/data/input')?.equals(bytes));
      await machine.disk.remove('/data/input');
    }));

  it('K2-04: leaves a file whose path is held, unless it is corrupt', () =>
    on(async ({ store }) => {
      const { bytes, digest } = blobOf('held');
      await store.files.put(digest, inPieces(bytes));
      const [one, two] = [store.files.pathOf(digest), store.files.pathOf(digest)];
      assert.ok(one && two);
      assert.equal(await store.evict(digest), false);
      one[Symbol.dispose]();
      one[Symbol.dispose]();
      assert.equal(store.files.isHeld(keyOf(digest)), true);
      assert.equal(await store.evict(digest), false);
      assert.deepEqual(await store.read(digest), bytes);
      assert.equal(await store.files.remove(store.entries.blobs.find(keyOf(digest)), 'corrupt'), true);
      two[Symbol.dispose]();
      assert.equal(store.files.isHeld(keyOf(digest)), false);
      assert.deepEqual([store.quarantine.count, store.ledger.bytesOf('quarantine'), store.ledger.bytesOf('trash')], [1, 12_288, 0]);
    }));

  it('K2-04: a file used while room for its tombstone was waited for stays', () =>
    on(async ({ machine, store }) => {
      const { bytes, digest } = blobOf('used after all');
      await store.files.put(digest, inPieces(bytes));
      const room = Promise.withResolvers<void>();
      store.log.beforeClaim = () => room.promise;
      const evicted = store.evict(digest);
      await machine.turns.nextTurn();
      await store.files.put(digest, inPieces(bytes)); // present: a use
      room.resolve();
      assert.equal(await evicted, false);
      assert.equal(store.has(digest), true);
    }));

  it('finds the whole name of a file whose key is cut in its commit', () =>
    on(async ({ machine }) => {
      const bytes = Buffer.alloc(9_000, 'long hash');
      const sha512 = digestFunctionNamed('sha512');
      assert.ok(sha512);
      const digest = Digest.of(bytes, sha512);
      const store = await openSimulatedFiles(machine);
      await store.files.put(digest, inPieces(bytes));
      await store.close();
      const next = await openSimulatedFiles(machine);
      assert.deepEqual(await next.read(digest), bytes);
      assert.equal(await next.evict(digest), true);
      await next.close();
      assert.equal(next.audit(), undefined);
    }));
});

/** Lets syncs of some paths begin only when it is open. */
class Gate {
  #open: PromiseWithResolvers<void> | undefined;

  close(): void {
    this.#open = Promise.withResolvers();
  }

  open(): void {
    this.#open?.resolve();
    this.#open = undefined;
  }

  before(syncs: SyncPort, pathOf: (fd: number) => string | undefined, which: RegExp): SyncPort {
    return {
      sync: async (fd, target) => {
        if (which.test(pathOf(fd) ?? '')) await this.#open?.promise;
        return syncs.sync(fd, target);
      },
      [Symbol.asyncDispose]: () => syncs[Symbol.asyncDispose](),
    };
  }
}

describe('removals and puts of one blob that overlap', () => {
  const { bytes, digest } = blobOf('contested');

  it('only the latest removal acts: the file of a put in between has a tombstone of its own to wait for', async () => {
    await onMachine(async (machine) => {
      const [ofLog, ofBytes] = [new Gate(), new Gate()];
      const pathOf = (fd: number): string | undefined => machine.disk.pathOf(fd);
      const store = await openSimulatedFiles(machine, {
        smallSyncs: (syncs) => ofLog.before(syncs, pathOf, /log\/\d/),
        largeSyncs: (syncs) => ofBytes.before(syncs, pathOf, /uploads\/2/),
      });
      const turns = async (): Promise<void> => {
        for (let turn = 0; turn < 40; turn += 1) await machine.turns.nextTurn();
      };
      const appended = (word: string): number => store.log.appended.filter((one) => one === word).length;
      // The second put is as far as its sync when the first one ends: its intent is durable, and it does not look again before it has the key.
      ofBytes.close();
      const first = store.files.put(digest, inPieces(bytes));
      const second = store.files.put(digest, inPieces(bytes));
      await first;
      ofLog.close();
      const earlier = store.evict(digest);
      await turns();
      assert.deepEqual([appended('removed'), appended('commit')], [1, 1]);
      ofBytes.open();
      await turns();
      assert.deepEqual([appended('commit'), store.has(digest)], [2, false], 'the second put has the key, and its commit waits to be written');
      // At once, when the index learns of it: the first removal, whose tombstone is durable by then, has not had the key yet.
      const append = store.sieve.append.bind(store.sieve);
      let later: Promise<boolean> | undefined;
      store.sieve.append = (low, high) => {
        append(low, high);
        ofLog.close();
        later = store.evict(digest);
      };
      ofLog.open();
      await turns();
      assert.equal(appended('removed'), 2);
      assert.ok(machine.disk.files().has(store.layout.final(digest.key)), 'its tombstone is not durable');
      ofLog.open();
      assert.deepEqual(await Promise.all([earlier, later]), [true, true]);
      await second;
      await store.close();
      assert.deepEqual([store.audit(), store.leftBehind()], [undefined, []]);
    });
  });

  it('a removal that waited for room leaves the file that came meanwhile', () =>
    on(async ({ machine, store }) => {
      await store.files.put(digest, inPieces(bytes));
      const room = Promise.withResolvers<void>();
      store.log.beforeClaim = () => room.promise;
      const stale = store.files.remove(store.entries.blobs.find(keyOf(digest)), 'corrupt');
      await machine.turns.nextTurn();
      store.log.beforeClaim = () => undefined;
      assert.equal(await store.evict(digest), true);
      await store.files.put(digest, inPieces(bytes));
      room.resolve();
      assert.equal(await stale, false);
      assert.deepEqual(await store.read(digest), bytes);
    }));

  it('one that is gone already is not removed again', () =>
    on(async ({ store }) => {
      await store.files.put(digest, inPieces(bytes));
      const slot = store.entries.blobs.find(keyOf(digest));
      assert.deepEqual(await Promise.all([store.files.remove(slot, 'evicted'), store.files.remove(slot, 'corrupt')]), [true, false]);
    }));
});

describe('a removal on a disk that fails', () => {
  const { bytes, digest } = blobOf('stubborn');
  async function withFault(world: World, fault: (operation: string, path: string) => boolean, times: number): Promise<boolean | string> {
    await world.store.files.put(digest, inPieces(bytes));
    let left = times;
    world.machine.disk.fault = (operation, path) => (left > 0 && fault(operation, path) && (left -= 1) >= 0 ? 'EIO' : undefined);
    const outcome = await world.store.evict(digest).catch((thrown: unknown) => String((thrown as { code?: string }).code));
    return outcome;
  }
  async function finished({ machine, store }: World): Promise<void> {
    while (store.files.usage.pendingRemovals > 0) {
      machine.clock.advance(1_000);
      await machine.turns.nextTurn();
    }
    await store.trash.idle();
  }
  const isLogSync = (operation: string, path: string): boolean => operation === 'sync' && /log\/\d/.test(path);

  it('writes its tombstone once more when that was not durable', () =>
    on(async (world) => {
      assert.equal(await withFault(world, isLogSync, 1), true);
      assert.deepEqual(world.store.log.appended.slice(2), ['removed', 'removed', 'gone']);
      assert.equal(world.store.has(digest), false);
    }));

  it('tries until its tombstone is durable, and holds the segment of the commit as long', () =>
    on(async ({ machine, store }) => {
      const [first] = store.table.of('blob');
      assert.equal(await withFault({ machine, store }, isLogSync, 3), 'unavailable');
      assert.deepEqual([store.has(digest), first?.removals, store.ledger.bytesOf('trash')], [false, 2, 12_288]);
      await finished({ machine, store });
      assert.deepEqual(store.log.appended.slice(2), ['removed', 'removed', 'removed', 'removed', 'gone']);
      assert.equal(first?.removals, 0);
    }));

  for (const { what, fault } of [
    { what: 'the rename', fault: (operation: string, path: string) => operation === 'rename' && path.includes('objects') },
    { what: 'the sync of its directory', fault: (operation: string, path: string) => operation === 'sync' && path.includes('objects') },
    { what: 'the sync of the trash', fault: (operation: string, path: string) => operation === 'sync' && path.endsWith('trash') },
  ]) {
    it(`tries again what cannot be finished, ${what}; its segment stays until then`, () =>
      on(async (world) => {
        const { machine, store } = world;
        assert.equal(await withFault(world, fault, 1), 'unavailable');
        assert.equal(store.has(digest), false);
        assert.equal(Array.from(store.table.of('blob')).some(({ removals }) => removals > 0), true);
        await finished(world);
        assert.equal(store.audit(), undefined);
        assert.equal(machine.disk.files().has(store.layout.final(digest.key)), false);
      }));
  }

  it('a put of the same blob meanwhile wins', () =>
    on(async (world) => {
      const { store } = world;
      assert.equal(await withFault(world, (operation, path) => operation === 'rename' && path.includes('objects'), 1), 'unavailable');
      await store.files.put(digest, inPieces(bytes));
      await finished(world);
      assert.deepEqual(await store.read(digest), bytes);
    }));
});
