// Cuts power and kills the process at every step of a file store at work, then opens what is left: file-store.ts,
// and below it src/engine/stored-files.ts, src/engine/recency-log.ts and src/engine/data-directory.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { CutError, FaultyFileSystem } from '../testing/faulty-file-system.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { SeededRandom, chunked, seededRandom } from '../testing/seeded-random.ts';
import { openFileStore } from '../testing/temporary-file-store.ts';
import type { FileStore } from './file-store.ts';
import type { ValueKey } from './value-store.ts';

const directory = '/data';
const keyOf = (index: number): ValueKey => ({ kind: 'action_result', instance: 'i', digestFunction: sha256, hash: String(index).padStart(64, '0') });

/** What a client of the store knows. */
interface Ledger {
  /** Blobs acknowledged, and put at all. */
  readonly acknowledged: Map<string, Buffer>;
  readonly offered: Map<string, Buffer>;
  /** By value key: number of the last acknowledged version, and of the last begun. */
  readonly versions: Map<number, { acknowledged: number; begun: number }>;
}

/** Random puts, reads and time passing, until the process dies or the work is done. Ends well only without a cut. */
async function work(disk: FaultyFileSystem, random: SeededRandom, ledger: Ledger): Promise<void> {
  const clock = new ManualClock(1_700_000_000_000);
  const store = await openFileStore(directory, { maxBytes: 1 << 20, hotBytesMax: 10_000 }, { files: disk, clock });
  const put = async (): Promise<void> => {
    const bytes = Buffer.from(random.bytes(random.pick([10, 3_000, 70_000])));
    const digest = Digest.of(bytes);
    ledger.offered.set(String(digest), bytes);
    await store.blobs.put(digest, chunked(bytes, random));
    ledger.acknowledged.set(String(digest), bytes);
  };
  const putValue = async (): Promise<void> => {
    const index = random.integer(0, 1);
    const version = ledger.versions.get(index) ?? { acknowledged: -1, begun: -1 };
    ledger.versions.set(index, version);
    version.begun += 1;
    const put = version.begun;
    const value = byteSourceOf(Buffer.from(`version ${put} `.repeat(random.integer(1, 400))));
    // Both ways to replace a value; for the second one, what is there does not stand.
    if (random.integer(0, 1) === 0) await store.values.put(keyOf(index), value);
    else assert.ok(await store.values.putFirst(keyOf(index), value, () => false));
    version.acknowledged = put;
  };
  const steps = [put, put, putValue, async () => clock.advance(6_000), async () => void (await Promise.all([put(), put()]))];
  for (let step = 0; step < 6; step += 1) {
    await random.pick(steps)();
    const some = [...ledger.acknowledged.values()][0];
    if (some !== undefined) await store.blobs.findMissing(DigestList.of(Digest.of(some)));
  }
  await store.close();
}

/** Every promise, checked on the store that opens after the crash. */
async function verify(store: FileStore, left: FaultyFileSystem, ledger: Ledger): Promise<void> {
  for (const [name, bytes] of ledger.offered) {
    const source = await store.blobs.get(Digest.of(bytes));
    if (source === undefined) assert.ok(!ledger.acknowledged.has(name), `${name} was acknowledged and is lost`);
    else assert.ok(bytes.equals(await collect(source, 1 << 20)), `${name} has wrong bytes`);
  }
  for (const [index, { acknowledged, begun }] of ledger.versions) {
    const source = await store.values.get(keyOf(index));
    if (source === undefined) assert.equal(acknowledged, -1, `value ${index} was acknowledged and is lost`);
    else {
      const version = Number(/^version (\d+) /.exec(Buffer.from(await collect(source, 1 << 20)).toString())?.[1]);
      assert.ok(version >= acknowledged && version <= begun, `value ${index} is version ${version}, acknowledged was ${acknowledged}`);
    }
  }
  const stored = [...left.snapshot()].filter(([path]) => /\/(objects|values)\//.test(path));
  assert.deepEqual(stored.filter(([path]) => path.endsWith('.partial')).map(([path]) => path), []);
  const allocated = stored.reduce((sum, [, { byteLength }]) => sum + Math.max(1, Math.ceil(byteLength / 4096)) * 4096, 0);
  assert.equal(store.usage.usedBytes - store.usage.quarantinedBytes, allocated, 'every file is counted, and no other');
}

/** Opens what a crash left, and once more after a power cut right then. */
async function reopenTwice(left: FaultyFileSystem, ledger: Ledger, random: SeededRandom): Promise<void> {
  await using store = await openFileStore(directory, { maxBytes: 1 << 20 }, { files: left, clock: new ManualClock(1_700_000_100_000) });
  await verify(store, left, ledger);
  // What a start found it relies on, and acknowledges without writing: that has to survive a power cut from then on.
  const known = { ...ledger, acknowledged: new Map(ledger.acknowledged) };
  for (const [name, bytes] of ledger.offered) {
    if ((await store.blobs.findMissing(DigestList.of(Digest.of(bytes)))).length === 0) known.acknowledged.set(name, bytes);
  }
  const again = left.afterPowerCut(random);
  await using second = await openFileStore(directory, { maxBytes: 1 << 20 }, { files: again, clock: new ManualClock(1_700_000_200_000) });
  await verify(second, again, known);
}

describe('FileStore under crashes', () => {
  it('K1-03, K1-06, K1-11: keeps every acknowledged blob and value at every step, killed or cut', async (t) => {
    const random = seededRandom(t);
    let points = 0;
    for (let round = 0; round < 2; round += 1) {
      const seed = random.integer(0, 2 ** 31);
      for (let cutAt = 0, cut = true; cut; cutAt += 1) {
        const disk = new FaultyFileSystem();
        disk.cutAt = cutAt;
        const ledger: Ledger = { acknowledged: new Map(), offered: new Map(), versions: new Map() };
        await work(disk, new SeededRandom(seed), ledger).catch((thrown: unknown) => {
          assert.ok(disk.cutAt === -1, String(thrown));
          assert.ok(thrown instanceof CutError || (thrown instanceof CacheError && thrown.cause instanceof CutError), String(thrown));
        });
        cut = disk.cutAt === -1;
        for (const left of [disk.afterKill(), disk.afterKill(), disk.afterPowerCut(random), disk.afterPowerCut(random)]) {
          points += 1;
          await reopenTwice(left, ledger, random);
        }
      }
    }
    t.diagnostic(`${points} crashes`);
    assert.ok(points > 500, `${points} crashes`);
  });

  it('a crash during recovery loses nothing', async (t) => {
    const random = seededRandom(t);
    const disk = new FaultyFileSystem();
    const ledger: Ledger = { acknowledged: new Map(), offered: new Map(), versions: new Map() };
    await work(disk, random, ledger);
    for (let cutAt = 0, cut = true; cut; cutAt += 1) {
      const state = disk.afterPowerCut(random);
      state.cutAt = cutAt;
      const clock = new ManualClock(1_700_000_100_000);
      await openFileStore(directory, { maxBytes: 1 << 20 }, { files: state, clock }).catch(() => undefined);
      cut = state.cutAt === -1;
      const left = state.afterPowerCut(random);
      await using store = await openFileStore(directory, { maxBytes: 1 << 20 }, { files: left, clock });
      await verify(store, left, ledger);
    }
  });
});
