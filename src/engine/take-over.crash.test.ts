// A take-over whose process dies, or whose disk loses what was not synced: at every moment the directory is one that the older
// Kiln goes on with, or one that this one does; and nothing that the older one acknowledged is lost.
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLog } from '../base/log.ts';
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { CrashPoints, tryCrashPoints } from '../testing/crash-points.ts';
import type { CrashFacts, CrashProgram } from '../testing/crash-points.ts';
import { FormatOneStore } from '../testing/format-one-store.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { Mortality, mortalFiles, mortalSyncs } from '../testing/mortal-files.ts';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { replacing, spoiltSyncs } from '../testing/spoiled-ports.ts';
import { assertInFormatOne, assertInFormatTwo, fillFormatOne } from '../testing/taken-over.ts';
import type { StoredContent } from '../testing/taken-over.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { dataFormat } from './data-directory.ts';
import { prepareFormatTwo } from './take-over.ts';

const real = new NodeLogFileSystem();
const limits = { segmentBytes: 2 ** 20, valueBytesMax: 60_000 };

interface Ports {
  readonly files: LogFileSystem;
  readonly smallSyncs: SyncPort;
  readonly clock: ManualClock;
}

function prepare(directory: string, { files, smallSyncs, clock }: Ports): Promise<void> {
  return prepareFormatTwo({ ...limits, directory }, { files, smallSyncs, monotonicClock: clock, wallClock: clock, random: new SeededRandom(5), log: silentLog });
}

describe('a take-over whose process dies', () => {
  it('K1-03, K1-06: before any operation on files: the older Kiln goes on, or this one', async (t) => {
    await using directory = await temporaryDirectory();
    const original = join(directory.path, 'original');
    const clock = new ManualClock(Date.now());
    const store = await FormatOneStore.open(original, { clock });
    const random = seededRandom(t);
    const content = await fillFormatOne(store, clock, random);
    await store.close();
    const found = { 1: 0, 2: 0 };
    // Each kind of operation many times; all of them, and power cuts, are tried on the simulated disk.
    for (let diesAfter = 0, isDead = true; isDead; diesAfter += random.integer(1, 12)) {
      const root = join(directory.path, String(diesAfter));
      await cp(original, root, { recursive: true, preserveTimestamps: true });
      const mortality = new Mortality();
      mortality.diesAfter = diesAfter;
      const outcome = await prepare(root, { files: mortalFiles(real, mortality.before), smallSyncs: mortalSyncs(mortality.before), clock }).then(() => undefined, (thrown: unknown) => thrown);
      isDead = mortality.isDead;
      if (!isDead) assert.equal(outcome, undefined);
      const format = await dataFormat(real, root);
      assert.ok(format !== undefined);
      found[format] += 1;
      if (format === 1) await assertOlderGoesOn(root, content, clock);
      await prepare(root, { files: real, smallSyncs: mortalSyncs(() => undefined), clock });
      await assertInFormatTwo(real, root, content);
      assert.deepEqual((await real.list(root))?.map(({ name }) => name).toSorted(), ['kiln-data-version', 'objects', 'segments']);
    }
    assert.ok(found[1] > 10 && found[2] > 2, JSON.stringify(found));
  });

  async function assertOlderGoesOn(root: string, content: StoredContent, clock: ManualClock): Promise<void> {
    const copy = `${root}-older`;
    await cp(root, copy, { recursive: true, preserveTimestamps: true });
    const store = await FormatOneStore.open(copy, { clock });
    await assertInFormatOne(store, content);
    await store.close();
  }
});

/** What the store of format 1 has acknowledged, once it is closed. */
class Acknowledged implements CrashFacts<Acknowledged> {
  content: StoredContent | undefined;
  /** Grows with `content`, and when this Kiln has opened the directory. */
  mark = 0;
  #filledAt = Infinity;
  #takenAt = Infinity;

  fill(content: StoredContent): void {
    this.content = content;
    this.#filledAt = this.mark += 1;
  }

  take(): void {
    if (!this.isTaken) this.#takenAt = this.mark += 1;
  }

  /** This Kiln has served it: an older one must not find its marker any more. */
  get isTaken(): boolean {
    return this.#takenAt <= this.mark;
  }

  afterCrash(mark: number): Acknowledged {
    const after = new Acknowledged();
    after.mark = mark;
    if (this.#filledAt <= mark) [after.content, after.#filledAt] = [this.content, this.#filledAt];
    if (this.#takenAt <= mark) after.#takenAt = this.#takenAt;
    return after;
  }
}

const root = '/data';

/** The first life fills a directory of format 1, the next ones take it over. */
const program: CrashProgram<Acknowledged> = {
  facts: () => new Acknowledged(),
  async live({ disk: files, smallSyncs, clock, random }, facts, work) {
    const ports: Ports = { files, smallSyncs, clock };
    if (facts.content === undefined) {
      if (!work) return;
      const store = await FormatOneStore.open(root, { files, clock });
      const content = await fillFormatOne(store, clock, random);
      await store.close();
      facts.fill(content);
      return;
    }
    const format = await dataFormat(files, root);
    assert.ok(format !== undefined, 'there is a marker');
    if (facts.isTaken) assert.equal(format, 2, 'what was served in the new format does not become one of the older one');
    if (format === 1 && !work && random.fraction() < 0.5) {
      const store = await FormatOneStore.open(root, { files, clock });
      await assertInFormatOne(store, facts.content);
      await store.close();
      return;
    }
    await prepare(root, ports);
    facts.take();
    await assertInFormatTwo(files, root, facts.content, 'lost');
  },
};

describe('a take-over on a disk that loses what was not synced', () => {
  const points = { pointsMin: 1_500, lives: 3, statesPerCut: 2, cutsMax: 200 } as const;

  it('K1-03: at every cut everything is there', (t) => tryCrashPoints(t, program, points));

  const spoilt: readonly (readonly [string, RegExp])[] = [
    ['segments are not synced', /\.(?:value|blob)$/],
    ['names of segments are not synced', /\/segments$/],
    ['directories of values and blobs are not synced', /\/(?:values|objects)\//],
    ['a marker that was found is not synced', /^\/data$/],
  ];
  for (const [what, path] of spoilt) {
    it(`catches it when ${what}`, async () => {
      const broken: CrashProgram<Acknowledged> = {
        ...program,
        live: (machine, facts, work) =>
          program.live(replacing(machine, { smallSyncs: spoiltSyncs(machine.smallSyncs, 'dropped', (name) => path.test(name), (fd) => machine.disk.pathOf(fd)) }), facts, work),
      };
      const outcome = await new CrashPoints(broken, { ...points, pointsMin: 10_000, firstSeed: 1 }).try();
      assert.ok(outcome.failure !== undefined, `${outcome.points} points found nothing`);
    });
  }
});
