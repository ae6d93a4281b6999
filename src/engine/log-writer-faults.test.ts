// Writers over a disk that fails. At random: whatever happens, records are settled in the order in which they were appended,
// what is told to be durable is, and nothing that counts lies behind what was lost. And at moments at which somebody waits.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { blobRecord, bytesOfBlob, openTemporaryLog, shortSegmentBytes } from '../testing/temporary-log.ts';
import type { TemporaryLog } from '../testing/temporary-log.ts';
import type { Appended } from './append-request.ts';
import type { LogWriter } from './log-writer.ts';
import { segmentFileName, segmentHeaderBytes } from './segment-format.ts';

interface Written {
  readonly payload: string;
  readonly place: Appended;
  /** The segment of the place. */
  readonly id: number;
  /** Its claim was lost, so that it got no place. */
  readonly isNowhere: boolean;
  outcome: 'durable' | 'failed' | undefined;
}

class RandomWriters {
  readonly #log: TemporaryLog;
  readonly #writer: LogWriter;
  readonly #random: SeededRandom;
  readonly written: Written[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #told = 0;
  /** What was appended before this cannot count any more. */
  #lostUpTo = 0;

  constructor(log: TemporaryLog, writer: LogWriter, random: SeededRandom) {
    this.#log = log;
    this.#writer = writer;
    this.#random = random;
  }

  async step(): Promise<void> {
    const random = this.#random;
    switch (random.integer(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        for (let count = random.integer(1, 8); count > 0; count -= 1) this.#run(this.#put());
        break;
      case 5:
      case 6:
        if (this.#log.syncs.held.length > 0) await this.#log.syncs.end();
        break;
      case 7:
        if (random.integer(0, 9) === 0) this.#run(this.#writer.seal());
        break;
      case 8:
        this.#log.clock.advance(2_500);
        break;
      default:
        await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  /** Refusals are expected: the disk fails. */
  #run(work: Promise<unknown>): void {
    const done = work.catch(() => undefined).finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  async #put(): Promise<void> {
    const random = this.#random;
    const payload = Buffer.from(`${this.written.length} `.padEnd(random.integer(0, 3) === 0 ? random.integer(9_000, 60_000) : random.integer(8, 2_000), 'x'));
    using claim = await this.#writer.claim(bytesOfBlob(payload), random.integer(0, 4) === 0 ? 'internal' : 'external');
    // Some hold their room over something that takes its time.
    for (let turns = random.integer(-20, 5); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
    const index = this.written.length;
    const place = this.#writer.append(claim, blobRecord(payload), ({ kind }) => this.#settled(index, kind));
    const row = this.#log.table.at(place.segment);
    this.written.push({ payload: payload.toString('latin1'), place, id: row.id, isNowhere: row.state === 'failed', outcome: undefined });
  }

  #settled(index: number, outcome: 'durable' | 'failed'): void {
    assert.equal(index, this.#told, 'records are settled in the order in which they were appended');
    this.#told += 1;
    const written = this.written[index];
    assert.ok(written);
    written.outcome = outcome;
    if (outcome === 'failed') {
      if (!written.isNowhere) this.#lostUpTo = this.written.length;
      return;
    }
    assert.ok(index >= this.#lostUpTo, 'what was appended behind a record that was lost is lost with it');
    const durableEnd = this.#log.syncs.durableEnds.get(segmentFileName(written.id, 'blob')) ?? 0;
    assert.ok(written.place.offset + written.place.bytes <= durableEnd, 'what counts was synced');
    this.#olderAreSealed(written.id);
  }

  #olderAreSealed(id: number): void {
    for (const row of this.#log.table.of('blob')) if (row.id < id) assert.notEqual(row.state, 'open', 'nothing counts in a segment while an older one is not ended');
  }
}

describe('LogWriter on a disk that fails', () => {
  for (let round = 0; round < 6; round += 1) {
    it(`K1-03, K1-08: settles in order, and counts nothing behind what was lost (${round})`, async (t) => {
      const random = seededRandom(t);
      await using log = await openTemporaryLog({ maxBytes: 200 * shortSegmentBytes });
      const writer = log.writer();
      const writers = new RandomWriters(log, writer, random);
      log.syncs.isHeld = (name) => name.endsWith('.blob') && random.integer(0, 3) > 0;
      const faultShare = round === 0 ? 0 : random.pick([0.01, 0.05, 0.12]);
      log.files.fault = (operation) => (operation === 'sync' || operation === 'write' ? (random.fraction() < faultShare ? 'EIO' : undefined) : undefined);
      for (let steps = 0; steps < 400; steps += 1) await writers.step();
      log.files.fault = () => undefined;
      log.syncs.isHeld = () => false;
      while (log.syncs.held.length > 0) await log.syncs.end();
      log.clock.advance(5_000);
      await writers.idle();
      await writer.close();
      await log.supply.close();
      await checkDisk(log, writers.written, round === 0);
    });
  }
});

/** 15 of them and their seal fill a segment. */
const large = new Uint8Array(64_000);
const largePerSegment = Math.floor((shortSegmentBytes - segmentHeaderBytes - 56) / bytesOfBlob(large));

async function putLarge(writer: LogWriter, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    using claim = await writer.claim(bytesOfBlob(large), 'external');
    writer.append(claim, blobRecord(large));
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

function failingSync(log: TemporaryLog, isFailing: (name: string) => boolean): void {
  log.files.fault = (operation, name) => (operation === 'sync' && isFailing(name) ? 'EIO' : undefined);
}

describe('LogWriter on a disk that fails while somebody waits', () => {
  it('tells who seals a segment when it has lost its records to a failure of the one before', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await putLarge(writer, largePerSegment - 1);
    await writer.durable();
    await until(() => log.table.countOf('blob') === 2);
    log.syncs.isHeld = (name) => name === segmentFileName(0, 'blob');
    await putLarge(writer, 2);
    await until(() => log.syncs.held.length === 1);
    const refused = assert.rejects(writer.seal(), { code: 'unavailable' });
    failingSync(log, (name) => name === segmentFileName(0, 'blob'));
    await log.syncs.end();
    await refused;
    assert.equal(log.table.open('blob')?.records, 0);
    await writer.close();
  });

  it('refuses nobody who waits for a sync alone, when no segment can be had ahead', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    const writer = log.writer();
    await putLarge(writer, 1);
    await writer.durable();
    let asked = 0;
    log.freeSegment = () => {
      asked += 1;
      return Promise.reject(new CacheError('disk_full', 'nothing may go'));
    };
    log.syncs.isHeld = (name) => name.endsWith('.blob');
    const puts = Array.from({ length: 60 }, () => putLarge(writer, 1));
    const ended = Promise.all(puts);
    await until(() => asked > 0 && writer.waiting > 0 && log.syncs.held.length === 1);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    log.syncs.isHeld = () => false;
    await log.syncs.end();
    await ended;
    await writer.durable();
    await writer.close();
  });

  it('serves who stood behind somebody for whom no segment could be had', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    await putLarge(writer, 1);
    log.freeSegment = () => Promise.reject(new CacheError('disk_full', 'nothing may go'));
    await putLarge(writer, largePerSegment - 1);
    await writer.durable();
    log.files.fault = (operation) => (operation === 'create' ? 'EIO' : undefined);
    const inside = Promise.resolve(writer.claim(bytesOfBlob(large), 'internal'));
    const outside = Promise.resolve(writer.claim(bytesOfBlob('short'), 'external'));
    await assert.rejects(inside, { code: 'unavailable' });
    (await outside)[Symbol.dispose]();
    await writer.close();
  });

  it('K1-08: relaxed: tells nobody of a write that failed that it counts, though one before it in the same turn did not', async () => {
    await using log = await openTemporaryLog({ segmentBytes: 4 * shortSegmentBytes });
    const writer = log.writer({ durability: 'relaxed' });
    await putLarge(writer, 1);
    await writer.durable();
    let writes = 0;
    let inFirst: number | undefined;
    log.files.fault = (operation, name) => (operation === 'write' && name.endsWith('.blob') && (writes += 1) > 1 ? 'EIO' : undefined);
    const [told, expected]: [string[], string[]] = [[], []];
    while (writes < 2) {
      assert.notEqual(writer.appendNow(blobRecord(large), ({ kind }) => told.push(kind)), undefined);
      expected.push('failed');
      if (writes === 1) expected.fill('durable', 0, (inFirst ??= expected.length));
    }
    await assert.rejects(writer.durable(), { code: 'unavailable' });
    assert.deepEqual(told, expected);
    log.files.fault = () => undefined;
    await writer.close();
  });

  it('closes though room that was lost long ago is used at that moment', async () => {
    await using log = await openTemporaryLog();
    const writer = log.writer();
    using late = await writer.claim(bytesOfBlob('late'), 'external');
    failingSync(log, (name) => name.endsWith('.blob'));
    await putLarge(writer, 1);
    await assert.rejects(writer.durable(), { code: 'unavailable' });
    log.files.fault = () => undefined;
    await putLarge(writer, Math.ceil(largePerSegment * 0.8));
    await writer.durable();
    await until(() => log.table.countOf('blob') === 3);
    const { id } = log.table.open('blob') ?? assert.fail();
    log.syncs.isHeld = (name) => name === segmentFileName(id, 'blob');
    const closed = writer.close();
    await until(() => log.syncs.held.length === 1);
    let told: string | undefined;
    writer.append(late, blobRecord('late'), ({ kind }) => void (told = kind));
    log.syncs.isHeld = () => false;
    await log.syncs.end();
    await closed;
    assert.equal(told, 'failed');
  });
});

/** Everything that was told to be durable is found where it was put, and every segment that says how many it has has them. */
async function checkDisk(log: TemporaryLog, written: readonly Written[], mustAllCount: boolean): Promise<void> {
  assert.ok(written.every(({ outcome }) => outcome !== undefined), 'everybody is told');
  assert.ok(written.length > 100 || !mustAllCount);
  if (mustAllCount) assert.ok(written.every(({ outcome }) => outcome === 'durable'));
  const found = new Map<string, string>();
  for (const segment of await log.scan()) {
    for (const { offset, sequence, payload } of segment.records) found.set(`${segment.id} ${offset} ${sequence}`, payload);
    const row = Array.from(log.table.of('blob')).find(({ id }) => id === segment.id);
    assert.ok(row !== undefined && segment.end.kind === 'ended');
    if (row.state === 'sealed') assert.deepEqual([segment.end.sealedRecords, segment.end.endOffset], [segment.records.length, row.endOffset]);
    assert.notEqual(row.state, 'open');
  }
  for (const { outcome, payload, id, place } of written) {
    if (outcome === 'durable') assert.equal(found.get(`${id} ${place.offset} ${place.sequence}`), payload);
  }
  const places = written.filter(({ isNowhere, outcome }) => !isNowhere && outcome === 'durable').map(({ id, place }) => `${id} ${place.offset}`);
  assert.equal(new Set(places).size, places.length, 'no two records that count have one place');
  assert.equal(new Set(written.map(({ place }) => place.sequence)).size, written.length, 'no number is given twice');
}
