// Hints of segments that must be read come one at a time and with rests between them; all count towards the bound, go when their segment
// does, and fail nobody. What comes while a segment is written: growing-hints.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { sha256 } from '../digest/digest-function.ts';
import { emptyDisk } from '../testing/disk-image.ts';
import { HandWrittenSegment } from '../testing/hand-written-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { SimulatedMachine } from '../testing/simulated-machine.ts';
import { decodeHint } from './hint.ts';
import type { HintRequest, HintScans } from './hint-scan.ts';
import { HintWriter } from './hint-writer.ts';
import { hintFileName, segmentBytesLeast } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import { SegmentTable } from './segment-table.ts';
import type { SegmentRow } from './segment-table.ts';
import { SpaceLedger } from './space-ledger.ts';

const directory = '/data/segments';
const usedAtS = 1_700_000_000;

class World implements AsyncDisposable {
  readonly machine: SimulatedMachine;
  readonly table = new SegmentTable();
  readonly ledger: SpaceLedger;
  readonly hints: HintWriter;
  readonly asked: HintRequest[] = [];
  /** Waited for by each scan. */
  gate: Promise<void> = Promise.resolve();
  running = 0;
  /** Each scan takes so long. */
  scanMs = 100;

  constructor(machine: SimulatedMachine, maxBytes: number) {
    this.machine = machine;
    this.ledger = new SpaceLedger({ maxBytes, diskFloorBytes: 0 });
    const scans: HintScans = {
      hintOf: async (path, request) => {
        this.asked.push(request);
        this.running += 1;
        assert.equal(this.running, 1, 'one at a time');
        await this.gate;
        machine.clock.advance(this.scanMs);
        this.running -= 1;
        return machine.scans.hintOf(path, request);
      },
    };
    this.hints = new HintWriter({ files: machine.disk, scans, clock: machine.clock, timers: machine.clock, log: machine.log }, this.ledger, directory);
  }

  /** A segment of three blobs, and its row. */
  async segment(id: number, { isSealed, stream = 'blob' }: { readonly isSealed: boolean; readonly stream?: StreamName }): Promise<SegmentRow> {
    const written = await HandWrittenSegment.begin(this.machine, directory, { id, stream, firstSequence: id * 10 });
    for (const [index, content] of ['one', 'two', 'three'].entries()) {
      const payload = Buffer.from(`${content} of ${id}`);
      written.append({ kind: 'blob', digestFunction: sha256, hash: sha256.hashHex(payload), sequence: id * 10 + index, usedAtS, payload });
    }
    written.write();
    await written.sync();
    if (isSealed) await written.seal(id * 10 + 5, usedAtS);
    await written.close();
    const { nonce, endOffset, records } = written;
    return this.table.add({ id, stream, nonce, segmentBytes: segmentBytesLeast, begunS: usedAtS, state: isSealed ? 'sealed' : 'open', endOffset, records, sealSequence: isSealed ? id * 10 + 5 : undefined });
  }

  hintOf({ id, nonce, segmentBytes, stream }: SegmentRow): { readonly count: number; readonly isSealed: boolean; readonly endOffset: number; readonly bytes: number } | undefined {
    const bytes = this.machine.disk.files().get(`${directory}/${hintFileName(id)}`);
    if (bytes === undefined) return undefined;
    assert.ok(stream !== 'touch');
    const decoded = decodeHint(bytes, { id, nonce, segmentBytes, stream });
    assert.ok(decoded.kind === 'hint');
    const { count, isSealed, endOffset } = decoded.hint;
    return { count, isSealed, endOffset, bytes: bytes.byteLength };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hints[Symbol.asyncDispose]();
  }
}

async function onDisk(t: TestContext, work: (world: World) => Promise<void>, maxBytes = Infinity): Promise<void> {
  using machine = new SimulatedMachine(seededRandom(t).seed, emptyDisk, 1_700_000_000_000);
  const all = async (): Promise<void> => {
    await machine.disk.makeDirectory(directory);
    await using world = new World(machine, maxBytes);
    await work(world);
  };
  await machine.finish(all());
}

describe('HintWriter', () => {
  it('writes the hint of a sealed segment and counts it', (t) => onDisk(t, async (world) => {
    const row = await world.segment(1, { isSealed: true });
    world.hints.sealed(row);
    await world.hints.idle();
    assert.deepEqual(world.hintOf(row), { count: 3, isSealed: true, endOffset: row.endOffset, bytes: 64 * 4 });
    assert.equal(world.ledger.bytesOf('hints'), 64 * 4);
    assert.equal(world.ledger.reservedBytes, 0);
  }));

  it('claims no seal that is not durable yet', (t) => onDisk(t, async (world) => {
    const row = await world.segment(1, { isSealed: true });
    row.durableOffset -= 56;
    world.hints.sealed(row);
    await world.hints.idle();
    assert.equal(world.hintOf(row)?.isSealed, false);
    assert.equal(world.asked[0]?.sealSequence, undefined);
  }));

  it('makes one at a time and rests as long, until the end is near', (t) => onDisk(t, async (world) => {
    const rows = [await world.segment(1, { isSealed: true }), await world.segment(2, { isSealed: true }), await world.segment(3, { isSealed: true })];
    const found = [{ row: rows[0] ?? assert.fail(), bytes: 100 }];
    world.hints.begin({ hints: found, unhinted: rows });
    assert.equal(world.ledger.bytesOf('hints'), 100);
    const beganMs = world.machine.clock.nowMs();
    while (world.asked.length < 2) await world.machine.turns.nextTurn().then(() => world.machine.clock.advance(10));
    assert.ok(world.machine.clock.nowMs() - beganMs >= 200, 'the first took 100 ms');
    await world.hints.finish();
    assert.deepEqual(rows.map((row) => world.hintOf(row)?.count), [3, 3, 3]);
    assert.equal(world.ledger.bytesOf('hints'), 3 * 64 * 4);
  }));

  it('makes what is wanted at the end, as long as that does not take long', (t) => onDisk(t, async (world) => {
    const rows = [await world.segment(1, { isSealed: true }), await world.segment(2, { isSealed: true }), await world.segment(3, { isSealed: true }), await world.segment(4, { isSealed: true })];
    world.scanMs = 4_500;
    world.hints.begin({ hints: [], unhinted: rows });
    await world.hints.finish();
    assert.deepEqual(world.asked.map(({ segment }) => segment.id), [1, 2, 3]);
  }));

  it('drops the hint of a segment that is given up, and the one that is on its way', (t) => onDisk(t, async (world) => {
    const [one, two] = [await world.segment(1, { isSealed: true }), await world.segment(2, { isSealed: true })];
    world.hints.sealed(one);
    await world.hints.idle();
    await world.hints.drop(one);
    assert.equal(world.hintOf(one), undefined);
    const { promise, resolve } = Promise.withResolvers<void>();
    world.gate = promise;
    world.hints.sealed(two);
    world.hints.sealed(one);
    let isDropped = false;
    const dropped = world.hints.drop(two).then(() => void (isDropped = true));
    await world.machine.turns.nextTurn();
    assert.equal(isDropped, false, 'the segment is still being read');
    resolve();
    await dropped;
    await world.hints.idle();
    assert.deepEqual([world.hintOf(one), world.hintOf(two)], [undefined, undefined]);
    assert.equal(world.ledger.placedBytes, 0);
    assert.equal(world.asked.length, 2);
  }));

  it('keeps to the bound, has none for touches, and does without where the disk fails', (t) => onDisk(t, async (world) => {
    const rows = [await world.segment(1, { isSealed: true }), await world.segment(2, { isSealed: true }), await world.segment(3, { isSealed: true, stream: 'touch' })];
    for (const row of rows) world.hints.sealed(row);
    await world.hints.idle();
    assert.deepEqual(rows.slice(0, 2).map((row) => world.hintOf(row)?.count), [3, undefined]);
    assert.equal(world.asked.length, 2);
    const [first] = rows;
    assert.ok(first);
    await world.hints.drop(first);
    const another = await world.segment(4, { isSealed: true });
    for (const failing of ['create', 'write', 'rename'] as const) {
      world.machine.disk.fault = (operation, path) => (operation === failing && path.includes('.hint') ? 'ENOSPC' : undefined);
      world.hints.sealed(another);
      await world.hints.idle();
      assert.deepEqual([...world.machine.disk.files().keys()].filter((path) => path.includes('.hint')), [], failing);
      assert.equal(world.ledger.usedBytes, 0);
    }
    assert.equal(world.machine.log.lines.filter((line) => line.startsWith('warn')).length, 1);
    world.machine.disk.fault = () => undefined;
    world.hints.sealed(another);
    await world.hints.idle();
    assert.equal(world.hintOf(another)?.count, 3);
  }, 64 * 4 + 10));
});
