// Uploads whose process dies, or whose disk loses what was not synced: what was told to be committed is there and right.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { CrashPoints, tryCrashPoints } from '../testing/crash-points.ts';
import type { CrashFacts, CrashProgram } from '../testing/crash-points.ts';
import { Mortality, mortalFiles, mortalSyncs } from '../testing/mortal-files.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SimulatedMachine } from '../testing/simulated-machine.ts';
import { replacing, spoiltSyncs } from '../testing/spoiled-ports.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { objectPath, openUploads, patternOf, renaming, takenBytes } from '../testing/temporary-uploads.ts';
import type { PatternBlob } from '../testing/temporary-uploads.ts';
import { pieceBytes } from './upload-journal-format.ts';

const cutOff = new Error('the client is gone');
const chunkBytes = 5_000_000;

async function* chunks(bytes: Buffer, isWhole: boolean): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  if (!isWhole) throw cutOff;
}

/** Opens, goes on, and checks that nothing that was told is gone, that the rest can follow, and that all is counted. */
async function assertGoesOn(root: string, { upload, bytes }: PatternBlob, toldBytes: number): Promise<void> {
  const isStored = (await new NodeLogFileSystem().status(objectPath(root, upload.digest))) !== undefined;
  await using opened = await openUploads(root, { isStored: () => isStored });
  const committedBytes = opened.uploads.committedBytes(upload);
  if (!isStored) {
    assert.ok(committedBytes >= toldBytes, `${toldBytes} bytes were told, and ${committedBytes} are there`);
    assert.equal(opened.ledger.usedBytes, await takenBytes(root));
    assert.deepEqual(await opened.uploads.resume(upload, committedBytes, chunks(bytes.subarray(committedBytes), true)), { kind: 'stored' });
    assert.equal(opened.ledger.usedBytes, await takenBytes(root));
  }
  assert.ok((await readFile(objectPath(root, upload.digest))).equals(bytes));
  assert.equal(opened.ledger.reservedBytes, 0);
}

describe('uploads whose process dies', () => {
  it('K1-03, K5-11: before any operation on files: what was told is there, and the upload goes on', async (t) => {
    const random = seededRandom(t);
    const sent = patternOf(pieceBytes + 50_000, 1);
    const { upload, bytes } = sent;
    let deaths = 0;
    for (let diesAfter = 0, isDead = true; isDead; diesAfter += random.integer(1, 3), deaths += 1) {
      await using directory = await temporaryDirectory();
      const root = directory.path;
      const mortality = new Mortality();
      mortality.diesAfter = diesAfter;
      let toldBytes = 0;
      let told = (): number => 0;
      const before = (operation: string, path: string): void => {
        toldBytes = Math.max(toldBytes, told());
        mortality.before(operation, path);
      };
      const files = mortalFiles(new NodeLogFileSystem(), before);
      try {
        await using opened = await openUploads(root, { files, smallSyncs: mortalSyncs(before), publisher: renaming(root, files) });
        told = () => opened.uploads.committedBytes(upload);
        await assert.rejects(opened.uploads.resume(upload, 0, chunks(bytes.subarray(0, pieceBytes + 9_000), false)));
        const from = told();
        await opened.uploads.resume(upload, from, chunks(bytes.subarray(from), true));
      } catch (thrown) {
        assert.ok(mortality.isDead, String(thrown));
      }
      isDead = mortality.isDead;
      await assertGoesOn(root, sent, toldBytes);
    }
    assert.ok(deaths > 8, `${deaths} deaths`);
  });

  it('K1-06: and when the start after it dies as well', async (t) => {
    const random = seededRandom(t);
    const sent = patternOf(pieceBytes + 500_000, 2);
    const { upload, bytes } = sent;
    let isDead = true;
    for (let diesAfter = 0; isDead; diesAfter += random.integer(1, 5)) {
      await using directory = await temporaryDirectory();
      const root = directory.path;
      {
        await using opened = await openUploads(root);
        await assert.rejects(opened.uploads.resume(upload, 0, chunks(bytes.subarray(0, pieceBytes + random.integer(0, 400_000)), false)), cutOff);
      }
      const mortality = new Mortality();
      mortality.diesAfter = diesAfter;
      const files = mortalFiles(new NodeLogFileSystem(), mortality.before);
      try {
        await using opened = await openUploads(root, { files, smallSyncs: mortalSyncs(mortality.before), publisher: renaming(root, files) });
        await assert.rejects(opened.uploads.resume(upload, pieceBytes, chunks(bytes.subarray(pieceBytes, pieceBytes + 50_000), false)));
      } catch (thrown) {
        assert.ok(mortality.isDead, String(thrown));
      }
      isDead = mortality.isDead;
      await assertGoesOn(root, sent, pieceBytes);
    }
  });

  it('K5-11: by kill -9 at any moment', async (t) => {
    const random = seededRandom(t);
    await using directory = await temporaryDirectory();
    const sent = patternOf(12 * pieceBytes, 1);
    let toldBytes = 0;
    for (let round = 0; round < 2; round += 1) {
      const child = spawn(process.execPath, [fileURLToPath(new URL('../testing/upload-process.ts', import.meta.url)), directory.path, String(sent.bytes.byteLength)], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = once(child, 'exit');
      let lines = random.integer(1, 100);
      for await (const line of createInterface(child.stdout)) {
        assert.ok(Number(line) >= toldBytes, `${toldBytes} bytes were told before, and ${line} now`);
        toldBytes = Number(line);
        if ((lines -= 1) === 0) child.kill('SIGKILL');
      }
      await ended;
    }
    await assertGoesOn(directory.path, sent, toldBytes);
  });
});

/** What was told to be committed, and when. */
class ToldBytes implements CrashFacts<ToldBytes> {
  readonly #told: number[];

  constructor(told: readonly number[] = []) {
    this.#told = [...told];
  }

  get mark(): number {
    return this.#told.length;
  }

  get latest(): number {
    return this.#told.at(-1) ?? 0;
  }

  tell(bytes: number): void {
    if (bytes !== this.latest) this.#told.push(bytes);
  }

  afterCrash(mark: number): ToldBytes {
    return new ToldBytes(this.#told.slice(0, mark));
  }
}

const root = '/data';
const simulated = patternOf(3 * pieceBytes, 3);

async function prefix({ disk }: SimulatedMachine, bytes: number): Promise<Buffer> {
  const into = Buffer.alloc(bytes);
  const [data] = ((await disk.list(`${root}/uploads`)) ?? []).filter(({ name }) => name.endsWith('.data'));
  if (data === undefined) return Buffer.alloc(0);
  const file = await disk.openLog(`${root}/uploads/${data.name}`, 'read');
  assert.ok(file !== undefined);
  await using _open = file;
  return into.subarray(0, await file.read(into, 0));
}

/** An upload that never comes to its end: in each life it goes on by up to a piece. */
const endless: CrashProgram<ToldBytes> = {
  facts: () => new ToldBytes(),
  async live(machine, facts, work) {
    const { disk, smallSyncs, largeSyncs, clock, random } = machine;
    await disk.makeDirectory(root);
    await disk.syncDirectory('/');
    await using opened = await openUploads(root, { files: disk, smallSyncs, largeSyncs, clock });
    const { upload, bytes } = simulated;
    const from = opened.uploads.committedBytes(upload);
    assert.ok(from >= facts.latest, `${facts.latest} bytes were told, and ${from} are there`);
    facts.tell(from);
    assert.ok((await prefix(machine, from)).equals(bytes.subarray(0, from)), 'what is committed is right');
    if (!work || from > pieceBytes) return;
    await assert.rejects(
      opened.uploads.resume(upload, from, (async function* () {
        for await (const chunk of chunks(bytes.subarray(from, from + pieceBytes + random.integer(1, 1_000_000)), false)) {
          yield chunk;
          facts.tell(opened.uploads.committedBytes(upload));
        }
      })()),
      cutOff,
    );
    facts.tell(opened.uploads.committedBytes(upload));
  },
};

describe('uploads on a disk that loses what was not synced', () => {
  const limits = { pointsMin: 150, lives: 3, statesPerCut: 1, cutsMax: 30 } as const;

  it('K1-03, K5-11: what was told is there and right at every cut', (t) => tryCrashPoints(t, endless, limits));

  const spoilt: readonly (readonly [string, 'smallSyncs' | 'largeSyncs', RegExp])[] = [
    ['pieces are not synced', 'largeSyncs', /\.data$/],
    ['entries are not synced', 'smallSyncs', /\.journal$/],
    ['names are not synced', 'smallSyncs', /\/uploads$/],
  ];
  for (const [what, port, path] of spoilt) {
    it(`catches it when ${what}`, async () => {
      const broken: CrashProgram<ToldBytes> = {
        ...endless,
        live: (machine, facts, work) => endless.live(replacing(machine, { [port]: spoiltSyncs(machine[port], 'dropped', (name) => path.test(name), (fd) => machine.disk.pathOf(fd)) }), facts, work),
      };
      const { failure, points } = await new CrashPoints(broken, { ...limits, pointsMin: 2_000, firstSeed: 1 }).try();
      assert.ok(failure !== undefined, `${points} points found nothing`);
    });
  }
});
