// A program for crash points that writes blobs with the log of the engine and gives segments up, and starts from it: what was
// told to be durable is there, what is there is what was appended, up to somewhere and without a gap, and segments that were
// given up come back only from the youngest on.
import assert from 'node:assert/strict';
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import { recoverLog } from '../engine/log-recovery.ts';
import type { RecoveredLog } from '../engine/log-recovery.ts';
import { LogWriter } from '../engine/log-writer.ts';
import type { Appended } from '../engine/append-request.ts';
import { recordBytes } from '../engine/record-codec.ts';
import { SegmentSupply } from '../engine/segment-supply.ts';
import { SequenceNumbers } from '../engine/sequence-numbers.ts';
import type { CrashFacts, CrashProgram } from './crash-points.ts';
import { emptyParts, entriesSeen } from './recovered-parts.ts';
import type { EmptyParts } from './recovered-parts.ts';
import { recoveryPorts, segmentsDirectory } from './recovery-program.ts';
import type { SimulatedMachine } from './simulated-machine.ts';

/** One blob that was appended. */
interface AppendedBlob {
  readonly number: number;
  readonly segment: number;
  readonly offset: number;
}

type WriterEvent =
  | ({ readonly kind: 'appended' } & AppendedBlob)
  | { readonly kind: 'durable' | 'failed'; readonly number: number }
  /** From here on the segment may be gone. */
  | { readonly kind: 'given_up'; readonly segment: number }
  /** A start found these blobs, and they are durable from then on; others are not there. */
  | { readonly kind: 'found'; readonly numbers: ReadonlySet<number> };

interface BlobState extends AppendedBlob {
  outcome: 'durable' | 'failed' | undefined;
}

/** All that was done, so that it can be had again as of any moment. */
export class WriterFacts implements CrashFacts<WriterFacts> {
  readonly #events: WriterEvent[];

  constructor(events: readonly WriterEvent[] = []) {
    this.#events = [...events];
  }

  get mark(): number {
    return this.#events.length;
  }

  afterCrash(mark: number): WriterFacts {
    return new WriterFacts(this.#events.slice(0, mark));
  }

  tell(event: WriterEvent): void {
    this.#events.push(event);
  }

  /** For the next blob. */
  get nextNumber(): number {
    return this.#events.reduce((next, event) => (event.kind === 'appended' ? Math.max(next, event.number + 1) : next), 0);
  }

  /** What may be found, in the order of appending, and segments that may be gone, in the order in which they go. */
  now(): { readonly blobs: readonly BlobState[]; readonly givenUp: readonly number[] } {
    let blobs: BlobState[] = [];
    const givenUp: number[] = [];
    for (const event of this.#events) {
      if (event.kind === 'appended') blobs.push({ number: event.number, segment: event.segment, offset: event.offset, outcome: undefined });
      else if (event.kind === 'given_up') givenUp.push(event.segment);
      else if (event.kind === 'found') {
        blobs = blobs.filter(({ number }) => event.numbers.has(number));
        for (const blob of blobs) blob.outcome = 'durable';
      } else for (const blob of blobs) if (blob.number === event.number) blob.outcome = event.kind;
    }
    return { blobs, givenUp };
  }
}

/** Ports that break a promise, to see it caught. */
export interface SpoiltWriterPorts {
  readonly files?: LogFileSystem;
  readonly smallSyncs?: SyncPort;
}

export interface WriterProgramOptions {
  readonly spoilt?: (machine: SimulatedMachine) => SpoiltWriterPorts;
  /** Of what the log does to the disk while it works, so much fails. */
  readonly shareOfFaults?: number;
}

const root = '/data';
const steps = 30;
/** As short as a small store has them, so that it takes few records to fill one. */
const segmentBytes = 65_536;
/** 6 fill a segment. */
const largeBytes = 9_000;
const segmentsMax = 3;
/** Where a blob's number stands in its hash. */
const hashBytes = 32;

export function logWriterProgram({ spoilt = () => ({}), shareOfFaults = 0 }: WriterProgramOptions = {}): CrashProgram<WriterFacts> {
  return {
    facts: () => new WriterFacts(),
    async live(machine, facts, work) {
      const { disk, clock } = machine;
      await disk.makeDirectory(root);
      await disk.syncDirectory('/');
      const parts = emptyParts(Math.floor(clock.nowMs() / 1000));
      const recovered = await recoverLog(parts, recoveryPorts(machine), { directory: segmentsDirectory, nowS: Math.floor(clock.nowMs() / 1000) });
      check(parts, recovered, facts);
      if (!work) return;
      const writing = await Writing.begin(machine, { parts, recovered, facts, spoilt: spoilt(machine) });
      if (shareOfFaults > 0) disk.fault = (operation) => (operation !== 'sync' && operation !== 'write' ? undefined : machine.random.fraction() < shareOfFaults ? 'EIO' : undefined);
      await writing.run();
      disk.fault = () => undefined;
      if (machine.random.fraction() < 0.5) await writing.close();
    },
  };
}

function check(parts: EmptyParts, { report, nextSequence }: RecoveredLog, facts: WriterFacts): void {
  assert.deepEqual(report.damaged, []);
  const { blobs, givenUp } = facts.now();
  const found = new Map(Array.from(entriesSeen(parts), ([name, seen]) => [numberOf(name), seen]));
  const isThere = ({ number }: BlobState): boolean => found.has(number);
  for (const blob of blobs) {
    const seen = found.get(blob.number);
    if (seen !== undefined) assert.deepEqual([seen.segment, seen.offset], [blob.segment, blob.offset], `blob ${blob.number} stands elsewhere`);
    else if (!givenUp.includes(blob.segment)) assert.notEqual(blob.outcome, 'durable', `blob ${blob.number} was durable, and is gone`);
  }
  const appended = new Set(blobs.map(({ number }) => number));
  assert.deepEqual([...found.keys()].filter((number) => !appended.has(number)), [], 'blobs that nobody appended');
  for (const blob of blobs.slice(0, Math.max(0, blobs.findLastIndex(isThere)))) {
    assert.ok(isThere(blob) || blob.outcome === 'failed' || givenUp.includes(blob.segment), `blob ${blob.number} is not there, and a later one is`);
  }
  // Each was durably gone before the next one went.
  const durable = givenUp.map((segment) => blobs.filter((blob) => blob.segment === segment && blob.outcome === 'durable'));
  const firstThere = durable.findIndex((ofSegment) => ofSegment.some(isThere));
  for (const blob of firstThere === -1 ? [] : durable.slice(firstThere).flat()) {
    assert.ok(isThere(blob), `blob ${blob.number} is gone, and one of a segment that was given up before is not`);
  }
  assert.ok(nextSequence > found.size, 'numbers are never given again');
  facts.tell({ kind: 'found', numbers: new Set(found.keys()) });
}

/** A record's number, from the name of its entry. */
function numberOf(name: string): number {
  return Number.parseInt(name.slice(name.indexOf('-') + 1).slice(0, 8), 16);
}

function hashOf(number: number): Uint8Array {
  const hash = Buffer.alloc(hashBytes);
  hash.writeUInt32BE(number, 0);
  return hash;
}

interface Started {
  readonly parts: EmptyParts;
  readonly recovered: RecoveredLog;
  readonly facts: WriterFacts;
  readonly spoilt: SpoiltWriterPorts;
}

class Writing {
  readonly #machine: SimulatedMachine;
  readonly #started: Started;
  readonly #supply: SegmentSupply;
  readonly #writer: LogWriter;
  readonly #running = new Set<Promise<unknown>>();
  #number: number;

  private constructor(machine: SimulatedMachine, started: Started, supply: SegmentSupply, sequences: SequenceNumbers) {
    this.#machine = machine;
    this.#started = started;
    this.#supply = supply;
    this.#number = started.facts.nextNumber;
    const { clock, turns, log, smallSyncs } = machine;
    const ports = { smallSyncs: started.spoilt.smallSyncs ?? smallSyncs, timers: clock, nextTurn: turns.nextTurn, log };
    this.#writer = new LogWriter({ table: started.parts.segments, supply, sequences }, ports, { stream: 'blob', durability: 'durable' });
  }

  static async begin(machine: SimulatedMachine, started: Started): Promise<Writing> {
    const { disk, clock, random, largeSyncs, log, smallSyncs } = machine;
    const { segments, ledger } = started.parts;
    const sequences = new SequenceNumbers(started.recovered.nextSequence);
    const parts = {
      table: segments,
      ledger,
      sequences,
      largeSyncs: { syncAhead: async ({ fd }: { readonly fd: number }) => void (await largeSyncs.sync(fd, 'data')) },
      trash: {
        take: async ({ path, allocatedBytes }: { readonly path: string; readonly allocatedBytes: number }) => {
          const wasThere = await disk.remove(path);
          ledger.remove('trash', allocatedBytes);
          return { wasThere, unsynced: undefined };
        },
      },
      room: {
        freeSegment: async () => {
          if (supply.freeCount > 0) return 'free' as const;
          const room = ledger.tryReserve(segmentBytes);
          assert.ok(room);
          return room;
        },
        trim: () => {},
      },
    };
    const { files = disk, smallSyncs: syncs = smallSyncs } = started.spoilt;
    const supply = await SegmentSupply.open({ directory: segmentsDirectory, segmentBytes }, parts, { files, smallSyncs: syncs, random, wallClock: clock, monotonicClock: clock, log });
    for (const { number, bytes } of started.recovered.free) supply.adopt(number, bytes);
    return new Writing(machine, started, supply, sequences);
  }

  async run(): Promise<void> {
    const { random, turns, clock } = this.#machine;
    for (let step = 0; step < steps; step += 1) {
      const choice = random.integer(0, 9);
      if (choice < 6) for (let count = random.integer(1, 3); count > 0; count -= 1) this.#run(this.#put());
      else if (choice < 8) await Promise.allSettled(this.#running);
      else if (choice < 9) this.#run(this.#writer.seal());
      else await this.#giveUp();
      await turns.nextTurn();
      clock.advance(500);
    }
    await Promise.allSettled(this.#running);
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#supply.close();
  }

  /** The disk may fail. */
  #run(work: Promise<unknown>): void {
    const done = work.catch(() => undefined).finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  async #put(): Promise<void> {
    const { random, clock } = this.#machine;
    const { facts, parts } = this.#started;
    const payload = Buffer.alloc(random.integer(0, 2) > 0 ? largeBytes : random.integer(0, 1_500), 0x61);
    using claim = await this.#writer.claim(recordBytes(hashBytes, 0, payload.byteLength), random.integer(0, 3) === 0 ? 'internal' : 'external');
    const number = this.#number;
    this.#number += 1;
    const request = { kind: 'blob', functionNumber: 1, hash: hashOf(number), instance: '', logicalBytes: payload.byteLength, usedAtS: Math.floor(clock.nowMs() / 1000), payload } as const;
    const place: Appended = this.#writer.append(claim, request, ({ kind }) => facts.tell({ kind, number }));
    const row = parts.segments.at(place.segment);
    if (row.state === 'open') facts.tell({ kind: 'appended', number, segment: row.id, offset: place.offset });
  }

  /** The oldest, if there are enough: everything in it is forgotten. */
  async #giveUp(): Promise<void> {
    const { parts, facts } = this.#started;
    const row = parts.segments.oldest('blob');
    if (row === undefined || parts.segments.countOf('blob') < segmentsMax || row.state === 'open') return;
    facts.tell({ kind: 'given_up', segment: row.id });
    while (row.liveCount > 0) parts.segments.takeLive(row.ordinal, row.liveCount === 1 ? row.liveBytes : 0);
    await this.#supply.giveBack(row).catch(() => undefined);
  }
}
