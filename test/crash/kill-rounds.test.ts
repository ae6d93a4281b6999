// Kills the real server at random moments under a writing client, again and again on one data directory.
// KILN_CRASH_ROUNDS sets the number of rounds (50), KILN_TEST_SEED repeats a run's decisions.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../../src/testing/seeded-random.ts';
import { openFileStore } from '../../src/testing/temporary-file-store.ts';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { BuildClient, Ledger } from './build-client.ts';

const rounds = Number(process.env['KILN_CRASH_ROUNDS'] ?? '50');
const writers = 6;
/** More than all rounds write: eviction would look like loss. */
const maxSize = '20GiB';

/** Every file of a data directory that holds stored content or what became of it. */
function storedFiles(data: string): readonly { readonly path: string; readonly allocatedBytes: number }[] {
  return ['objects', 'values', 'quarantine'].flatMap((folder) => {
    const root = join(data, folder);
    const entries = lstatSync(root, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => ({ path, allocatedBytes: Math.max(1, Math.ceil(lstatSync(path).size / 4096)) * 4096 }));
  });
}

describe('kill -9 under a writing client', () => {
  it(`K1-03, K1-06, K1-11: ${rounds} rounds: no acknowledged blob is missing or wrong, no partial file stays`, async (t) => {
    const random = seededRandom(t);
    t.diagnostic(`seed ${random.seed}`);
    const pool = Buffer.from(random.bytes(2_000_000));
    const data = join(temporaryDirectory(t, 'crash'), 'data');
    const ledger = new Ledger();
    const totals = { partialsLeft: 0, survivedUnacknowledged: 0 };
    for (let round = 0; round < rounds; round += 1) {
      const daemon = await startDaemon(t, data, { flags: ['--max-size', maxSize] });
      assert.deepEqual(storedFiles(data).filter(({ path }) => path.endsWith('.partial')), [], 'a start sweeps what writers left');
      using client = new BuildClient(`${daemon.host}:${daemon.port}`, ledger, random, pool);
      assert.deepEqual(await client.lost(), [], `after ${round} kills`);
      await client.checkResults();
      totals.survivedUnacknowledged += await client.readAll(unacknowledged(ledger));
      ledger.sent.clear();
      let over = false;
      const work = Array.from({ length: writers }, (_, writer) => client.writeUntil(() => over, writer));
      await Promise.race([delay(random.integer(5, 500)), Promise.all(work)]);
      over = true;
      await daemon.kill();
      await Promise.all(work);
      totals.partialsLeft += storedFiles(data).filter(({ path }) => path.endsWith('.partial')).length;
    }
    const daemon = await startDaemon(t, data, { flags: ['--max-size', maxSize] });
    using client = new BuildClient(`${daemon.host}:${daemon.port}`, ledger, random, pool);
    assert.deepEqual(await client.lost(), []);
    await client.checkResults();
    assert.equal(await client.readAll(ledger.acknowledged.values()), ledger.acknowledged.size);
    await daemon.stop();
    await checkAccounts(data);
    const bytes = [...ledger.acknowledged.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const versions = [...ledger.results.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0);
    t.diagnostic(
      `${rounds} kills: ${ledger.acknowledged.size} blobs (${(bytes / 1e6).toFixed(0)} MB) and ${versions} action results were acknowledged and are there; ` +
        `${totals.partialsLeft} partial files were left by the killed and swept, ${totals.survivedUnacknowledged} blobs survived unacknowledged`,
    );
    assert.ok(ledger.acknowledged.size >= rounds * 10, 'the client got to write');
    if (rounds >= 10) assert.ok(totals.partialsLeft > 0, 'no kill came in the middle of a write: the moments are not random enough');
  });
});

/** Blobs that were sent and not acknowledged before the kill. */
function unacknowledged(ledger: Ledger) {
  return [...ledger.sent.values()].filter(({ hash }) => !ledger.acknowledged.has(hash));
}

/** What the store counts is what stands on disk, and nothing was found corrupt. */
async function checkAccounts(data: string): Promise<void> {
  await using store = await openFileStore(data, { maxBytes: 20 * 2 ** 30 });
  const files = storedFiles(data);
  assert.equal(store.usage.usedBytes, files.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0));
  assert.equal(store.usage.filesCount, files.length);
  assert.equal(store.usage.quarantinedCount, 0);
}
