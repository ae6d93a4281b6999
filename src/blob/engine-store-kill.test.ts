// The store of segments in a process that is killed while it writes, again and again on one directory. What a power cut may
// leave is not to be had this way: that is simulated (src/testing/engine-model.test.ts).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { collect } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { allocatedBytes } from '../engine/allocated-bytes.ts';
import { contentOf, killedStoreOptions, valueKeyOf } from '../testing/killed-store.ts';
import { RememberingLog } from '../testing/remembering-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { openEngineStore } from '../testing/temporary-engine-store.ts';
import type { EngineStore } from './engine-store.ts';

/** More of them by hand: KILN_KILL_ROUNDS=200. */
const rounds = Number(process.env['KILN_KILL_ROUNDS'] ?? '3');
const program = fileURLToPath(new URL('../testing/store-process.ts', import.meta.url));

/** What was told over all rounds. */
class Told {
  readonly blobs: string[] = [];
  /** Of each value: what was acknowledged last, and all that was begun since. */
  readonly values = new Map<number, { acknowledged: string | undefined; readonly begun: Set<string> }>();

  take(line: string): void {
    const [what, first = '', name = ''] = line.split(' ');
    if (what === 'blob') {
      this.blobs.push(first);
      return;
    }
    const value = this.values.get(Number(first)) ?? { acknowledged: undefined, begun: new Set() };
    this.values.set(Number(first), value);
    if (what === 'begun') value.begun.add(name);
    else value.acknowledged = name;
  }

  /** What is found is what counts from now on. */
  found(which: number, name: string | undefined): void {
    this.values.set(which, { acknowledged: name, begun: new Set() });
  }
}

describe('EngineStore, killed while it writes', () => {
  it(`K1-03, K1-06: loses nothing that it acknowledged, in ${rounds} rounds`, async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const told = new Told();
    for (let round = 0; round < rounds; round += 1) {
      await runUntilKilled(directory.path, round, random.integer(1, 250), told);
      await check(directory.path, told);
      const log = new RememberingLog();
      await using again = await openEngineStore(directory.path, killedStoreOptions, { log });
      assert.deepEqual(log.lines.filter((line) => !line.startsWith('debug')), [], 'a second start finds nothing to do');
      // What runs in the background, such as giving up what was written before, comes to an end.
      while (again.usage.usedBytes !== (await bytesBelow(directory.path))) await new Promise((resolve) => setImmediate(resolve));
    }
    t.diagnostic(`${told.blobs.length} blobs were acknowledged`);
  });
});

/** Kills it once so many lines were written. */
async function runUntilKilled(directory: string, round: number, lines: number, told: Told): Promise<void> {
  const child = spawn(process.execPath, [program, directory, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let left = lines;
  for await (const line of createInterface({ input: child.stdout })) {
    told.take(line);
    left -= 1;
    if (left === 0) child.kill('SIGKILL');
  }
  const [, signal] = await ended;
  assert.equal(signal, 'SIGKILL');
}

async function check(directory: string, told: Told): Promise<void> {
  await using store = await openEngineStore(directory, killedStoreOptions);
  for (const name of told.blobs) {
    const bytes = contentOf(name);
    assert.ok((await readBlob(store, Digest.of(bytes)))?.equals(bytes), `blob ${name} of ${bytes.length} bytes`);
  }
  for (const [which, { acknowledged, begun }] of told.values) {
    const bytes = await readValue(store, which);
    const name = [...begun, ...(acknowledged === undefined ? [] : [acknowledged])].find((one) => bytes?.equals(contentOf(one)));
    assert.ok(name !== undefined || (bytes === undefined && acknowledged === undefined), `value ${which}`);
    told.found(which, name);
  }
}

async function readBlob(store: EngineStore, digest: Digest): Promise<Buffer | undefined> {
  const source = await store.blobs.get(digest);
  return source && Buffer.from(await collect(source, 2 ** 24));
}

async function readValue(store: EngineStore, which: number): Promise<Buffer | undefined> {
  const source = await store.values.get(valueKeyOf(which));
  return source && Buffer.from(await collect(source, 2 ** 24));
}

/** As the store counts: segments by their length, other files by their blocks. */
async function bytesBelow(directory: string): Promise<number> {
  let bytes = 0;
  for (const part of ['segments', 'objects', 'uploads', 'trash', 'quarantine']) {
    for (const entry of await readdir(join(directory, part), { recursive: true, withFileTypes: true }).catch(() => [])) {
      const size = entry.isFile() ? await sizeOf(join(entry.parentPath, entry.name)) : undefined;
      if (size !== undefined) bytes += part === 'segments' ? size : allocatedBytes(size);
    }
  }
  return bytes;
}

/** Undefined: it has just gone. */
async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(({ size }) => size, () => undefined);
}
