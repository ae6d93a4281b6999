// A hint that is folded as a whole leaves what its entries leave when they are taken one by one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { disagreements, emptyParts, entriesSeen } from '../testing/recovered-parts.ts';
import type { EmptyParts } from '../testing/recovered-parts.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { HintFold } from './hint-fold.ts';
import { HintBuilder, hintEntryWords } from './hint-format.ts';
import type { HintEntry } from './hint-format.ts';
import { decodeHint } from './hint.ts';
import type { Hint } from './hint.ts';
import { KeyWords, blobTag, valueTag } from './key-words.ts';
import { blobRecordBytes } from './live-entries.ts';
import { RecoveryFold } from './recovery-fold.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';

const nowS = 1_700_000_000;
const segmentBytes = 2 ** 26;
const nonce = Buffer.alloc(8, 7);
type Stream = 'blob' | 'value';

interface Chances {
  readonly keys: number;
  /** Share of what is neither a blob or file nor a value, and of what no writer of this version writes. */
  readonly rare: number;
  readonly wrong: number;
}

interface Said {
  readonly keyNumber: number;
  readonly entry: HintEntry;
}

function said(random: SeededRandom, stream: Stream, offset: number, chances: Chances): Said {
  const isRare = random.fraction() < chances.rare;
  const kinds = stream === 'blob' ? (['blob', 'commit'] as const) : (['actionResult', 'opaque'] as const);
  const target = isRare && random.fraction() < 0.7 ? random.pick(stream === 'blob' ? (['blob', 'commit', 'intent'] as const) : kinds) : undefined;
  const kind = target !== undefined ? 'tombstone' : isRare && stream === 'blob' ? 'intent' : random.pick([kinds[0], kinds[0], kinds[0], kinds[1]]);
  const functionNumber = random.pick([1, 2, 9]);
  const isWrong = random.fraction() < chances.wrong;
  const logicalBytes = kind === 'commit' ? random.pick([1, 2 ** 33 + 5, random.fraction() < chances.wrong ? 2 ** 42 : 2 ** 42 - 1]) : random.integer(0, 3_000);
  const bytes = stream === 'blob' && kind === 'blob' ? blobRecordBytes(blobTag(functionNumber), logicalBytes) : stream === 'blob' ? blobRecordBytes(blobTag(functionNumber), 0) : 56 + 8 * random.integer(0, 300);
  return {
    keyNumber: random.integer(1, chances.keys),
    entry: {
      kind, target, isGone: target === 'commit' && random.fraction() < 0.5, isPointer: stream === 'value' ? random.fraction() < 0.2 : isWrong && random.fraction() < 0.3, isCopy: random.fraction() < 0.3,
      functionNumber, offset, bytes: bytes + (isWrong ? 8 : 0), logicalBytes, sequence: random.integer(1, random.pick([40, 2 ** 50])), usedAtS: nowS - random.pick([0, 1, 17, 100_000, 400 * 86_400, -50, -90_000]),
    },
  };
}

function setKey(key: KeyWords, stream: Stream, { keyNumber, entry: { kind, target, functionNumber } }: Said): void {
  const about = target ?? kind;
  const hash = Buffer.alloc(32, keyNumber);
  hash.writeUInt32LE(keyNumber, 8);
  key.setBytes(stream === 'blob' ? blobTag(functionNumber) : valueTag(about === 'opaque' ? 'opaque' : 'action_result', functionNumber), hash);
}

/** Hints of some segments, each of some blocks. */
function hintsOf(random: SeededRandom, stream: Stream, chances: Chances): readonly Hint[] {
  const key = new KeyWords();
  return [1, 2, 3].map((id) => {
    const builder = new HintBuilder({ id, stream, nonce, segmentBytes });
    const blocks: Buffer[] = [];
    let end = segmentHeaderBytes;
    for (let index = 0; index < 300; index += 1) {
      const one = said(random, stream, end + random.pick([0, 0, 0, 0, 0, 0, 0, 8]), chances);
      setKey(key, stream, one);
      builder.add(key, one.entry);
      end = one.entry.offset + one.entry.bytes;
      if (index % 100 === 99) blocks.push(builder.take({ endOffset: end }));
    }
    const decoded = decodeHint(Buffer.concat(blocks), { id, stream, nonce, segmentBytes });
    assert.ok(decoded.kind === 'hint', decoded.kind === 'wrong' ? decoded.reason : '');
    return decoded.hint;
  });
}

interface Folded {
  readonly parts: EmptyParts;
  readonly fold: RecoveryFold;
  readonly damage: { from: number; to: number }[];
  readonly gaps: boolean[];
  readonly rows: readonly SegmentRow[];
}

function start(stream: Stream): Folded {
  const parts = emptyParts(nowS);
  const rows = [1, 2, 3].map((id) => parts.segments.add({ id, stream, nonce, segmentBytes, begunS: nowS, state: 'sealed', endOffset: segmentBytes, records: 0, sealSequence: undefined }));
  return { parts, fold: new RecoveryFold(parts.entries, parts.segments), damage: [], gaps: [], rows };
}

function oneByOne(stream: Stream, hints: readonly Hint[]): Folded {
  const folded = start(stream);
  const key = new KeyWords();
  for (const [number, hint] of hints.entries()) {
    const row = folded.rows[number] ?? assert.fail();
    let [end, hasGap] = [segmentHeaderBytes, false];
    for (const { from, count } of hint.blocks) {
      for (let at = from; at < from + count * hintEntryWords; at += hintEntryWords) {
        const entry = hint.entryAt(at, key);
        hasGap ||= entry.offset !== end;
        end = entry.offset + entry.bytes;
        row.youngestUseS = Math.max(row.youngestUseS, Math.min(nowS, entry.usedAtS));
        if (!folded.fold.take(row, key, entry)) folded.damage.push({ from: entry.offset, to: end });
      }
    }
    folded.gaps.push(hasGap);
  }
  return folded;
}

function whole(stream: Stream, hints: readonly Hint[], isAnnounced: boolean): Folded {
  const folded = start(stream);
  const { blobs, values, entries } = folded.parts;
  if (isAnnounced) for (const index of [blobs, values]) index.beginFill(50_000);
  const hintFold = new HintFold(folded.fold, entries, nowS);
  for (const [number, hint] of hints.entries()) folded.gaps.push(hintFold.take(folded.rows[number] ?? assert.fail(), hint, folded.damage));
  for (const index of [blobs, values]) index.endFill();
  return folded;
}

/** What only values have. */
function pointersSeen({ values }: EmptyParts): ReadonlyMap<string, unknown> {
  const all = Array.from({ length: values.chunkCount }, (_, chunk) => [...values.slotsOf(chunk)]).flat();
  const seen = all.map((slot) => [`${values.segmentOf(slot)}-${values.offsetOf(slot)}`, [values.sequenceOf(slot), values.isPointer(slot)]] as const);
  return new Map(seen.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function seen({ parts, fold, damage, gaps, rows }: Folded): unknown {
  return {
    entries: new Map([...entriesSeen(parts)].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    pointers: pointersSeen(parts),
    files: parts.entries.filesCount,
    means: rows.map(({ ordinal }) => parts.entries.meanUseS(ordinal)),
    leased: parts.ages.leasedBytes(nowS),
    rows: rows.map(({ liveBytes, liveCount, tombstones, youngestUseS }) => [liveBytes, liveCount, tombstones, youngestUseS]),
    orphans: fold.orphans().map(({ reason, offset, sequence }) => [reason, offset, sequence]),
    sequenceMax: fold.sequenceMax,
    taken: fold.taken,
    damage,
    gaps,
  };
}

describe('HintFold', () => {
  for (const stream of ['blob', 'value'] as const) {
    for (const [name, chances] of [
      ['keys that come again and again', { keys: 40, rare: 0.3, wrong: 0.05 }],
      ['many keys, and little else', { keys: 5_000, rare: 0.005, wrong: 0 }],
      ['keys that nothing else is said of', { keys: 1_000_000, rare: 0, wrong: 0.01 }],
    ] as const) {
      it(`leaves of a ${stream} stream what its entries do one by one: ${name}`, (t) => {
        const random = seededRandom(t);
        for (let round = 0; round < 8; round += 1) {
          const hints = hintsOf(random, stream, chances);
          const expected = oneByOne(stream, hints);
          for (const isAnnounced of [false, true]) {
            const found = whole(stream, hints, isAnnounced);
            assert.deepEqual(seen(found), seen(expected));
            assert.deepEqual(disagreements(found.parts), []);
          }
        }
      });
    }
  }

  it('has a gap where a hint does not reach its end, or the seal', () => {
    const key = new KeyWords();
    const ends: [endOffset: number, sealSequence: number | undefined][] = [[0, undefined], [8, undefined], [56, 9], [64, 9]];
    for (const [behind, sealSequence] of ends) {
      const builder = new HintBuilder({ id: 1, stream: 'blob', nonce, segmentBytes });
      const one: Said = { keyNumber: 1, entry: { kind: 'blob', target: undefined, isGone: false, isPointer: false, isCopy: false, functionNumber: 1, offset: segmentHeaderBytes, bytes: 96, logicalBytes: 5, sequence: 1, usedAtS: nowS } };
      setKey(key, 'blob', one);
      builder.add(key, one.entry);
      const decoded = decodeHint(builder.take({ endOffset: segmentHeaderBytes + 96 + behind, ...(sealSequence !== undefined && { sealSequence }) }), { id: 1, stream: 'blob', nonce, segmentBytes });
      assert.ok(decoded.kind === 'hint');
      assert.deepEqual(whole('blob', [decoded.hint], true).gaps, [behind === 8 || behind === 64]);
    }
  });
});
