// Starts of the log: after every cut they find what was durable and make it last, and of damage they say what is lost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { CacheError } from '../base/cache-error.ts';
import { sha256 } from '../digest/digest-function.ts';
import { CrashPoints, tryCrashPoints } from '../testing/crash-points.ts';
import type { CrashPointsOptions } from '../testing/crash-points.ts';
import type { CrashDisk } from '../testing/crash-disk.ts';
import { afterPowerCut, emptyDisk } from '../testing/disk-image.ts';
import type { DiskImage } from '../testing/disk-image.ts';
import { HandWrittenSegment } from '../testing/hand-written-log.ts';
import type { WrittenPlace } from '../testing/hand-written-log.ts';
import { ChanceHistory, keyOf, whatCounts, writtenOf } from '../testing/log-history.ts';
import type { PlacedRecord, SaidRecord } from '../testing/log-history.ts';
import { emptyParts, entriesSeen } from '../testing/recovered-parts.ts';
import type { EmptyParts } from '../testing/recovered-parts.ts';
import { recoveryPorts, recoveryProgram, segmentsDirectory } from '../testing/recovery-program.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { SimulatedMachine } from '../testing/simulated-machine.ts';
import { replacing, spoiltSyncs } from '../testing/spoiled-ports.ts';
import type { WhichSyncs } from '../testing/spoiled-ports.ts';
import { HintBuilder } from './hint-format.ts';
import { HintWriter } from './hint-writer.ts';
import { KeyWords } from './key-words.ts';
import { recoverLog } from './log-recovery.ts';
import type { RecoveredLog, RecoveryPorts } from './log-recovery.ts';
import type { DamageKeeping } from './segment-mending.ts';
import { payloadOffset, recordFixedBytes } from './record-codec.ts';
import { encodeTombstone } from './record-payloads.ts';
import { hintFileName, nonceCrc, segmentBytesLeast, segmentFileName, segmentHeaderBytes } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';

const limits: Omit<CrashPointsOptions, 'firstSeed'> = { pointsMin: 150, lives: 3, statesPerCut: 2, cutsMax: 16 };
const patience: Omit<CrashPointsOptions, 'firstSeed'> = { ...limits, pointsMin: 2_000 };

async function mustFail(t: TestContext, program: ReturnType<typeof recoveryProgram>): Promise<void> {
  const { failure, points } = await new CrashPoints(program, { ...patience, firstSeed: seededRandom(t).seed }).try();
  assert.ok(failure !== undefined, `${points} points found nothing`);
  t.diagnostic(`after ${points} points: ${String(failure.cause)}`);
}

const keepsDamage: DamageKeeping = { keep: async () => true, take: async () => undefined };

describe('recoverLog after a crash', () => {
  it('K1-03, K1-06: finds all that was durable, and what the rules say of it, and a second start finds the same', (t) => tryCrashPoints(t, recoveryProgram(), limits));

  it('is caught when what was found is served before it is durable', async (t) => {
    const program = recoveryProgram({ spoil: (ports, { disk }) => ({ ...ports, syncs: spoiltSyncs(ports.syncs, 'dropped', (_path, target) => target === 'data', (fd) => disk.pathOf(fd)) }) });
    await mustFail(t, program);
  });

  it('is caught when it believes a sync after one that failed', async (t) => {
    // Of all that is written only seals: what was found is not written again.
    const program = recoveryProgram({
      shareOfFailedSyncs: 0.5,
      spoil: (ports, { disk }) => ({
        ...ports,
        files: replacing(disk, {
          openLog: async (path, access) => {
            const file = await disk.openLog(path, access);
            return file === undefined ? undefined : { ...file, write: async (bytes, position) => (bytes.byteLength === recordFixedBytes ? file.write(bytes, position) : undefined) };
          },
        }),
      }),
    });
    await mustFail(t, program);
  });
});

/** A kill before anything was synced, a start, a power cut at each change of it, and another start. Gives what is wrong then. */
async function cutStart(random: SeededRandom, spoil: (ports: RecoveryPorts, disk: CrashDisk) => RecoveryPorts): Promise<string | undefined> {
  const nowS = 1_700_000_000;
  const startOn = async (image: DiskImage, beforeChange?: (disk: CrashDisk) => void): Promise<{ readonly log: RecoveredLog; readonly image: DiskImage }> => {
    using machine = new SimulatedMachine(random.integer(0, 2 ** 31), image, nowS * 1000);
    const { disk } = machine;
    disk.beforeChange = () => beforeChange?.(disk);
    const log = await machine.finish(recoverLog(emptyParts(nowS), spoil(recoveryPorts(machine, keepsDamage), disk), { directory: segmentsDirectory, nowS }));
    return { log, image: disk.image() };
  };
  using machine = new SimulatedMachine(random.integer(0, 2 ** 31), emptyDisk, nowS * 1000);
  const write = async (): Promise<void> => {
    await machine.disk.makeDirectory(segmentsDirectory);
    for (const path of ['/', '/data']) await machine.disk.syncDirectory(path);
    const segment = await segmentOf(machine, 1);
    for (const sequence of [1, 2, 3]) segment.append(blob(String(sequence).repeat(600), sequence));
    segment.write();
  };
  await machine.finish(write());
  const images: DiskImage[] = [];
  const first = await startOn(machine.disk.image(), (disk) => void images.push(disk.image()));
  assert.equal(first.log.report.records, 3);
  // Not those before it syncs names: nothing is said by then.
  for (const image of [...images.slice(2), first.image]) {
    for (let state = 0; state < 120; state += 1) {
      const { report } = (await startOn(afterPowerCut(image, random))).log;
      if (report.damaged.length > 0) return `damage at ${report.damaged[0]?.from}`;
      if (image === first.image && report.records !== 3) return `${report.records} records are left`;
    }
  }
  return undefined;
}

describe('recoverLog when power fails while it starts after a kill', () => {
  it('K1-06: leaves a log that is whole, and once it has ended all that it found', async (t) => {
    assert.equal(await cutStart(seededRandom(t), (ports) => ports), undefined);
  });

  it('is caught when it seals what is not durable yet', async (t) => {
    // Of each segment only the second sync is one: that of the seal.
    const firstSyncs = (): WhichSyncs => {
      const asked = new Set<string>();
      return (path, target) => target === 'data' && asked.size < asked.add(path).size;
    };
    const wrong = await cutStart(seededRandom(t), (ports, disk) => ({ ...ports, syncs: spoiltSyncs(ports.syncs, 'dropped', firstSyncs(), (fd) => disk.pathOf(fd)) }));
    assert.match(wrong ?? 'nothing is', /^damage/);
  });
});

interface World {
  readonly machine: SimulatedMachine;
  readonly kept: Map<string, Buffer>;
  readonly taken: string[];
  readonly start: () => Promise<{ readonly parts: EmptyParts; readonly log: RecoveredLog }>;
}

const usedAtS = 1_699_999_000;

/** What happens on a machine of its own, in its time. */
async function onDisk(t: TestContext, work: (world: World) => Promise<void>): Promise<void> {
  using machine = new SimulatedMachine(seededRandom(t).seed, emptyDisk, 1_700_000_000_000);
  const [kept, taken] = [new Map<string, Buffer>(), new Array<string>()];
  const damage = {
    keep: async (name: string, bytes: Uint8Array) => {
      if (kept.has(name)) return false;
      kept.set(name, Buffer.from(bytes));
      return true;
    },
    take: async (path: string, name: string) => {
      taken.push(name);
      await machine.disk.remove(path);
    },
  };
  const start = async (): Promise<{ parts: EmptyParts; log: RecoveredLog }> => {
    const parts = emptyParts(1_700_000_000);
    return { parts, log: await recoverLog(parts, recoveryPorts(machine, damage), { directory: segmentsDirectory, nowS: 1_700_000_000 }) };
  };
  const all = async (): Promise<void> => {
    await machine.disk.makeDirectory(segmentsDirectory);
    await work({ machine, kept, taken, start });
  };
  await machine.finish(all());
}

async function segmentOf(machine: SimulatedMachine, id: number, stream: StreamName = 'blob'): Promise<HandWrittenSegment> {
  return HandWrittenSegment.begin(machine, segmentsDirectory, { id, stream, firstSequence: id * 100 });
}

function blob(content: string, sequence: number): Parameters<HandWrittenSegment['append']>[0] {
  const payload = Buffer.from(content);
  return { kind: 'blob', digestFunction: sha256, hash: sha256.hashHex(payload), sequence, usedAtS, payload };
}

/** One batch each, durable one after the other. */
async function appendAll(segment: HandWrittenSegment, contents: readonly string[], firstSequence: number): Promise<readonly WrittenPlace[]> {
  const places: WrittenPlace[] = [];
  for (const [index, content] of contents.entries()) {
    places.push(segment.append(blob(content, firstSequence + index)));
    segment.write();
    await segment.sync();
  }
  return places;
}

function changed(machine: SimulatedMachine, path: string, change: (bytes: Buffer) => void): void {
  const bytes = Buffer.from(machine.disk.files().get(path) ?? assert.fail(`there is no ${path}`));
  change(bytes);
  machine.disk.tamper(path, bytes);
}

function offsets({ parts }: { readonly parts: EmptyParts }): readonly number[] {
  return [...entriesSeen(parts).values()].map(({ offset }) => offset).toSorted((a, b) => a - b);
}

const refused = (what: RegExp) => (thrown: unknown): boolean => thrown instanceof CacheError && thrown.kind === 'failed_precondition' && what.test(thrown.message);

describe('recoverLog on damage', () => {
  it('keeps what is damaged in front of a durable mark, says so, and goes on behind it', (t) => onDisk(t, async ({ machine, kept, start }) => {
    const segment = await segmentOf(machine, 3);
    const [first, second, third] = await appendAll(segment, ['one', 'two', 'three'], 300);
    await segment.close();
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    changed(machine, segment.path, (bytes) => void (bytes[second.offset + 90] = 0xff));
    const started = await start();
    assert.deepEqual(offsets(started), [first.offset, third.offset]);
    const { report } = started.log;
    assert.deepEqual(report.damaged, [{ segmentId: 3, stream: 'blob', from: second.offset, to: third.offset }]);
    assert.ok(report.isBlobStreamDamaged && !report.isClean);
    const name = `segment-0000000000000003-${second.offset}`;
    assert.deepEqual([...kept.keys()], [name]);
    assert.equal(kept.get(name)?.byteLength, second.bytes);
    assert.ok(machine.log.lines.some((line) => line.includes('is damaged from')));
    const again = await start();
    assert.ok(again.log.report.isClean);
    assert.deepEqual(offsets(again), offsets(started));
  }));

  it('K1-09: starts although there is no room for a copy of what is damaged', (t) => onDisk(t, async ({ machine }) => {
    const segment = await segmentOf(machine, 3);
    const [first, second] = await appendAll(segment, ['one', 'two', 'three'], 300);
    await segment.close();
    assert.ok(first !== undefined && second !== undefined);
    changed(machine, segment.path, (bytes) => void (bytes[first.offset + 90] = 0xff));
    const parts = emptyParts(1_700_000_000);
    const full = { ...keepsDamage, keep: () => Promise.reject(new CacheError('disk_full', 'the disk is full')) };
    const { report } = await recoverLog(parts, recoveryPorts(machine, full), { directory: segmentsDirectory, nowS: 1_700_000_000 });
    assert.deepEqual([report.damaged.length, parts.entries.count], [1, 2]);
    assert.ok(machine.log.lines.some((line) => line.startsWith('warn what is damaged could not be copied')));
  }));

  it('K1-06: loses the record in which a bit is wrong, and no other, whichever it is', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 25; round += 1) {
      await onDisk(t, async ({ machine, kept, start }) => {
        const history = new ChanceHistory(random, { firstSequence: 100, nowS: 1_700_000_000 });
        const records: PlacedRecord[] = [];
        const segments = [await segmentOf(machine, 1, 'blob'), await segmentOf(machine, 2, 'value')] as const;
        for (const segment of segments) {
          for (let count = random.integer(2, 20); count > 0; count -= 1) {
            const said = history.next(segment === segments[0] ? 'blob' : 'value');
            records.push({ ...said, segment: segment.id, ...segment.append(writtenOf(said)) });
          }
          segment.write();
          await segment.sync();
          await segment.seal(history.takeSequence(), usedAtS);
          await segment.close();
        }
        const broken = random.pick(records);
        const at = broken.offset + random.integer(0, broken.bytes - 1);
        changed(machine, segments[broken.segment - 1]?.path ?? assert.fail(), (bytes) => void (bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7))));
        const started = await start();
        const { damaged } = started.log.report;
        // What stands between the parts of a record is not looked at.
        if (damaged.length > 0) assert.deepEqual(damaged.map(({ segmentId, from, to }) => [segmentId, from, to]), [[broken.segment, broken.offset, broken.offset + broken.bytes]]);
        assert.equal(kept.size, damaged.length);
        // A value of which only the payload is wrong counts: an older one must not be taken for it.
        const isValue = broken.kind === 'opaque' || broken.kind === 'actionResult';
        const counts = damaged.length === 0 || (isValue && at >= broken.offset + payloadOffset((writtenOf(broken).hash ?? '').length / 2, 2));
        const { entries } = whatCounts(counts ? records : records.filter((record) => record !== broken));
        const seen = (parts: EmptyParts): unknown => new Map([...entriesSeen(parts)].map(([name, { segment, offset }]) => [name, [segment, offset]]));
        assert.deepEqual(seen(started.parts), new Map([...entries].map(([name, { segment, offset }]) => [name, [segment, offset]])));
        const again = await start();
        assert.ok(again.log.report.isClean);
        assert.deepEqual(seen(again.parts), seen(started.parts));
        const { disk, scans, clock, log } = machine;
        const hints = new HintWriter({ files: disk, scans, clock, timers: clock, log }, again.parts.ledger, segmentsDirectory);
        hints.begin(again.log);
        await hints.finish();
        const hinted = await start();
        assert.equal(hinted.log.report.hints, 2);
        assert.deepEqual(seen(hinted.parts), seen(started.parts));
      });
    }
  });

  it('cuts what no durable mark speaks for, without a word, and never looks behind the cut again', (t) => onDisk(t, async ({ machine, kept, start }) => {
    const segment = await segmentOf(machine, 1);
    await appendAll(segment, ['one'], 100);
    const torn = segment.append(blob('torn', 101));
    segment.append(blob('behind', 102));
    segment.write();
    await segment.close();
    changed(machine, segment.path, (bytes) => void (bytes[torn.offset] = 0xff));
    const before = machine.disk.trace.length;
    const started = await start();
    assert.deepEqual(machine.disk.trace.slice(before), [
      'sync /data',
      `sync ${segmentsDirectory}`,
      `write ${segment.path} ${segmentHeaderBytes}+${torn.offset - segmentHeaderBytes}`, // no mark speaks for it
      `sync ${segment.path}`,
      `write ${segment.path} ${torn.offset}+${recordFixedBytes}`,
      `sync ${segment.path}`,
    ]);
    assert.deepEqual(offsets(started), [segmentHeaderBytes]);
    assert.equal(kept.size, 0);
    assert.deepEqual(started.log.report.damaged, []);
    assert.ok(started.log.report.cutBytes > 0);
    assert.deepEqual(machine.log.lines.filter((line) => !line.startsWith('debug')), []);
    const [row] = [...started.parts.segments.of('blob')];
    assert.equal(row?.endOffset, torn.offset + recordFixedBytes);
    assert.equal(row?.sealSequence, 101); // what is cut has no number
    const again = await start();
    assert.equal(again.log.report.cutBytes, 0);
    assert.ok(again.log.report.isClean);
    assert.equal(again.log.nextSequence, 102);
    // Numbers in the block of a segment are in use, whether records have them or not.
    await (await segmentOf(machine, 8)).close();
    assert.equal((await start()).log.nextSequence, 801);
  }));

  it('says how many records a seal misses', (t) => onDisk(t, async ({ machine, start }) => {
    const segment = await segmentOf(machine, 1);
    await appendAll(segment, ['one', 'two'], 100);
    segment.records += 1;
    await segment.seal(102, usedAtS);
    await segment.close();
    const { log } = await start();
    assert.ok(machine.log.lines.some((line) => line.includes('says 3 records, and 2 are right')));
    assert.ok(log.report.isBlobStreamDamaged);
    assert.deepEqual([log.report.isClean, log.report.wasClosed, log.report.lostCount], [true, true, 1]);
  }));

  it('sets apart what is no segment, or another one, and begins blank ones anew', (t) => onDisk(t, async ({ machine, taken, start }) => {
    for (const id of [1, 2, 3]) {
      const segment = await segmentOf(machine, id);
      if (id !== 2) await appendAll(segment, [`content ${id}`], id * 100);
      await segment.close();
    }
    const path = (id: number): string => `${segmentsDirectory}/${segmentFileName(id, 'blob')}`;
    changed(machine, path(1), (bytes) => void (bytes[20] = 0xff));
    changed(machine, path(2), (bytes) => void (bytes[20] = 0xff));
    await machine.disk.rename(path(3), path(9));
    const hint = await machine.disk.createExclusive(`${segmentsDirectory}/${hintFileName(1)}`);
    await hint[Symbol.asyncDispose]();
    const { parts, log } = await start();
    assert.deepEqual([...machine.disk.files().keys()], [`${segmentsDirectory}/0.free`]);
    assert.deepEqual(taken, ['segment-0000000000000001-0', 'segment-0000000000000009-0']);
    assert.equal(log.free.length, 1);
    assert.equal(parts.entries.count + parts.segments.count, 0);
    assert.equal(parts.segments.takeId(), 10);
    assert.deepEqual(log.report.damaged.map(({ segmentId, from }) => `${segmentId}: ${from}`).toSorted(), ['1: 0', '2: 0', '9: 0']);
    assert.ok(machine.log.lines.some((line) => line.includes('0000000000000002.blob is empty, where Kiln has left a segment')));
    assert.deepEqual([log.report.lostCount, log.report.wasClosed], [3, true]);
    assert.ok(log.report.isBlobStreamDamaged);
    const again = await start();
    assert.ok(again.log.report.isClean);
    assert.deepEqual(again.log.free, log.free);
  }));

  it('removes what was left behind, and leaves alone what is not ours', (t) => onDisk(t, async ({ machine, start }) => {
    const { disk } = machine;
    for (const name of ['0000000000000005.hint', '0000000000000005.hint.partial', '7.partial', '8.free', 'notes.txt']) {
      await using file = await disk.createExclusive(`${segmentsDirectory}/${name}`);
      await file.write(Buffer.alloc(100));
    }
    const { log } = await start();
    assert.deepEqual(log.free, [{ number: 8, bytes: 100 }]);
    assert.deepEqual([...disk.files().keys()].toSorted(), [`${segmentsDirectory}/8.free`, `${segmentsDirectory}/notes.txt`]);
    assert.ok(machine.log.lines.some((line) => line.includes('has files that are not Kiln')));
  }));

  it('reads the segment where its hint is wrong, and removes that', (t) => onDisk(t, async ({ machine, start }) => {
    const segment = await segmentOf(machine, 1);
    await appendAll(segment, ['one', 'two'], 100);
    await segment.seal(102, usedAtS);
    await segment.close();
    const hintPath = `${segmentsDirectory}/${hintFileName(1)}`;
    const hint = new HintBuilder({ id: 1, stream: 'blob', nonce: segment.nonce, segmentBytes: segmentBytesLeast });
    for (const bytes of [Buffer.from('nonsense'), hint.take({ endOffset: segmentHeaderBytes + 3 * recordFixedBytes, sealSequence: 102 })]) {
      await using file = await machine.disk.createExclusive(hintPath);
      await file.write(bytes);
      const { log, parts } = await start();
      assert.equal(parts.entries.count, 2);
      assert.equal(log.report.hints, 0);
      assert.equal(log.unhinted.length, 1);
      assert.ok(!machine.disk.files().has(hintPath));
    }
    // One that leaves something out is believed, and tells that there was damage.
    const left = new HintBuilder({ id: 1, stream: 'blob', nonce: segment.nonce, segmentBytes: segmentBytesLeast });
    const second: SaidRecord = { stream: 'blob', kind: 'blob', target: undefined, isGone: false, isCopy: false, number: 1, logicalBytes: 3, sequence: 101, usedAtS };
    const key = new KeyWords();
    keyOf(second, key);
    left.add(key, { ...second, isPointer: false, functionNumber: 1, offset: segmentHeaderBytes + 96, bytes: 96 });
    await using file = await machine.disk.createExclusive(hintPath);
    await file.write(left.take({ endOffset: segment.endOffset, sealSequence: 102 }));
    const { log, parts } = await start();
    assert.equal(parts.entries.count, 1);
    assert.ok(log.report.isBlobStreamDamaged && log.report.isClean);
  }));
});

describe('recoverLog on a segment that somebody cut', () => {
  it('reads it instead of a hint that tells of more than there is', (t) => onDisk(t, async ({ machine, start }) => {
    const segment = await segmentOf(machine, 1);
    const [one] = await appendAll(segment, ['one', 'two'], 100);
    await segment.close();
    assert.ok(one);
    const said: SaidRecord = { stream: 'blob', kind: 'blob', target: undefined, isGone: false, isCopy: false, number: 1, logicalBytes: 3, sequence: 101, usedAtS };
    const [hint, key] = [new HintBuilder({ id: 1, stream: 'blob', nonce: segment.nonce, segmentBytes: segmentBytesLeast }), new KeyWords()];
    keyOf(said, key);
    hint.add(key, { ...said, isPointer: false, functionNumber: 1, offset: one.offset + one.bytes, bytes: one.bytes });
    {
      await using file = await machine.disk.createExclusive(`${segmentsDirectory}/${hintFileName(1)}`);
      await file.write(hint.take({ endOffset: segment.endOffset }));
    }
    machine.disk.tamper(segment.path, (machine.disk.files().get(segment.path) ?? assert.fail()).subarray(0, one.offset + one.bytes));
    const started = await start();
    assert.deepEqual([started.log.report.hints, started.log.report.records, offsets(started)], [0, 1, [one.offset]]);
    assert.ok((await start()).log.report.isClean);
  }));
});

describe('recoverLog on what it may not touch', () => {
  it('refuses a segment or record of a newer Kiln, and changes nothing', (t) => onDisk(t, async ({ machine, start }) => {
    // The first is unsealed: it would be ended.
    const unsealed = await segmentOf(machine, 1);
    await appendAll(unsealed, ['one'], 100);
    await unsealed.close();
    const segment = await segmentOf(machine, 2);
    const places = await appendAll(segment, ['two', 'three'], 200);
    const tombstone = segment.append({ kind: 'tombstone', digestFunction: sha256, hash: sha256.hashHex(Buffer.from('two')), sequence: 202, usedAtS, payload: encodeTombstone({ removed: 'blob', isGone: false }) });
    segment.write();
    await segment.sync();
    await segment.close();
    const before = Buffer.from(machine.disk.files().get(segment.path) ?? assert.fail());
    const headEnd = (offset: number): number => offset + recordFixedBytes + 32;
    const sum = (bytes: Buffer, offset: number): void => void bytes.writeUInt32LE(crc32(bytes.subarray(offset + 4, headEnd(offset)), nonceCrc(segment.nonce)), offset);
    const cases: readonly { readonly change: (bytes: Buffer) => void; readonly says: RegExp }[] = [
      { change: (bytes) => { bytes[8] = 2; bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60); }, says: /0000000000000002\.blob \(version 2 / },
      { change: (bytes) => { bytes[10] = 9; bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60); }, says: /stream 9 / },
      { change: (bytes) => { const at = places[1]?.offset ?? 0; bytes[at + 8] = 2; sum(bytes, at); }, says: /version 2 at / },
      { change: (bytes) => { const at = places[0]?.offset ?? 0; bytes[at + 9] = 77; sum(bytes, at); }, says: /kind 77 at / },
      {
        change: (bytes) => {
          const at = tombstone.offset;
          bytes[at + recordFixedBytes + 32] = 6;
          bytes.writeUInt32LE(crc32(bytes.subarray(at + recordFixedBytes + 32, at + recordFixedBytes + 40)), at + 48);
          sum(bytes, at);
        },
        says: /a tombstone at /,
      },
    ];
    for (const { change, says } of cases) {
      changed(machine, segment.path, change);
      const changesBefore = machine.disk.trace.length;
      await assert.rejects(start(), refused(says));
      assert.deepEqual(machine.disk.trace.slice(changesBefore).filter((line) => !line.startsWith('sync /data')), []);
      assert.equal(machine.disk.trace.slice(changesBefore).filter((line) => line.includes('.blob')).length, 0);
      machine.disk.tamper(segment.path, before);
    }
    const { parts } = await start();
    assert.equal(parts.entries.count, 2);
  }));

  it('refuses two segments of one id', (t) => onDisk(t, async ({ machine, start }) => {
    for (const stream of ['blob', 'value'] as const) {
      const segment = await segmentOf(machine, 1, stream);
      await segment.close();
    }
    await assert.rejects(start(), refused(/0000000000000001\.(blob|value) and segments\/0000000000000001\.(blob|value) have the same id/));
  }));

  it('fails where the disk fails, and says which file', (t) => onDisk(t, async ({ machine, start }) => {
    const segment = await segmentOf(machine, 1);
    await appendAll(segment, ['one'], 100);
    await segment.close();
    for (const failing of ['read', 'sync', 'write'] as const) {
      machine.disk.fault = (operation, path) => (operation === failing && path === segment.path ? 'EIO' : undefined);
      await assert.rejects(start(), (thrown) => thrown instanceof CacheError && thrown.kind === 'unavailable' && /0000000000000001\.blob/.test(thrown.message), failing);
    }
    machine.disk.fault = () => undefined;
    const { parts } = await start();
    assert.equal(parts.entries.count, 1);
    assert.equal(parts.ledger.bytesOf('segments'), segmentBytesLeast);
  }));
});
