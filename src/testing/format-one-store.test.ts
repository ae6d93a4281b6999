// The store of format 1 for tests, held to a directory that the real one wrote.
import assert from 'node:assert/strict';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lastUses } from '../engine/recency-log.ts';
import { NodeFileSystem } from '../platform/node-file-system.ts';
import { formatOneDirectory, restoreDirectory } from './format-one-directory.ts';
import { FormatOneStore } from './format-one-store.ts';
import { ManualClock } from './manual-clock.ts';
import { SeededRandom } from './seeded-random.ts';
import { assertInFormatOne, fillFormatOne } from './taken-over.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const real = new NodeFileSystem();

/** Path, mode and content of every file, but those that say when files were used. */
async function filesOf(root: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || entry.parentPath.endsWith('/recency')) continue;
    files.push(`${path.slice(root.length + 1)} ${((await stat(path)).mode & 0o777).toString(8)} ${(await readFile(path)).toString('base64')}`);
  }
  return files.toSorted();
}

describe('the store of format 1 for tests', () => {
  it('writes what the real one wrote: the same files, byte for byte, and the same uses', async () => {
    const fixture = await formatOneDirectory();
    await using directory = await temporaryDirectory();
    const [ours, theirs] = [join(directory.path, 'ours'), join(directory.path, 'theirs')];
    await restoreDirectory(fixture, theirs);
    const clock = new ManualClock(fixture.startMs);
    const store = await FormatOneStore.open(ours, { clock });
    await fillFormatOne(store, clock, new SeededRandom(fixture.seed), fixture.sizes);
    await store.close();
    assert.deepEqual(await filesOf(ours), await filesOf(theirs));
    const uses = async (root: string) => [...(await lastUses(real, join(root, 'recency')))].toSorted(([a], [b]) => a.localeCompare(b));
    assert.deepEqual(await uses(ours), await uses(theirs));
  });

  it('reads what the real one wrote', async () => {
    const fixture = await formatOneDirectory();
    await using directory = await temporaryDirectory();
    await restoreDirectory(fixture, directory.path);
    const clock = new ManualClock(fixture.startMs);
    await using other = await temporaryDirectory();
    await using ours = await FormatOneStore.open(other.path, { clock });
    const content = await fillFormatOne(ours, clock, new SeededRandom(fixture.seed), fixture.sizes);
    await using store = await FormatOneStore.open(directory.path, { clock });
    await assertInFormatOne(store, content);
  });

  it('goes on where it was, and refuses another format', async () => {
    await using directory = await temporaryDirectory();
    const root = join(directory.path, 'data');
    const clock = new ManualClock(1_700_000_000_000);
    const first = await FormatOneStore.open(root, { clock });
    const content = await fillFormatOne(first, clock, new SeededRandom(2));
    await first.close();
    const before = await lastUses(real, join(root, 'recency'));
    {
      await using again = await FormatOneStore.open(root, { clock });
      assert.deepEqual(await lastUses(real, join(root, 'recency')), before);
      await assertInFormatOne(again, content);
    }
    await real.remove(join(root, 'kiln-data-version'));
    const marker = await real.createExclusive(join(root, 'kiln-data-version'));
    await marker.write(Buffer.from('kiln data directory, format 2\n'));
    await marker[Symbol.asyncDispose]();
    await assert.rejects(FormatOneStore.open(root, { clock }), { code: 'failed_precondition' });
  });
});
