// Leased bytes and shortened leases beside a list of all uses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { UseAges } from './use-ages.ts';

/** A multiple of 16, so that steps begin where one expects them. */
const beganS = 1_700_000_000;

interface Use {
  readonly bytes: number;
  usedAtS: number;
}

/** As the index tells it. */
function rounded(usedAtS: number): number {
  return Math.ceil(usedAtS / 16) * 16;
}

function bytesSince(uses: readonly Use[], floorS: number): number {
  return uses.reduce((sum, { bytes, usedAtS }) => sum + (rounded(usedAtS) >= floorS ? bytes : 0), 0);
}

/** Everything asked of UseAges, answered from a list of all uses. */
function compare(random: SeededRandom, steps: number): void {
  const leaseS = random.pick([0, 1, 15, 16, 17, 100, 3_600, 10_800]);
  const ages = new UseAges(leaseS);
  const uses: Use[] = [];
  let nowS = beganS;
  for (let step = 0; step < steps; step += 1) {
    nowS += random.pick([0, 0, 0, 1, 5, 16, 40, 900]);
    const index = random.integer(0, Math.max(0, uses.length - 1));
    const chosen = uses[index];
    if (random.fraction() < 0.5 || chosen === undefined) {
      const use = { bytes: random.integer(0, 1_000), usedAtS: nowS - random.pick([0, 0, 10, 200, 4_000, 20_000]) };
      uses.push(use);
      ages.add(use.bytes, random.pick([use.usedAtS, rounded(use.usedAtS)]));
    } else if (random.fraction() < 0.4) {
      ages.take(chosen.bytes, random.pick([chosen.usedAtS, rounded(chosen.usedAtS)]));
      uses.splice(index, 1);
    } else {
      ages.move(chosen.bytes, rounded(chosen.usedAtS), nowS);
      chosen.usedAtS = nowS;
    }
    assert.equal(ages.totalBytes, uses.reduce((sum, { bytes }) => sum + bytes, 0));
    assert.equal(ages.leasedBytes(nowS), bytesSince(uses, nowS - leaseS + 1));
    checkFloor(ages, uses, { nowS, bytesMax: random.integer(0, 20_000) });
  }
}

/** What is leased fits, and one step more would not or would be beyond the lease. */
function checkFloor(ages: UseAges, uses: readonly Use[], { nowS, bytesMax }: { readonly nowS: number; readonly bytesMax: number }): void {
  const floorS = ages.leaseFloorS(nowS, bytesMax);
  const fullS = nowS - ages.leaseS + 1;
  assert.ok(floorS >= fullS);
  assert.ok(bytesSince(uses, floorS) <= bytesMax, 'what is leased fits');
  if (floorS > fullS) assert.ok(bytesSince(uses, floorS - 1) > bytesMax, 'one step more would not fit');
  const effectiveS = ages.effectiveLeaseS(nowS, bytesMax);
  assert.ok(effectiveS >= 0 && effectiveS <= ages.leaseS);
  assert.equal(effectiveS === ages.leaseS, floorS === fullS || ages.leaseS === 0);
}

describe('UseAges', () => {
  it('counts as a list of all uses does', (t) => compare(seededRandom(t), 600));

  for (let seed = 1; seed <= 20; seed += 1) it(`counts as a list of all uses does, seed ${seed}`, () => compare(new SeededRandom(seed), 200));

  it('ends a lease in the second in which it ends, and not before', () => {
    const ages = new UseAges(100);
    ages.add(7, beganS);
    assert.equal(ages.leasedBytes(beganS + 99), 7);
    assert.equal(ages.leasedBytes(beganS + 100), 0);
    assert.equal(ages.totalBytes, 7);
  });

  it('never ends one early: what was used within a step counts as used at its end', () => {
    const ages = new UseAges(100);
    ages.add(7, beganS + 1);
    assert.equal(ages.leasedBytes(beganS + 1 + 100), 7);
    assert.equal(ages.leasedBytes(beganS + 16 + 99), 7);
    assert.equal(ages.leasedBytes(beganS + 16 + 100), 0);
  });

  it('shortens leases to what fits, the oldest uses first', () => {
    const ages = new UseAges(10_800);
    for (let hour = 0; hour < 3; hour += 1) ages.add(100, beganS + hour * 3_600);
    const nowS = beganS + 2 * 3_600;
    assert.equal(ages.effectiveLeaseS(nowS, 300), 10_800);
    assert.equal(ages.effectiveLeaseS(nowS, 299), 7_200);
    assert.equal(ages.effectiveLeaseS(nowS, 199), 3_600);
    assert.equal(ages.effectiveLeaseS(nowS, 99), 0);
    assert.equal(ages.leaseFloorS(nowS, 299), beganS + 1);
  });

  it('leases nothing where even the latest uses do not fit', () => {
    const ages = new UseAges(10_800);
    ages.add(100, beganS + 3);
    assert.ok(ages.leaseFloorS(beganS + 3, 50) > beganS + 16);
    assert.equal(ages.effectiveLeaseS(beganS + 3, 50), 0);
  });

  it('forgets nothing over years in which nobody asks', () => {
    const ages = new UseAges(10_800);
    ages.add(5, beganS);
    ages.add(6, beganS + 400 * 86_400);
    assert.equal(ages.totalBytes, 11);
    ages.take(5, beganS);
    assert.equal(ages.totalBytes, 6);
    assert.equal(ages.leasedBytes(beganS + 400 * 86_400), 6);
  });

  it('K2-03: counts petabytes exactly', () => {
    const ages = new UseAges(10_800);
    const bytes = 2 ** 42 - 1;
    for (let number = 0; number < 2_000; number += 1) ages.add(bytes, beganS + number);
    for (let number = 0; number < 1_999; number += 1) ages.move(bytes, beganS + number, beganS + 2_000);
    assert.equal(ages.totalBytes, 2_000 * bytes);
    assert.equal(ages.leasedBytes(beganS + 2_000), 2_000 * bytes);
    ages.take(1_999 * bytes, beganS + 2_000);
    ages.take(bytes, beganS + 1_999);
    assert.equal(ages.totalBytes, 0);
  });

  it('looks at few steps, however long the lease is', () => {
    const leaseS = 486 * 86_400;
    const ages = new UseAges(leaseS);
    for (let day = 0; day <= 486; day += 1) ages.add(1_000, beganS + day * 86_400);
    const nowS = beganS + leaseS;
    // To go through all steps each time would take hours.
    for (let round = 0; round < 200_000; round += 1) {
      assert.equal(ages.leasedBytes(nowS), 486_000);
      assert.equal(ages.leaseFloorS(nowS, 400_000), beganS + 86 * 86_400 + 1);
    }
  });

  it('refuses to take back what was not added, and what is no whole number', () => {
    const ages = new UseAges(100);
    ages.add(10, beganS);
    assert.throws(() => ages.take(11, beganS), AssertionError);
    assert.throws(() => ages.take(1, beganS + 16), AssertionError);
    assert.throws(() => ages.take(1, beganS - 1_000), AssertionError);
    assert.throws(() => ages.add(0.5, beganS), AssertionError);
    assert.throws(() => ages.add(-1, beganS), AssertionError);
    assert.throws(() => ages.add(1, beganS + 0.5), AssertionError);
    assert.throws(() => new UseAges(1.5), AssertionError);
    assert.equal(ages.totalBytes, 10);
  });
});
