// Holds both stores to the model, on whole and on failing disks, and proves that the model finds what is wrong with a
// store. The long run is test/crash/crash-points.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FileSystem } from '../base/file-system.ts';
import { DigestList } from '../digest/digest-list.ts';
import { CrashPoints, tryCrashPoints } from './crash-points.ts';
import type { CrashPointsOptions } from './crash-points.ts';
import { storeModel } from './engine-model.ts';
import type { StoreModelOptions } from './engine-model.ts';
import { fileModel, openModelledFileStore } from './file-store-model.ts';
import { segmentModel, tightSegmentModel } from './segment-store-model.ts';
import { replacing } from './spoiled-ports.ts';
import { seededRandom } from './seeded-random.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import type { ModelledStore } from './store-client.ts';

const limits: Omit<CrashPointsOptions, 'firstSeed'> = { pointsMin: 300, lives: 3, statesPerCut: 1, cutsMax: 40 };
const { open } = fileModel;

/** The file store with something of it replaced. */
function wrapped(wrap: (store: ModelledStore, machine: SimulatedMachine) => ModelledStore): StoreModelOptions['open'] {
  return async (machine, settings) => wrap(await open(machine, settings), machine);
}

function spoilt(spoil: (machine: SimulatedMachine) => Partial<FileSystem>): StoreModelOptions['open'] {
  return (machine, { maxBytes }) => openModelledFileStore(machine, maxBytes, spoil(machine));
}

describe('the store of files, held to the model', () => {
  it('K1-01, K1-03, K1-06, K1-11: with room for everything', (t) => tryCrashPoints(t, storeModel(fileModel), limits));
  it('with less room than it is given to store', (t) => tryCrashPoints(t, storeModel({ ...fileModel, tightBytes: 150_000 }), limits));
  it('K1-08, K1-09: on a disk that fails now and then', (t) => tryCrashPoints(t, storeModel({ ...fileModel, hasFaults: true }), limits));
  it('K1-02: with bytes that rot between two starts', (t) => tryCrashPoints(t, storeModel({ ...fileModel, hasRot: true }), { ...limits, lives: 6, cutsMax: 10 }));

  const broken: readonly (readonly [string, Partial<StoreModelOptions> & Pick<StoreModelOptions, 'open'>])[] = [
    ['no directory sync', { open: spoilt(() => ({ syncDirectory: async () => undefined })) }],
    ['renames that are told early', { open: spoilt(({ disk }) => ({ rename: async (from, to) => void disk.rename(from, to).catch(() => undefined) })) }],
    ['puts that are told and not done', { open: wrapped((store) => ({ ...store, blobs: replacing(store.blobs, { put: async () => undefined }) })) }],
    ['values whose first put stays', {
      open: wrapped((store) => ({ ...store, values: replacing(store.values, { put: async (key, bytes, options) => void (await store.values.putFirst(key, bytes, () => true, options)) }) })),
    }],
    ['a look that finds everything', { open: wrapped((store) => ({ ...store, blobs: replacing(store.blobs, { findMissing: () => DigestList.empty }) })) }],
  ];
  for (const [name, options] of broken) {
    it(`the model catches ${name}`, async (t) => {
      const outcome = await new CrashPoints(storeModel({ ...fileModel, ...options }), { ...limits, pointsMin: 3_000, firstSeed: seededRandom(t).seed }).try();
      assert.ok(outcome.failure !== undefined, `${outcome.points} points found nothing`);
      t.diagnostic(`after ${outcome.points} points`);
    });
  }
});

describe('the store of segments, held to the model', () => {
  it('K1-03, K1-06, K1-11: with room for everything', (t) => tryCrashPoints(t, storeModel(segmentModel), limits));
  it('with less room than it is given to store', (t) => tryCrashPoints(t, storeModel(tightSegmentModel), limits));
  it('K1-08, K1-09: on a disk that fails now and then', (t) => tryCrashPoints(t, storeModel({ ...segmentModel, hasFaults: true }), limits));
  it('K1-02: with bytes that rot between two starts', (t) => tryCrashPoints(t, storeModel({ ...segmentModel, hasRot: true }), { ...limits, lives: 6, cutsMax: 10 }));
});
