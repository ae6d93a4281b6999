// The fold of the log is what the rules say of all records at once (src/testing/log-history.ts).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChanceHistory, bytesOf, keyOf, nameOf, whatCounts } from '../testing/log-history.ts';
import type { PlacedRecord, SaidRecord } from '../testing/log-history.ts';
import { disagreements, emptyParts, entriesSeen } from '../testing/recovered-parts.ts';
import type { EmptyParts } from '../testing/recovered-parts.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { HintEntry } from './hint-format.ts';
import { KeyWords } from './key-words.ts';
import { RecoveryFold } from './recovery-fold.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';

const nowS = 1_700_000_000;
const segmentBytes = 2 ** 20;

function addRow({ segments }: EmptyParts, id: number, stream: StreamName): SegmentRow {
  return segments.add({ id, stream, nonce: Buffer.alloc(8, id), segmentBytes, begunS: nowS, state: 'sealed', endOffset: segmentBytes, records: 0, sealSequence: undefined });
}

function entryOf(said: SaidRecord, offset: number): HintEntry {
  const { kind, target, isGone, isCopy, number, logicalBytes, sequence, usedAtS } = said;
  return { kind, target, isGone, isPointer: false, isCopy, functionNumber: number, offset, bytes: bytesOf(said), logicalBytes, sequence, usedAtS };
}

/** Records to segments of a few each, ids shared by both streams. */
function placed(said: readonly SaidRecord[]): readonly PlacedRecord[] {
  const open = { blob: { id: 1, end: segmentHeaderBytes, count: 0 }, value: { id: 2, end: segmentHeaderBytes, count: 0 } };
  let nextId = 3;
  return said.map((record) => {
    const segment = open[record.stream];
    if (segment.count === 7) {
      [segment.id, segment.end, segment.count] = [nextId, segmentHeaderBytes, 0];
      nextId += 1;
    }
    const [offset, bytes] = [segment.end, bytesOf(record)];
    segment.end += bytes;
    segment.count += 1;
    return { ...record, segment: segment.id, offset, bytes };
  });
}

function folded(records: readonly PlacedRecord[]): { readonly parts: EmptyParts; readonly fold: RecoveryFold } {
  const parts = emptyParts(nowS);
  const fold = new RecoveryFold(parts.entries, parts.segments);
  const key = new KeyWords();
  for (const stream of ['blob', 'value'] as const) {
    for (const [id, ofSegment] of Map.groupBy(records.filter((record) => record.stream === stream), ({ segment }) => segment)) {
      const row = addRow(parts, id, stream);
      for (const record of ofSegment) {
        keyOf(record, key);
        assert.ok(fold.take(row, key, entryOf(record, record.offset)), `${record.kind} of ${record.target}`);
      }
    }
  }
  return { parts, fold };
}

describe('RecoveryFold', () => {
  it('is what the rules say of all records, after every record of many histories', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 60; round += 1) {
      const history = new ChanceHistory(random, { firstSequence: 1, nowS });
      const said = Array.from({ length: random.integer(1, 60) }, () => history.next(random.pick(['blob', 'value'])));
      const all = placed(said);
      for (let count = random.integer(0, 5); count <= all.length; count += random.integer(1, 9)) {
        const records = all.slice(0, count);
        const { parts, fold } = folded(records);
        const { entries, orphans } = whatCounts(records);
        const seen = entriesSeen(parts);
        assert.deepEqual(new Map([...seen].map(([name, { segment, offset, isFile }]) => [name, [segment, offset, isFile]])), new Map([...entries].map(([name, { segment, offset, kind }]) => [name, [segment, offset, kind === 'commit']])));
        for (const [name, { sizeBytes, usedAtS }] of seen) {
          const record = entries.get(name);
          assert.equal(sizeBytes, record?.stream === 'value' ? record.bytes : record?.logicalBytes);
          assert.equal(usedAtS, Math.ceil(Math.min(record?.usedAtS ?? 0, nowS) / 16) * 16);
        }
        assert.deepEqual(fold.orphans().map(({ row, offset, reason }) => [row.id, offset, reason]), orphans.map(({ segment, offset, kind }) => [segment, offset, kind === 'intent' ? 'intent' : 'tombstone']));
        assert.equal(fold.sequenceMax, Math.max(0, ...records.map(({ sequence }) => sequence)));
        assert.equal(fold.taken, records.length);
        assert.deepEqual(disagreements(parts), []);
      }
    }
  });

  const base = { stream: 'blob', target: undefined, isGone: false, isCopy: false, number: 1, logicalBytes: 100, usedAtS: nowS } as const;
  const cases: readonly { readonly name: string; readonly said: readonly SaidRecord[]; readonly kind: 'blob' | 'commit' | undefined; readonly orphans: readonly string[] }[] = [
    {
      name: 'a small blob that was put while the file of its key was being removed stays, and the file goes',
      said: [{ ...base, kind: 'commit', sequence: 1 }, { ...base, kind: 'tombstone', target: 'commit', sequence: 2 }, { ...base, kind: 'blob', sequence: 3 }, { ...base, kind: 'tombstone', target: 'commit', sequence: 4 }],
      kind: 'blob',
      orphans: ['tombstone'],
    },
    {
      name: 'and it stays when the file is said to be gone',
      said: [{ ...base, kind: 'commit', sequence: 1 }, { ...base, kind: 'tombstone', target: 'commit', sequence: 2 }, { ...base, kind: 'blob', sequence: 3 }, { ...base, kind: 'tombstone', target: 'commit', isGone: true, sequence: 4 }],
      kind: 'blob',
      orphans: [],
    },
    {
      name: 'another upload of the same file does not end an intent, and its commit keeps the file',
      said: [{ ...base, kind: 'intent', sequence: 1 }, { ...base, kind: 'intent', sequence: 2 }, { ...base, kind: 'commit', sequence: 2 }],
      kind: 'commit',
      orphans: [],
    },
    {
      name: 'an upload that still runs when the file of another one is removed leaves a name to delete',
      said: [{ ...base, kind: 'intent', sequence: 1 }, { ...base, kind: 'intent', sequence: 2 }, { ...base, kind: 'commit', sequence: 2 }, { ...base, kind: 'tombstone', target: 'commit', sequence: 3 }, { ...base, kind: 'tombstone', target: 'commit', isGone: true, sequence: 4 }],
      kind: undefined,
      orphans: ['intent'],
    },
    {
      name: 'a file that was taken over has a commit without an intent',
      said: [{ ...base, kind: 'commit', sequence: 0 }],
      kind: 'commit',
      orphans: [],
    },
  ];
  for (const { name, said, kind, orphans } of cases) {
    it(name, () => {
      const { parts, fold } = folded(placed(said));
      const seen = entriesSeen(parts).get(nameOf({ ...base, kind: 'blob', sequence: 0 }));
      assert.equal(seen === undefined ? undefined : seen.isFile ? 'commit' : 'blob', kind);
      assert.deepEqual(fold.orphans().map(({ reason }) => reason), orphans);
    });
  }

  it('an old value that was copied behind a newer one, or behind its tombstone, never comes back', () => {
    const value = { ...base, stream: 'value', kind: 'actionResult' } as const;
    const first: SaidRecord = { ...value, sequence: 1 };
    const [second, removed]: SaidRecord[] = [{ ...value, sequence: 2 }, { ...value, kind: 'tombstone', target: 'actionResult', sequence: 3 }];
    assert.ok(second !== undefined && removed !== undefined);
    assert.equal(folded(placed([first, second, { ...first, isCopy: true }])).parts.values.count, 1);
    assert.deepEqual([...entriesSeen(folded(placed([first, second, { ...first, isCopy: true }])).parts).values()].map(({ offset }) => offset), [segmentHeaderBytes + bytesOf(first)]);
    for (const said of [[first, removed, { ...first, isCopy: true }], [second, removed, { ...first, isCopy: true }, { ...second, isCopy: true }], [removed, first]]) {
      assert.equal(folded(placed(said)).parts.values.count, 0);
    }
  });

  it('takes nothing that no writer of this version wrote', () => {
    const parts = emptyParts(nowS);
    const fold = new RecoveryFold(parts.entries, parts.segments);
    const [blobRow, valueRow] = [addRow(parts, 1, 'blob'), addRow(parts, 2, 'value')];
    const key = new KeyWords();
    const blob: SaidRecord = { ...base, kind: 'blob', sequence: 5 };
    keyOf(blob, key);
    const right = entryOf(blob, segmentHeaderBytes);
    assert.equal(fold.take(blobRow, key, { ...right, bytes: right.bytes + 8 }), false);
    assert.equal(fold.take(blobRow, key, { ...right, logicalBytes: 2 ** 42 }), false);
    assert.equal(fold.take(blobRow, key, { ...right, isPointer: true }), false);
    assert.equal(fold.take(valueRow, key, right), false);
    assert.equal(fold.take(blobRow, key, { ...right, kind: 'tombstone', target: 'opaque' }), false);
    assert.equal(fold.take(valueRow, key, { ...right, kind: 'tombstone', target: 'commit' }), false);
    assert.equal(fold.take(blobRow, key, { ...right, kind: 'actionResult' }), false);
    assert.equal(parts.entries.count, 0);
    assert.equal(fold.taken, 0);
    assert.equal(blobRow.tombstones + valueRow.tombstones, 0);
    // The number is in use all the same.
    assert.equal(fold.sequenceMax, 5);
  });

  it('touches make things younger, never there, and never from the future', () => {
    const parts = emptyParts(nowS);
    const fold = new RecoveryFold(parts.entries, parts.segments);
    const key = new KeyWords();
    const blob: SaidRecord = { ...base, kind: 'blob', sequence: 1, usedAtS: nowS - 1_000 };
    keyOf(blob, key);
    fold.take(addRow(parts, 1, 'blob'), key, entryOf(blob, segmentHeaderBytes));
    const [low = 0, high = 0] = key.words;
    fold.touch(low, high, nowS - 2_000, nowS);
    fold.touch(low, high, nowS + 1, nowS);
    fold.touch(low + 1, high, nowS, nowS);
    const usedAtS = (): number | undefined => [...entriesSeen(parts).values()][0]?.usedAtS;
    assert.equal(usedAtS(), Math.ceil((nowS - 1_000) / 16) * 16);
    fold.touch(low, high, nowS - 100, nowS);
    fold.touch(low, high, nowS - 500, nowS);
    assert.equal(usedAtS(), Math.ceil((nowS - 100) / 16) * 16);
    assert.equal(parts.entries.count, 1);
    assert.deepEqual(disagreements(parts), []);
  });
});
