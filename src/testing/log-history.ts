// What a log can say, by chance, and what follows from it: the rules of docs/formats/segments.md ("What counts") applied to
// all records at once, as they are written there, for who applies them one by one.
import type { WrittenRecord } from './hand-written-log.ts';
import { sha256, sha512 } from '../digest/digest-function.ts';
import { KeyWords } from '../engine/key-words.ts';
import { recordBytes } from '../engine/record-codec.ts';
import { encodeTombstone } from '../engine/record-payloads.ts';
import type { RemovedKind } from '../engine/record-payloads.ts';
import type { SeededRandom } from './seeded-random.ts';

/** A record of a history; of touches see log-recovery.test.ts. */
export interface SaidRecord {
  readonly stream: 'blob' | 'value';
  readonly kind: 'blob' | 'intent' | 'commit' | 'opaque' | 'actionResult' | 'tombstone';
  readonly target: RemovedKind | undefined;
  readonly isGone: boolean;
  readonly isCopy: boolean;
  /** Which blob, file or value. */
  readonly number: number;
  readonly logicalBytes: number;
  readonly sequence: number;
  readonly usedAtS: number;
}

/** Where it stands in a log. */
export type PlacedRecord = SaidRecord & { readonly segment: number; readonly offset: number; readonly bytes: number };

/** Few, so that histories are about something. */
const numbersMax = 5;
const fileBytesMax = 2 ** 41;

/** Says one thing after the other. Whether it makes sense after what was said before does not matter to the rules. */
export class ChanceHistory {
  readonly #random: SeededRandom;
  readonly #nowS: number;
  #sequence: number;
  /** What ends and copies are of. */
  readonly #said: SaidRecord[] = [];

  constructor(random: SeededRandom, options: { readonly firstSequence: number; readonly nowS: number }) {
    this.#random = random;
    this.#nowS = options.nowS;
    this.#sequence = options.firstSequence;
  }

  takeSequence(): number {
    this.#sequence += 1;
    return this.#sequence - 1;
  }

  next(stream: 'blob' | 'value'): SaidRecord {
    const said = stream === 'blob' ? this.#nextBlob() : this.#nextValue();
    this.#said.push(said);
    return said;
  }

  #nextBlob(): SaidRecord {
    const random = this.#random;
    const number = random.integer(1, numbersMax);
    const intent = this.#said.findLast(({ kind }) => kind === 'intent' && random.fraction() < 0.5);
    switch (random.pick(['blob', 'blob', 'intent', 'intent', 'commit', 'commit', 'end', 'tombstone', 'tombstone', 'gone'] as const)) {
      case 'blob': return this.#record('blob', 'blob', { number, logicalBytes: random.integer(0, 300) });
      case 'intent': return this.#record('blob', 'intent', { number, logicalBytes: random.integer(0, fileBytesMax) });
      case 'commit':
        // Files taken over have none of an intent.
        if (intent === undefined || random.fraction() < 0.2) return this.#record('blob', 'commit', { number, logicalBytes: random.integer(0, fileBytesMax), sequence: 0 });
        return this.#record('blob', 'commit', intent);
      case 'end': return intent === undefined ? this.#record('blob', 'intent', { number }) : this.#record('blob', 'tombstone', { number: intent.number, sequence: intent.sequence, target: 'intent' });
      case 'tombstone': return this.#record('blob', 'tombstone', { number, target: random.pick(['blob', 'commit']) });
      case 'gone': return this.#record('blob', 'tombstone', { number, target: 'commit', isGone: true });
      default: throw new Error('every case is there');
    }
  }

  #nextValue(): SaidRecord {
    const random = this.#random;
    const number = random.integer(1, numbersMax);
    const kind = number % 2 === 0 ? 'opaque' : 'actionResult';
    const before = this.#said.findLast((said) => said.stream === 'value' && said.kind !== 'tombstone' && random.fraction() < 0.3);
    switch (random.pick(['put', 'put', 'put', 'copy', 'copy', 'tombstone'] as const)) {
      case 'put': return this.#record('value', kind, { number, logicalBytes: random.integer(0, 300) });
      case 'copy': return before === undefined ? this.#record('value', kind, { number }) : { ...before, isCopy: true };
      case 'tombstone': return this.#record('value', 'tombstone', { number, target: kind });
      default: throw new Error('every case is there');
    }
  }

  #record(stream: SaidRecord['stream'], kind: SaidRecord['kind'], what: Partial<SaidRecord> & { readonly number: number }): SaidRecord {
    const { number, target, isGone = false, logicalBytes = 0 } = what;
    // Clocks are wrong at times.
    const usedAtS = this.#nowS - this.#random.integer(-50, 5_000);
    return { stream, kind, target, isGone, isCopy: false, number, logicalBytes, sequence: what.sequence ?? this.takeSequence(), usedAtS };
  }
}

/** The record as it is written. */
export function writtenOf({ kind, target, isGone, isCopy, number, logicalBytes, sequence, usedAtS, stream }: SaidRecord): WrittenRecord {
  const digestFunction = number === numbersMax ? sha512 : sha256;
  const isContent = kind === 'blob' || kind === 'opaque' || kind === 'actionResult';
  const payload = target !== undefined ? encodeTombstone({ removed: target, isGone }) : Buffer.alloc(isContent ? logicalBytes : 0, number);
  return { kind, digestFunction, hash: digestFunction.hashHex(Buffer.from(`content ${number}`)), instance: stream === 'value' ? 'ci' : '', logicalBytes, sequence, usedAtS, payload, isCopy };
}

/** Of the whole record. */
export function bytesOf(said: SaidRecord): number {
  const { hash = '', instance = '', payload } = writtenOf(said);
  return recordBytes(hash.length / 2, instance.length, payload?.byteLength ?? 0);
}

/** The key that it is about. */
export function keyOf(said: SaidRecord, into: KeyWords): void {
  const { digestFunction, hash = '', instance = '' } = writtenOf(said);
  into.setRecord({ kind: said.kind, functionNumber: digestFunction?.wireValue ?? 0, instance, hash: Buffer.from(hash, 'hex') }, said.target);
}

/** Of everything that is about the same. */
export function nameOf(said: SaidRecord): string {
  const key = new KeyWords();
  keyOf(said, key);
  return `${key.tag}-${key.hex()}`;
}

export interface WhatCounts {
  /** By key; both streams. */
  readonly entries: ReadonlyMap<string, PlacedRecord>;
  /** Records by which a file is to be deleted, the last one of each key, in order. */
  readonly orphans: readonly PlacedRecord[];
}

/** @param records in the order of the log. */
export function whatCounts(records: readonly PlacedRecord[]): WhatCounts {
  const entries = new Map<string, PlacedRecord>();
  const orphans: PlacedRecord[] = [];
  for (const [name, ofKey] of Map.groupBy(records, nameOf)) {
    const counts = ofKey[0]?.stream === 'value' ? countingValue(ofKey) : countingBlob(ofKey);
    if (counts !== undefined) entries.set(name, counts);
    const orphan = counts?.kind === 'commit' ? undefined : ofKey.findLast((record) => isUnended(record, records));
    if (orphan !== undefined) orphans.push(orphan);
  }
  return { entries, orphans: orphans.toSorted((a, b) => a.segment - b.segment || a.offset - b.offset) };
}

function countingBlob(ofKey: readonly PlacedRecord[]): PlacedRecord | undefined {
  const last = ofKey.findLast(({ kind }) => kind === 'blob' || kind === 'commit');
  if (last === undefined) return undefined;
  const behind = ofKey.slice(ofKey.indexOf(last) + 1);
  return behind.some(({ target }) => target === last.kind) ? undefined : last;
}

function countingValue(ofKey: readonly PlacedRecord[]): PlacedRecord | undefined {
  const highest = Math.max(...ofKey.map(({ sequence }) => sequence));
  const last = ofKey.findLast(({ sequence }) => sequence === highest);
  return last?.kind === 'tombstone' ? undefined : last;
}

/** A file may be under the name because of it. */
function isUnended(record: PlacedRecord, records: readonly PlacedRecord[]): boolean {
  const behind = records.slice(records.indexOf(record) + 1);
  if (record.kind === 'intent') return !behind.some(({ kind, target, sequence }) => (kind === 'commit' || target === 'intent') && sequence === record.sequence);
  if (record.target !== 'commit' || record.isGone) return false;
  const name = nameOf(record);
  return !behind.some((other) => (other.kind === 'commit' || other.isGone) && nameOf(other) === name);
}
