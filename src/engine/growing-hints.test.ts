// The hint of a segment that is written through the log is, block by block, what reading the segment would give; of what is durable,
// and of nothing else. Where it cannot be written, somebody is told at the seal.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { emptyDisk } from '../testing/disk-image.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { SimulatedMachine } from '../testing/simulated-machine.ts';
import { GrowingHints } from './growing-hints.ts';
import { HintFiles } from './hint-files.ts';
import { hintEntryWords } from './hint-format.ts';
import { hintOf } from './hint-scan.ts';
import { decodeHint } from './hint.ts';
import type { Hint } from './hint.ts';
import { KeyWords } from './key-words.ts';
import { recordBytes } from './record-codec.ts';
import { RecordGather } from './record-gather.ts';
import type { PlacedRecord } from './record-gather.ts';
import { encodeTombstone } from './record-payloads.ts';
import { hintFileName, segmentHeaderBytes } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import { SegmentTable } from './segment-table.ts';
import type { SegmentRow } from './segment-table.ts';
import { SpaceLedger } from './space-ledger.ts';

const directory = '/data/segments';
const segmentBytes = 2 ** 23;
const usedAtS = 1_700_000_000;
/** Of what is durable, a block is made for so much. */
const blockBytes = segmentBytes / 16;

class World {
  readonly machine: SimulatedMachine;
  readonly random: SeededRandom;
  readonly table = new SegmentTable();
  readonly ledger: SpaceLedger;
  readonly hints: GrowingHints;
  readonly lost: SegmentRow[] = [];
  readonly failed: SegmentRow[] = [];
  /** Of each segment what was written. */
  readonly bytes = new Map<SegmentRow, Buffer>();
  readonly #gather = new RecordGather();
  #sequence = 100;

  constructor(machine: SimulatedMachine, random: SeededRandom, maxBytes: number) {
    this.machine = machine;
    this.random = random;
    this.ledger = new SpaceLedger({ maxBytes, diskFloorBytes: 0 });
    const files = new HintFiles({ files: machine.disk, log: machine.log }, this.ledger, directory);
    this.hints = new GrowingHints({ files, onLost: (row) => this.lost.push(row), onFailed: (row) => this.failed.push(row), onWritten: () => undefined });
  }

  begin(id: number, stream: StreamName): SegmentRow {
    const row = this.table.add({ id, stream, nonce: this.random.bytes(8), segmentBytes, begunS: usedAtS, state: 'open', endOffset: segmentHeaderBytes, records: 0, sealSequence: undefined });
    this.bytes.set(row, Buffer.alloc(segmentBytes));
    return row;
  }

  /** Records of some kinds of the stream, about so many bytes; written, not synced. */
  write(row: SegmentRow, bytesLeast: number): void {
    const records: PlacedRecord[] = [];
    const begin = row.endOffset;
    while (row.endOffset < begin + bytesLeast) records.push(this.#record(row));
    Buffer.concat(this.#gather.gather(records, row.durableOffset, row.nonceCrc)).copy(this.bytes.get(row) ?? assert.fail(), begin);
    this.hints.written(row, records);
  }

  #record(row: SegmentRow): PlacedRecord {
    const { random } = this;
    const isValue = row.stream === 'value';
    const kind = random.pick(isValue ? (['actionResult', 'opaque', 'tombstone'] as const) : (['blob', 'intent', 'commit', 'tombstone'] as const));
    const hash = random.bytes(32);
    const instance = isValue ? random.pick(['', 'ci']) : '';
    const payload = kind === 'tombstone' ? encodeTombstone({ removed: isValue ? 'opaque' : 'commit', isGone: !isValue && random.fraction() < 0.5 }) : random.bytes(kind === 'intent' || kind === 'commit' ? 0 : random.integer(1, 60_000));
    this.#sequence += 1;
    const bytes = recordBytes(32, instance.length, payload.byteLength);
    const record: PlacedRecord = {
      segment: row.ordinal, bytes, payload, payloadBytes: payload.byteLength, payloadCrc: crc32(payload), durableMark: 0,
      kind, functionNumber: 1, isPointer: false, isCopy: random.fraction() < 0.5, hash, instance, logicalBytes: payload.byteLength, sequence: this.#sequence, offset: row.endOffset, usedAtS: usedAtS + random.integer(0, 99),
    };
    row.endOffset += bytes;
    row.records += 1;
    return record;
  }

  sync(row: SegmentRow): void {
    row.durableOffset = row.endOffset;
    this.hints.grown(row);
  }

  /** As the log seals it; only its row learns of the seal. */
  seal(row: SegmentRow): void {
    this.sync(row);
    row.endOffset += recordBytes(0, 0, 0);
    row.durableOffset = row.endOffset;
    row.state = 'sealed';
    this.#sequence += 1;
    row.sealSequence = this.#sequence;
    this.hints.sealed(row);
  }

  hintOf({ id, nonce, stream }: SegmentRow): Hint | undefined {
    const bytes = this.machine.disk.files().get(`${directory}/${hintFileName(id)}`);
    assert.ok(stream !== 'touch');
    const decoded = bytes && decodeHint(Buffer.from(bytes), { id, nonce, segmentBytes, stream });
    assert.notEqual(decoded?.kind, 'wrong');
    return decoded?.kind === 'hint' ? decoded.hint : undefined;
  }

  /** What a look at the segment itself gives, up to there. */
  scanned(row: SegmentRow, endOffset: number): Hint {
    const { id, nonce, stream } = row;
    assert.ok(stream !== 'touch');
    const segment = { id, nonce, segmentBytes, stream };
    const bytes = this.bytes.get(row) ?? assert.fail();
    const decoded = decodeHint(hintOf((into, position) => bytes.copy(into, 0, position, position + into.byteLength), { segment, endOffset }) ?? assert.fail(), segment);
    assert.ok(decoded.kind === 'hint');
    return decoded.hint;
  }
}

function entriesOf(hint: Hint): readonly unknown[] {
  const key = new KeyWords();
  return hint.blocks.flatMap(({ from, count }) => Array.from({ length: count }, (_, index) => [hint.entryAt(from + index * hintEntryWords, key), key.hex(), key.tag]));
}

async function onDisk(t: TestContext, work: (world: World) => Promise<void>, maxBytes = Infinity): Promise<void> {
  const random = seededRandom(t);
  using machine = new SimulatedMachine(random.seed, emptyDisk, 1_700_000_000_000);
  const all = async (): Promise<void> => {
    await machine.disk.makeDirectory(directory);
    await work(new World(machine, random, maxBytes));
  };
  await machine.finish(all());
}

describe('GrowingHints', () => {
  for (const stream of ['blob', 'value'] as const) {
    it(`tells of a ${stream} segment what reading it tells, each sixteenth that is durable and at the seal`, (t) => onDisk(t, async (world) => {
      const row = world.begin(1, stream);
      world.write(row, blockBytes / 2);
      world.sync(row);
      await world.hints.idle();
      assert.equal(world.hintOf(row), undefined, 'it is little');
      world.write(row, blockBytes);
      await world.hints.idle();
      assert.equal(world.hintOf(row), undefined, 'it is not durable');
      world.sync(row);
      const durable = row.durableOffset;
      world.write(row, 100_000);
      await world.hints.idle();
      const first = world.hintOf(row);
      assert.ok(first);
      assert.deepEqual([first.endOffset, first.isSealed, first.blocks.length], [durable, false, 1]);
      assert.deepEqual(entriesOf(first), entriesOf(world.scanned(row, durable)));
      world.write(row, 3 * blockBytes / 2);
      const recordsEnd = row.endOffset;
      world.seal(row); // with the block that has become due
      await world.hints.idle();
      const last = world.hintOf(row);
      assert.ok(last);
      assert.deepEqual([last.endOffset, last.isSealed, last.sequenceMax], [row.endOffset, true, row.sealSequence]);
      assert.deepEqual(entriesOf(last), entriesOf(world.scanned(row, recordsEnd)));
      assert.equal(world.ledger.bytesOf('hints'), last.words.byteLength);
      assert.deepEqual([world.lost, world.failed], [[], []]);
    }));
  }

  it('tells of a segment that is sealed before it has grown, and of one without records', (t) => onDisk(t, async (world) => {
    const [one, other] = [world.begin(1, 'blob'), world.begin(2, 'value')];
    world.write(one, 1_000);
    world.seal(one);
    world.write(other, 1);
    world.seal(other);
    await world.hints.idle();
    assert.deepEqual([one, other].map((row) => world.hintOf(row)?.isSealed), [true, true]);
  }));

  it('leaves to others what it did not see from the beginning, and touches', (t) => onDisk(t, async (world) => {
    const [row, touches] = [world.begin(1, 'blob'), world.begin(2, 'touch')];
    row.endOffset += 800;
    world.write(row, 2 * blockBytes);
    world.seal(row);
    world.hints.written(touches, []);
    world.sync(touches);
    await world.hints.idle();
    assert.deepEqual(world.lost, [row]);
    assert.equal(world.machine.disk.files().size, 0);
  }));

  it('gives a hint up that cannot be written, and says so at the seal', (t) => onDisk(t, async (world) => {
    for (const [number, failing] of (['create', 'write'] as const).entries()) {
      const row = world.begin(number + 1, 'blob');
      world.write(row, blockBytes);
      world.machine.disk.fault = (operation, path) => (operation === failing && path.includes('.hint') ? 'ENOSPC' : undefined);
      world.sync(row);
      await world.hints.idle();
      world.machine.disk.fault = () => undefined;
      assert.deepEqual(world.failed, [row]);
      assert.deepEqual([world.lost, world.machine.disk.files().size, world.ledger.usedBytes], [[], 0, 0]);
      world.write(row, blockBytes);
      world.seal(row);
      await world.hints.idle();
      assert.deepEqual(world.lost.splice(0), world.failed.splice(0));
      assert.equal(world.hintOf(row), undefined);
    }
    // The last block, behind one that is there.
    const row = world.begin(3, 'blob');
    world.write(row, blockBytes);
    world.sync(row);
    await world.hints.idle();
    assert.ok(world.hintOf(row));
    world.machine.disk.fault = (operation, path) => (operation === 'write' && path.includes('.hint') ? 'EIO' : undefined);
    world.seal(row);
    await world.hints.idle();
    assert.deepEqual([world.lost, world.hintOf(row), world.ledger.usedBytes], [[row], undefined, 0]);
  }));

  it('keeps what is there where there is no room for more', (t) => onDisk(t, async (world) => {
    const row = world.begin(1, 'blob');
    world.write(row, blockBytes);
    world.sync(row);
    await world.hints.idle();
    const endOffset = world.hintOf(row)?.endOffset;
    world.ledger.place('segments', 100_000_000 - world.ledger.usedBytes);
    world.write(row, blockBytes);
    world.seal(row);
    await world.hints.idle();
    assert.deepEqual([world.hintOf(row)?.endOffset, world.lost, world.failed], [endOffset, [row], []]);
  }, 100_000_000));

  it('writes nothing of a segment that is given up, and waits for what is on its way', (t) => onDisk(t, async (world) => {
    const row = world.begin(1, 'blob');
    world.write(row, blockBytes);
    world.sync(row);
    await world.hints.drop(row);
    const length = world.machine.disk.files().get(`${directory}/${hintFileName(1)}`)?.byteLength;
    assert.equal(world.ledger.bytesOf('hints'), length);
    world.write(row, blockBytes);
    world.sync(row);
    await world.hints.idle();
    assert.equal(world.machine.disk.files().get(`${directory}/${hintFileName(1)}`)?.byteLength, length);
  }));
});
