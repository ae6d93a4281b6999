// The table of streams, against a Map as its plain twin.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { StreamTable } from './stream-table.ts';
import type { TableEntry } from './stream-table.ts';

class Entry implements TableEntry {
  readonly id: number;
  nextInTable: this | undefined = undefined;
  constructor(id: number) {
    this.id = id;
  }
}

it('behaves like a Map, whatever shares a place', (t) => {
  const random = seededRandom(t);
  const table = new StreamTable<Entry>(8);
  const twin = new Map<number, Entry>();
  let id = -1;
  for (let round = 0; round < 5_000; round++) {
    const present = [...twin.values()];
    if (present.length > 0 && random.integer(0, 20) < present.length) {
      const entry = random.pick(present);
      table.remove(entry.id);
      twin.delete(entry.id);
      assert.equal(entry.nextInTable, undefined);
    } else {
      const entry = new Entry((id += 2 * random.integer(1, 9)));
      table.add(entry);
      twin.set(entry.id, entry);
    }
    const asked = random.integer(1, Math.max(1, id));
    assert.equal(table.get(asked), twin.get(asked));
    assert.equal(table.size, twin.size);
  }
  const byId = (a: Entry, b: Entry): number => a.id - b.id;
  assert.deepEqual(table.all().toSorted(byId), [...twin.values()].toSorted(byId));
});
