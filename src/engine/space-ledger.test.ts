// The ledger beside lists of all that was placed and reserved.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AssertionError } from '../base/assert.ts';
import { SeededRandom, seededRandom } from '../testing/seeded-random.ts';
import { SpaceLedger, spaceCategories } from './space-ledger.ts';
import type { SpaceCategory, SpaceReservation } from './space-ledger.ts';

const gibibyte = 1024 ** 3;

/** Everything kept a second time, as lists. */
class Books {
  readonly placed = new Map<SpaceCategory, number>(spaceCategories.map((category) => [category, 0]));
  readonly open: { readonly reservation: SpaceReservation; bytes: number }[] = [];

  of(category: SpaceCategory): number {
    return this.placed.get(category) ?? 0;
  }

  change(category: SpaceCategory, bytes: number): void {
    this.placed.set(category, this.of(category) + bytes);
  }

  get placedBytes(): number {
    return this.placed.values().reduce((sum, bytes) => sum + bytes, 0);
  }

  get reservedBytes(): number {
    return this.open.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

function stepReservation(ledger: SpaceLedger, books: Books, random: SeededRandom): void {
  const index = random.integer(0, books.open.length - 1);
  const chosen = books.open[index];
  if (chosen === undefined || random.fraction() < 0.4) {
    const bytes = random.integer(0, 2_000);
    const fits = books.placedBytes + books.reservedBytes + bytes <= ledger.boundBytes;
    const reservation = ledger.tryReserve(bytes);
    assert.equal(reservation !== undefined, fits);
    if (reservation !== undefined) books.open.push({ reservation, bytes });
    return;
  }
  const { reservation, bytes } = chosen;
  if (random.fraction() < 0.3) {
    const more = random.integer(0, 1_000);
    const fits = books.placedBytes + books.reservedBytes + more <= ledger.boundBytes;
    assert.equal(reservation.grow(more), fits);
    if (fits) chosen.bytes += more;
    assert.equal(reservation.bytes, chosen.bytes);
    return;
  }
  books.open.splice(index, 1);
  if (random.fraction() < 0.7) {
    const category = random.pick(spaceCategories);
    const settled = random.integer(0, bytes);
    reservation.settle(category, settled);
    books.change(category, settled);
    assert.throws(() => reservation.settle(category, 0), AssertionError);
    assert.throws(() => reservation.grow(0), AssertionError);
  }
  reservation[Symbol.dispose]();
  reservation[Symbol.dispose]();
  assert.equal(reservation.bytes, 0);
}

function stepPlaced(ledger: SpaceLedger, books: Books, random: SeededRandom): void {
  const from = random.pick(spaceCategories);
  const [to, bytes] = [random.pick(spaceCategories), random.integer(0, books.of(from))];
  switch (random.integer(0, 3)) {
    case 0: {
      const placed = random.integer(0, 300);
      ledger.place(to, placed);
      books.change(to, placed);
      return;
    }
    case 1:
      ledger.move(from, to, bytes);
      books.change(from, -bytes);
      books.change(to, bytes);
      return;
    case 2:
      ledger.remove(from, bytes);
      books.change(from, -bytes);
      return;
    default:
      assert.throws(() => ledger.remove(from, books.of(from) + 1), AssertionError);
      assert.throws(() => ledger.move(from, to, books.of(from) + 1), AssertionError);
  }
}

function compare(random: SeededRandom, steps: number): void {
  const ledger = new SpaceLedger({ maxBytes: 40_000, diskFloorBytes: 500 });
  const books = new Books();
  let diskBytes = Infinity;
  for (let step = 0; step < steps; step += 1) {
    if (random.fraction() < 0.02) {
      const freeBytes = random.integer(0, 60_000);
      ledger.setFree(freeBytes);
      diskBytes = books.placedBytes + freeBytes - 500;
    } else if (random.fraction() < 0.6) stepReservation(ledger, books, random);
    else stepPlaced(ledger, books, random);
    assert.equal(ledger.boundBytes, Math.max(0, Math.min(40_000, diskBytes)));
    assert.equal(ledger.placedBytes, books.placedBytes);
    assert.equal(ledger.reservedBytes, books.reservedBytes);
    assert.equal(ledger.usedBytes, books.placedBytes + books.reservedBytes);
    for (const category of spaceCategories) assert.equal(ledger.bytesOf(category), books.of(category));
  }
  for (const { reservation } of books.open) reservation[Symbol.dispose]();
  for (const category of spaceCategories) ledger.remove(category, ledger.bytesOf(category));
  assert.equal(ledger.usedBytes, 0);
}

describe('SpaceLedger', () => {
  it('counts as two lists do', (t) => compare(seededRandom(t), 5_000));

  for (let seed = 1; seed <= 10; seed += 1) it(`counts as two lists do, seed ${seed}`, () => compare(new SeededRandom(seed), 1_000));

  it('K2-03: counts terabytes exactly', () => {
    const ledger = new SpaceLedger({ maxBytes: 2 ** 52, diskFloorBytes: 0 });
    const bytes = 4 * 1024 ** 4 - 1;
    const reservations = Array.from({ length: 1_000 }, () => ledger.tryReserve(bytes));
    assert.equal(ledger.usedBytes, 1_000 * bytes);
    for (const reservation of reservations) reservation?.settle('files', bytes);
    assert.equal(ledger.bytesOf('files'), 1_000 * bytes);
    for (const _ of reservations) ledger.remove('files', bytes);
    assert.equal(ledger.usedBytes, 0);
  });

  it('promises room to one write only, to the last byte', () => {
    const ledger = new SpaceLedger({ maxBytes: 100, diskFloorBytes: 0 });
    const first = ledger.tryReserve(60);
    assert.equal(ledger.tryReserve(41), undefined);
    const second = ledger.tryReserve(40);
    assert.equal(first?.grow(1), false);
    second?.[Symbol.dispose]();
    assert.equal(first?.grow(40), true);
    assert.equal(ledger.usedBytes, 100);
  });

  it('gives back what a write did not need, and all of one that failed', () => {
    const ledger = new SpaceLedger({ maxBytes: 100, diskFloorBytes: 0 });
    ledger.tryReserve(100)?.settle('segments', 30);
    assert.equal(ledger.usedBytes, 30);
    assert.throws(() => {
      using reservation = ledger.tryReserve(70);
      assert.equal(reservation?.bytes, 70);
      throw new RangeError('the disk failed');
    }, RangeError);
    assert.equal(ledger.usedBytes, 30);
  });

  it('settles no more than was reserved', () => {
    const ledger = new SpaceLedger({ maxBytes: 100, diskFloorBytes: 0 });
    const reservation = ledger.tryReserve(10);
    assert.throws(() => reservation?.settle('files', 11), AssertionError);
    assert.equal(ledger.reservedBytes, 10);
    reservation?.settle('files', 10);
    assert.equal(ledger.placedBytes, 10);
  });

  it('K1-07: leaves the floor of the disk free, whoever else fills it', () => {
    const ledger = new SpaceLedger({ maxBytes: 100 * gibibyte, diskFloorBytes: gibibyte });
    ledger.place('files', 10 * gibibyte);
    ledger.setFree(3 * gibibyte);
    assert.equal(ledger.boundBytes, 12 * gibibyte);
    const reservation = ledger.tryReserve(2 * gibibyte);
    assert.equal(ledger.tryReserve(1), undefined);
    reservation?.settle('files', 2 * gibibyte);
    ledger.setFree(gibibyte / 2); // somebody else took half of what was left
    assert.equal(ledger.boundBytes, 11.5 * gibibyte);
    assert.equal(ledger.tryReserve(0), undefined);
    ledger.remove('files', gibibyte);
    ledger.setFree(1.5 * gibibyte);
    assert.ok(ledger.tryReserve(gibibyte / 2) !== undefined);
  });

  it('K1-07: knows when the floor of the disk stays broken whatever goes', () => {
    const ledger = new SpaceLedger({ maxBytes: 1_000, diskFloorBytes: 500 });
    ledger.place('segments', 100);
    ledger.setFree(410, 20);
    assert.deepEqual([ledger.isFloorLost, ledger.boundBytes, ledger.promisedBytesMax], [true, 10, 1_000]);
    ledger.setFree(420, 20);
    assert.deepEqual([ledger.isFloorLost, ledger.boundBytes, ledger.promisedBytesMax], [false, 20, 20]);
  });

  it('may begin above a bound that was lowered, and gives no room until it is below', () => {
    const ledger = new SpaceLedger({ maxBytes: 100, diskFloorBytes: 0 });
    ledger.place('segments', 150);
    assert.equal(ledger.tryReserve(0), undefined);
    ledger.remove('segments', 50);
    assert.ok(ledger.tryReserve(0) !== undefined);
    assert.equal(ledger.tryReserve(1), undefined);
  });

  it('has no bound but the disk where none is given', () => {
    const ledger = new SpaceLedger({ maxBytes: Infinity, diskFloorBytes: 10 });
    assert.ok(ledger.tryReserve(2 ** 50) !== undefined);
    ledger.setFree(5);
    assert.equal(ledger.boundBytes, 0);
  });

  it('refuses what is no whole number of bytes', () => {
    const ledger = new SpaceLedger({ maxBytes: 100, diskFloorBytes: 0 });
    for (const bytes of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      assert.throws(() => ledger.place('files', bytes), AssertionError);
      assert.throws(() => ledger.remove('files', bytes), AssertionError);
      assert.throws(() => ledger.tryReserve(bytes), AssertionError);
    }
    assert.equal(ledger.usedBytes, 0);
  });
});
