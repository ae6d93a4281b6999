// Holds the store to the model, on whole and on failing disks, and proves that the model finds what is wrong with a store.
// The long run, and broken ports, are in test/crash/.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DigestList } from '../digest/digest-list.ts';
import { CrashPoints, tryCrashPoints } from './crash-points.ts';
import type { CrashPointsOptions } from './crash-points.ts';
import { storeModel } from './engine-model.ts';
import type { StoreModelOptions } from './engine-model.ts';
import { segmentModel, tightSegmentModel } from './segment-store-model.ts';
import { replacing } from './spoiled-ports.ts';
import { seededRandom } from './seeded-random.ts';
import type { ModelledStore } from './store-client.ts';

/** A few of each, so that what is grossly wrong is seen at once. */
const limits: Omit<CrashPointsOptions, 'firstSeed'> = { pointsMin: 50, lives: 3, statesPerCut: 1, cutsMax: 20 };
describe('the store of segments, held to the model', () => {
  it('K1-03, K1-06, K1-11: with room for everything', (t) => tryCrashPoints(t, storeModel(segmentModel), limits));
  it('with less room than it is given to store', (t) => tryCrashPoints(t, storeModel(tightSegmentModel), limits));
  it('K1-08, K1-09: on a disk that fails now and then', (t) => tryCrashPoints(t, storeModel({ ...segmentModel, hasFaults: true }), limits));
  it('K1-02: with bytes that rot between two starts', (t) => tryCrashPoints(t, storeModel({ ...segmentModel, hasRot: true }), { ...limits, lives: 6, cutsMax: 5 }));

  /** With something of the store replaced. */
  const wrapped = (wrap: (store: ModelledStore) => ModelledStore): StoreModelOptions['open'] => async (machine, settings) => wrap(await segmentModel.open(machine, settings));
  const broken: readonly (readonly [string, StoreModelOptions['open']])[] = [
    ['puts that are told and not done', wrapped((store) => ({ ...store, blobs: replacing(store.blobs, { put: async () => undefined }) }))],
    ['values whose first put stays', wrapped((store) => ({ ...store, values: replacing(store.values, { put: async (key, bytes, options) => void (await store.values.putFirst(key, bytes, () => true, options)) }) }))],
    ['a look that finds everything', wrapped((store) => ({ ...store, blobs: replacing(store.blobs, { findMissing: () => DigestList.empty }) }))],
  ];
  for (const [name, open] of broken) {
    it(`the model catches ${name}`, async (t) => {
      const outcome = await new CrashPoints(storeModel({ ...segmentModel, open }), { ...limits, pointsMin: 3_000, firstSeed: seededRandom(t).seed }).try();
      assert.ok(outcome.failure !== undefined, `${outcome.points} points found nothing`);
      t.diagnostic(`after ${outcome.points} points`);
    });
  }
});
