// Kiln’s own scheme on a disk that is only counted: the rules are those of the engine (which step of eviction comes next, what becomes of a
// record, the order of files, which uses are leased, how exactly they are known), and so is what segments, records and files take beside their content.
import { assertNever } from '../../src/base/assert.ts';
import { renewAfterS } from '../../src/engine/entry-uses.ts';
import { nextEviction } from '../../src/engine/eviction-policy.ts';
import type { EvictionState, StreamState } from '../../src/engine/eviction-policy.ts';
import { recordBytes } from '../../src/engine/record-codec.ts';
import { CopyAllowance, recycleStep } from '../../src/engine/recycle-step.ts';
import { segmentBytesLeast, segmentBytesMost, segmentHeaderBytes } from '../../src/engine/segment-format.ts';
import { SieveOrder } from '../../src/engine/sieve-order.ts';
import { SegmentUses } from '../../src/engine/segment-uses.ts';
import { UseAges } from '../../src/engine/use-ages.ts';
import type { EvictionPolicy, PolicyOptions } from './policy.ts';
import { beginS as traceBeginS } from './traces.ts';

export interface SchemeOptions {
  /** 0: nothing is leased. */
  readonly leaseS: number;
  /** False: what was used goes with the rest of its segment. */
  readonly hasSecondRound: boolean;
}

interface Segment {
  readonly begunS: number;
  /** In the order written; those that are elsewhere by now included. */
  readonly objects: number[];
  endOffset: number;
  liveBytes: number;
}

const smallBytesMax = 65_536;
const blockBytes = 4_096;
const hashBytes = 32;
const leasedShare = 0.5;
/** Segments in a store, at least: one is the smallest power of two for which there are so many. */
const segmentsLeast = 128;
/** Where an object is that is a file; below that the numbers of segments. */
const asFile = -2;
const absent = -1;
const noStream: StreamState = { bytes: 0, liveBytes: 0, sealedCount: 0, oldest: undefined };

export class SegmentedScheme implements EvictionPolicy {
  readonly #options: PolicyOptions;
  readonly #scheme: SchemeOptions;
  readonly #segmentBytes: number;
  /** Number of the segment, or `asFile`, or `absent`. */
  readonly #placeOf: Int32Array;
  readonly #wasUsed: Uint8Array;
  /** Used since it was put, so that its time of use is written down again only now and then. */
  readonly #wasTouched: Uint8Array;
  readonly #renewAfterS: number;
  readonly #usedAtS: Float64Array;
  readonly #ages: UseAges;
  readonly #uses = new SegmentUses(traceBeginS);
  readonly #allowance = new CopyAllowance();
  readonly #files = new SieveOrder();
  /** By number; undefined: given up. */
  readonly #segments: (Segment | undefined)[] = [];
  #oldest = 0;
  #fileBytes = 0;
  #liveBytes = 0;
  #movedBytes = 0;
  /** What SIEVE chose and what did not go yet. */
  #victim: number | undefined;

  constructor(options: PolicyOptions, scheme: SchemeOptions) {
    const { sizes, capacityBytes } = options;
    this.#options = options;
    this.#scheme = scheme;
    this.#segmentBytes = Math.max(segmentBytesLeast, Math.min(segmentBytesMost, 2 ** Math.floor(Math.log2(capacityBytes / segmentsLeast))));
    this.#placeOf = new Int32Array(sizes.length).fill(absent);
    this.#wasUsed = new Uint8Array(sizes.length);
    this.#wasTouched = new Uint8Array(sizes.length);
    this.#renewAfterS = renewAfterS(scheme.leaseS, 0);
    this.#usedAtS = new Float64Array(sizes.length);
    this.#ages = new UseAges(scheme.leaseS);
  }

  /** Whole segments, one more that is kept free, and files. */
  get usedBytes(): number {
    return (this.#count + 1) * this.#segmentBytes + this.#fileBytes;
  }

  get movedBytes(): number {
    return this.#movedBytes;
  }

  request(object: number, timeS: number): boolean {
    const nowS = Math.floor(timeS);
    if (this.#placeOf[object] !== absent) {
      this.#use(object, nowS);
      return true;
    }
    const bytes = this.#bytesOf(object);
    if (bytes > this.#options.capacityBytes / 2) return false;
    this.#usedAtS[object] = nowS;
    if (this.#isFile(object)) {
      this.#makeRoom(bytes, nowS);
      this.#placeOf[object] = asFile;
      this.#fileBytes += bytes;
      this.#files.append(object, 0);
    } else this.#append(object, nowS, () => this.#makeRoom(this.#segmentBytes, nowS));
    this.#wasUsed[object] = 0;
    this.#wasTouched[object] = 0;
    this.#ages.add(bytes, nowS);
    return false;
  }

  #use(object: number, nowS: number): void {
    const [bytes, place, beforeS] = [this.#bytesOf(object), this.#placeOf[object] ?? absent, this.#usedAtS[object] ?? 0];
    this.#wasUsed[object] = 1;
    if (nowS - beforeS < this.#renewAfterS && this.#wasTouched[object] === 1) return;
    this.#wasTouched[object] = 1;
    this.#ages.move(bytes, beforeS, nowS);
    this.#usedAtS[object] = nowS;
    if (place === asFile) return;
    this.#uses.take(place, bytes, beforeS);
    this.#uses.add(place, bytes, nowS);
  }

  get #count(): number {
    return this.#segments.length - this.#oldest;
  }

  #isFile(object: number): boolean {
    return (this.#options.sizes[object] ?? 0) > smallBytesMax;
  }

  #bytesOf(object: number): number {
    const size = Math.ceil(this.#options.sizes[object] ?? 0);
    return this.#isFile(object) ? Math.ceil(size / blockBytes) * blockBytes : recordBytes(hashBytes, 0, size);
  }

  /** At the end of the newest segment, or of a new one, for which `makeRoom` sees to it that there is room. */
  #append(object: number, nowS: number, makeRoom: () => void): void {
    const bytes = this.#bytesOf(object);
    const newest = this.#segments.at(-1);
    if (newest === undefined || newest.endOffset + bytes > this.#segmentBytes) {
      makeRoom();
      // Giving up segments may have begun a new one for its copies.
      const begun = this.#segments.at(-1);
      if (begun === newest || begun === undefined || begun.endOffset + bytes > this.#segmentBytes) this.#segments.push({ begunS: nowS, objects: [], endOffset: segmentHeaderBytes, liveBytes: 0 });
    }
    const segment = this.#segments.at(-1);
    if (segment === undefined) throw new Error('a segment was begun');
    segment.objects.push(object);
    segment.endOffset += bytes;
    segment.liveBytes += bytes;
    this.#liveBytes += bytes;
    this.#placeOf[object] = this.#segments.length - 1;
    this.#uses.add(this.#segments.length - 1, bytes, this.#usedAtS[object] ?? 0);
  }

  #makeRoom(bytes: number, nowS: number): void {
    let leasedBytesMax = leasedShare * this.#options.capacityBytes;
    for (let fruitless = 0; this.usedBytes + bytes > this.#options.capacityBytes; ) {
      const leaseFloorS = leasedBytesMax < 1 ? Infinity : this.#ages.leaseFloorS(nowS, leasedBytesMax);
      const before = this.usedBytes;
      const step = nextEviction(this.#state(bytes, leaseFloorS, fruitless > this.#count));
      switch (step.kind) {
        case 'recycle':
        case 'recycle_dead':
          this.#giveUpOldest(nowS, leaseFloorS);
          break;
        case 'evict_file':
          this.#evictFile();
          break;
        case 'all_leased':
          leasedBytesMax = leasedBytesMax < 1 ? 0 : leasedBytesMax / 2;
          fruitless = 0;
          break;
        case 'enough':
        case 'drop_free':
        case 'wait_for_trash':
        case 'give_up_upload':
          throw new Error(`nothing is free here, and nothing is deleted later: ${step.kind}`);
        default:
          assertNever(step);
      }
      fruitless = this.usedBytes < before ? 0 : fruitless + 1;
    }
  }

  #state(wantedBytes: number, leaseFloorS: number, isFruitless: boolean): EvictionState {
    const oldest = this.#segments[this.#oldest];
    const victim = this.#findVictim(leaseFloorS);
    return {
      neededBytes: this.usedBytes + wantedBytes - this.#options.capacityBytes,
      excessCount: 0,
      leaseFloorS,
      ageFloorS: -Infinity,
      blob: { bytes: this.#count * this.#segmentBytes, liveBytes: this.#liveBytes, sealedCount: Math.max(0, this.#count - 1), oldest: oldest === undefined ? undefined : { begunS: oldest.begunS, meanUseS: this.#uses.meanS(this.#oldest) ?? oldest.begunS } },
      value: noStream,
      valueBytesMax: Infinity,
      files: { bytes: this.#fileBytes, candidateUseS: victim === undefined ? undefined : this.#usedAtS[victim] },
      leasedBytes: 0,
      spareSegments: 0,
      stockSegments: 0,
      hasDeadSegment: false,
      trashBytes: 0,
      idleUploadBytes: 0,
      isFruitless,
    };
  }

  #findVictim(leaseFloorS: number): number | undefined {
    const isFree = (object: number) => (this.#usedAtS[object] ?? 0) < leaseFloorS;
    if (this.#victim !== undefined && this.#wasUsed[this.#victim] === 0 && isFree(this.#victim)) return this.#victim;
    if (this.#victim !== undefined) this.#files.append(this.#victim, 0);
    const found = this.#files.victim((object) => {
      if (this.#placeOf[object] !== asFile) return 'gone';
      if (this.#wasUsed[object] === 0) return isFree(object) ? 'take' : 'kept';
      this.#wasUsed[object] = 0;
      return 'used';
    }, 2 * this.#files.count);
    this.#victim = found?.low;
    return this.#victim;
  }

  #evictFile(): void {
    const object = this.#victim;
    if (object === undefined) throw new Error('a file was chosen');
    this.#victim = undefined;
    const bytes = this.#bytesOf(object);
    this.#fileBytes -= bytes;
    this.#forget(object, bytes);
  }

  #giveUpOldest(nowS: number, leaseFloorS: number): void {
    const number = this.#oldest;
    const segment = this.#segments[number];
    if (segment === undefined) throw new Error('there is an oldest segment');
    // Not counted any more from here on: its copies take the room that is kept free.
    this.#oldest += 1;
    this.#segments[number] = undefined;
    this.#liveBytes -= segment.liveBytes;
    const copiedBytesMax = this.#allowance.begin(this.#segmentBytes);
    let copiedBytes = 0;
    for (const object of segment.objects) {
      if (this.#placeOf[object] !== number) continue;
      const bytes = this.#bytesOf(object);
      const entry = { usedAtS: this.#usedAtS[object] ?? 0, wasUsed: this.#scheme.hasSecondRound && this.#wasUsed[object] === 1, isPinned: false };
      const budget = { keepFromS: leaseFloorS, copiedBytes, copiedBytesMax, dropsLeft: Infinity, recordBytesMax: Infinity };
      if (recycleStep({ kind: 'blob', bytes, isUploading: false }, entry, budget) === 'drop') this.#forget(object, bytes);
      else {
        copiedBytes += bytes;
        this.#movedBytes += bytes;
        this.#wasUsed[object] = 0;
        this.#append(object, nowS, () => undefined);
      }
    }
    this.#allowance.end(copiedBytes, this.#count * this.#segmentBytes);
  }

  #forget(object: number, bytes: number): void {
    this.#placeOf[object] = absent;
    this.#ages.take(bytes, this.#usedAtS[object] ?? 0);
  }
}
