// A program for crash points that does nothing but write a log and start from it: whatever a cut leaves, the start finds all
// that was synced, a beginning of each segment, what the rules say of that, and the next start finds the same and does nothing.
import assert from 'node:assert/strict';
import { encodeTouches } from '../engine/record-payloads.ts';
import { DirectorySyncs } from '../engine/directory-syncs.ts';
import { DurableDirectories } from '../engine/durable-directories.ts';
import { HintWriter } from '../engine/hint-writer.ts';
import { KeyWords } from '../engine/key-words.ts';
import { recoverLog } from '../engine/log-recovery.ts';
import type { RecoveredLog, RecoveryPorts } from '../engine/log-recovery.ts';
import type { StreamName } from '../engine/segment-format.ts';
import type { DamageKeeping } from '../engine/segment-mending.ts';
import type { CrashFacts, CrashProgram } from './crash-points.ts';
import { HandWrittenSegment } from './hand-written-log.ts';
import { ChanceHistory, keyOf, nameOf, whatCounts, writtenOf } from './log-history.ts';
import type { PlacedRecord } from './log-history.ts';
import { disagreements, emptyParts, entriesSeen } from './recovered-parts.ts';
import type { EmptyParts } from './recovered-parts.ts';
import type { SimulatedMachine } from './simulated-machine.ts';

/** A touch that stands in a segment of its stream. */
interface PlacedTouch {
  readonly name: string;
  readonly usedAtS: number;
}

interface WrittenSegment {
  readonly stream: StreamName;
  /** In the order of the segment; of touch segments one per record. */
  readonly records: readonly (PlacedRecord | PlacedTouch)[];
  /** So many are known to be durable. */
  readonly durable: number;
}

type LogEvent =
  | { readonly kind: 'begun'; readonly id: number; readonly stream: StreamName }
  | { readonly kind: 'appended'; readonly id: number; readonly record: PlacedRecord | PlacedTouch }
  | { readonly kind: 'synced'; readonly id: number; readonly count: number }
  /** A start found so many, which are durable from then on. */
  | { readonly kind: 'found'; readonly id: number; readonly count: number };

/** All that was done to the log, so that it can be had again as of any moment. */
export class LogFacts implements CrashFacts<LogFacts> {
  readonly #events: LogEvent[];

  constructor(events: readonly LogEvent[] = []) {
    this.#events = [...events];
  }

  get mark(): number {
    return this.#events.length;
  }

  afterCrash(mark: number): LogFacts {
    return new LogFacts(this.#events.slice(0, mark));
  }

  tell(event: LogEvent): void {
    this.#events.push(event);
  }

  segments(): ReadonlyMap<number, WrittenSegment> {
    const segments = new Map<number, { stream: StreamName; records: (PlacedRecord | PlacedTouch)[]; durable: number }>();
    for (const event of this.#events) {
      if (event.kind === 'begun') segments.set(event.id, { stream: event.stream, records: [], durable: 0 });
      const segment = segments.get(event.id);
      assert.ok(segment);
      if (event.kind === 'appended') segment.records.push(event.record);
      if (event.kind === 'synced') segment.durable = event.count;
      if (event.kind !== 'found') continue;
      segment.records.length = event.count;
      segment.durable = event.count;
    }
    return segments;
  }
}

const root = '/data';
export const segmentsDirectory = `${root}/segments`;
const batches = 14;

/** `damage`: by default there must be none. */
export function recoveryPorts(machine: SimulatedMachine, damage: DamageKeeping = { keep: () => assert.fail('nothing is damaged'), take: () => assert.fail('nothing is damaged') }): RecoveryPorts {
  const { disk, smallSyncs, log } = machine;
  return {
    files: disk,
    syncs: smallSyncs,
    directories: new DurableDirectories(new DirectorySyncs(disk, smallSyncs), root),
    damage,
    log,
  };
}

export interface RecoveryProgramOptions {
  /** Ports that break a promise, to see it caught. */
  readonly spoil?: (ports: RecoveryPorts, machine: SimulatedMachine) => RecoveryPorts;
  /** Of the log that is written. */
  readonly shareOfFailedSyncs?: number;
}

export function recoveryProgram({ spoil = (ports) => ports, shareOfFailedSyncs = 0.2 }: RecoveryProgramOptions = {}): CrashProgram<LogFacts> {
  return {
    facts: () => new LogFacts(),
    live: async (machine, facts, work) => {
      const ports = spoil(recoveryPorts(machine), machine);
      await machine.disk.makeDirectory(root);
      await machine.disk.syncDirectory('/');
      const recovered = await start(machine, ports);
      check(recovered, facts);
      if (machine.random.fraction() < 0.3 || work) await checkAgain(machine, ports, recovered);
      if (work) await new Writing(machine, facts, { started: recovered, shareOfFailedSyncs }).run();
    },
  };
}

interface Started {
  readonly parts: EmptyParts;
  readonly log: RecoveredLog;
  readonly nowS: number;
}

async function start(machine: SimulatedMachine, ports: RecoveryPorts): Promise<Started> {
  const nowS = Math.floor(machine.clock.nowMs() / 1000);
  const parts = emptyParts(nowS);
  return { parts, log: await recoverLog(parts, ports, { directory: segmentsDirectory, nowS }), nowS };
}

/** What was found is what was written, up to somewhere behind what is durable; from then on it is. */
function check({ parts, log, nowS }: Started, facts: LogFacts): void {
  assert.deepEqual(log.report.damaged, []);
  assert.equal(log.report.isBlobStreamDamaged, false);
  assert.deepEqual(disagreements(parts), []);
  const written = facts.segments();
  const kept: PlacedRecord[] = [];
  const touches = new Map<string, number>();
  for (const stream of ['blob', 'value', 'touch'] as const) {
    for (const { id, records, sealSequence } of parts.segments.of(stream)) {
      const segment = written.get(id);
      assert.ok(segment !== undefined && segment.stream === stream, `segment ${id} was never begun`);
      assert.ok(records >= segment.durable && records <= segment.records.length, `${records} records of segment ${id}, ${segment.durable} were durable and ${segment.records.length} written`);
      assert.ok(sealSequence !== undefined && sealSequence < log.nextSequence);
      for (const record of segment.records.slice(0, records)) {
        if (!('name' in record)) kept.push(record);
        else if (record.usedAtS <= nowS) touches.set(record.name, Math.max(record.usedAtS, touches.get(record.name) ?? 0));
      }
    }
  }
  const found = new Map([...parts.segments.of('blob'), ...parts.segments.of('value'), ...parts.segments.of('touch')].map(({ id, records }) => [id, records]));
  for (const [id, { durable }] of written) {
    assert.ok(durable === 0 || found.has(id), `segment ${id} is gone`);
    facts.tell({ kind: 'found', id, count: found.get(id) ?? 0 });
  }
  const { entries, orphans } = whatCounts(kept);
  const expected = [...entries].map(([name, { segment, offset, kind, usedAtS }]) => [name, segment, offset, kind === 'commit', Math.ceil(Math.max(Math.min(usedAtS, nowS), touches.get(name) ?? 0) / 16) * 16]);
  const seen = [...entriesSeen(parts)].map(([name, { segment, offset, isFile, usedAtS }]) => [name, segment, offset, isFile, usedAtS]);
  assert.deepEqual(seen.toSorted(byName), expected.toSorted(byName));
  assert.deepEqual(log.orphans.map(({ reason, hash, sequence }) => [reason, hash, sequence]), orphans.map((record) => [record.kind === 'intent' ? 'intent' : 'tombstone', writtenOf(record).hash, record.sequence]));
  for (const { sequence } of kept) assert.ok(sequence < log.nextSequence, 'a number is given out again');
  assert.equal(log.report.records, kept.length);
}

function byName([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}

/** A second start changes nothing and finds the same, with hints or without. */
async function checkAgain(machine: SimulatedMachine, ports: RecoveryPorts, first: Started): Promise<void> {
  const before = machine.disk.trace.length;
  const again = await start(machine, ports);
  assert.ok(again.log.report.isClean);
  assert.deepEqual(machine.disk.trace.slice(before).filter((line) => !line.startsWith('sync ')), []);
  const hints = new HintWriter({ files: machine.disk, scans: machine.scans, clock: machine.clock, timers: machine.clock, log: machine.log }, again.parts.ledger, segmentsDirectory);
  hints.begin(again.log);
  await hints.finish();
  const hinted = await start(machine, ports);
  assert.ok(hinted.log.report.isClean);
  assert.equal(hinted.log.report.hints, again.log.hints.length + again.log.unhinted.length);
  for (const { parts, log } of [again, hinted]) {
    assert.deepEqual(new Map([...entriesSeen(parts)].toSorted(byName)), new Map([...entriesSeen(first.parts)].toSorted(byName)));
    assert.equal(log.nextSequence, first.log.nextSequence);
    assert.deepEqual(log.orphans.map(({ hash, reason }) => [hash, reason]), first.log.orphans.map(({ hash, reason }) => [hash, reason]));
  }
  if (machine.random.fraction() < 0.5) return;
  for (const { row } of hinted.log.hints) await machine.disk.discard(`${segmentsDirectory}/${row.id.toString(16).padStart(16, '0')}.hint`);
}

/** Writes in the order that the log of Kiln writes in. */
class Writing {
  readonly #machine: SimulatedMachine;
  readonly #facts: LogFacts;
  readonly #started: Started;
  readonly #shareOfFailedSyncs: number;
  readonly #history: ChanceHistory;
  readonly #open = new Map<StreamName, HandWrittenSegment>();

  constructor(machine: SimulatedMachine, facts: LogFacts, { started, shareOfFailedSyncs }: { readonly started: Started; readonly shareOfFailedSyncs: number }) {
    this.#machine = machine;
    this.#facts = facts;
    this.#started = started;
    this.#shareOfFailedSyncs = shareOfFailedSyncs;
    this.#history = new ChanceHistory(machine.random, { firstSequence: started.log.nextSequence, nowS: started.nowS });
  }

  async run(): Promise<void> {
    const { random } = this.#machine;
    for (let batch = 0; batch < batches; batch += 1) {
      const stream = random.pick(['blob', 'blob', 'value', 'value', 'touch'] as const);
      const segment = this.#open.get(stream) ?? (await this.#begin(stream));
      this.#append(segment);
      segment.write();
      if (random.fraction() < 0.6) await this.#sync(segment);
      if (this.#open.has(stream) && (segment.roomBytes < 4_000 || random.fraction() < 0.15)) await this.#seal(segment);
    }
    for (const segment of this.#open.values()) await segment.close();
  }

  async #begin(stream: StreamName): Promise<HandWrittenSegment> {
    const id = this.#started.parts.segments.takeId();
    const firstSequence = this.#history.takeSequence();
    // Known from the moment at which it may be found.
    this.#facts.tell({ kind: 'begun', id, stream });
    const segment = await HandWrittenSegment.begin(this.#machine, segmentsDirectory, { id, stream, firstSequence });
    this.#open.set(stream, segment);
    return segment;
  }

  #append(segment: HandWrittenSegment): void {
    const { random } = this.#machine;
    const { id, stream } = segment;
    for (let count = random.integer(1, 4); count > 0; count -= 1) {
      if (stream === 'touch') {
        this.#appendTouch(segment);
        continue;
      }
      const said = this.#history.next(stream);
      this.#facts.tell({ kind: 'appended', id, record: { ...said, segment: id, ...segment.append(writtenOf(said)) } });
    }
  }

  #appendTouch(segment: HandWrittenSegment): void {
    const { random } = this.#machine;
    const said = this.#history.next(random.pick(['blob', 'value'])); // never written: only its key is of use
    const key = new KeyWords();
    keyOf(said, key);
    const [low = 0, high = 0] = key.words;
    const usedAtS = this.#started.nowS - random.integer(-100, 3_000);
    segment.append({ kind: 'touches', sequence: this.#history.takeSequence(), usedAtS, logicalBytes: 1, payload: encodeTouches([{ low, high, usedAtS }]) });
    this.#facts.tell({ kind: 'appended', id: segment.id, record: { name: nameOf(said), usedAtS } });
  }

  /** A sync that fails ends the segment: what was not durable may be found or not. */
  async #sync(segment: HandWrittenSegment): Promise<boolean> {
    const { disk, random } = this.#machine;
    const count = segment.records;
    const fails = random.fraction() < this.#shareOfFailedSyncs;
    disk.fault = (operation, path) => (fails && operation === 'sync' && path.startsWith(`${segmentsDirectory}/`) ? 'EIO' : undefined);
    try {
      await segment.sync();
      this.#facts.tell({ kind: 'synced', id: segment.id, count });
      return true;
    } catch {
      this.#open.delete(segment.stream);
      await segment.close();
      return false;
    } finally {
      disk.fault = () => undefined;
    }
  }

  async #seal(segment: HandWrittenSegment): Promise<void> {
    if (!(await this.#sync(segment))) return;
    this.#open.delete(segment.stream);
    await segment.seal(this.#history.takeSequence(), this.#started.nowS);
    await segment.close();
  }
}
