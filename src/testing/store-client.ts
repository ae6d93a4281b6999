// One client of a store that is tried: makes calls by chance, and tells the facts what was asked and what came of it.
import { collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { FailureKind } from '../base/failures.ts';
import type { BlobStore, GetResult } from '../blob/blob-store.ts';
import type { ValueStore } from '../blob/value-store.ts';
import { DigestList } from '../digest/digest-list.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import type { ModelBlob, ModelValue, StoreContents } from './store-contents.ts';
import { valueBytes, valueNameOf, wholeBlob } from './store-contents.ts';
import type { PutOutcome, StoreFacts } from './store-facts.ts';

/** What is tried: any two stores, perhaps of one directory. */
export interface ModelledStore {
  readonly blobs: BlobStore;
  readonly values: ValueStore;
  /** All of them stay until disposed, or for two minutes. @throws CacheError `resource_exhausted` */
  pin?(digests: DigestList): Disposable;
  /** What is wrong with its accounts while nothing happens; undefined when they are right. */
  audit?(): Promise<string | undefined>;
  close(): Promise<void>;
}

export interface ClientLimits {
  readonly valueSizes: readonly number[];
  /** How a put may be refused here. */
  readonly refusals: readonly FailureKind[];
  /** The disk fails: what a put that failed has written may be found by the next start, though nobody is shown it before. */
  readonly mayFailLate: boolean;
}

export interface ClientWorld {
  readonly machine: SimulatedMachine;
  readonly store: ModelledStore;
  readonly facts: StoreFacts;
  readonly contents: StoreContents;
  readonly limits: ClientLimits;
  readonly promised: PromisedBytes;
}

/** What all clients of a store were promised. Beyond the bound a store may end promises early, so none counts until they are over. */
export class PromisedBytes {
  readonly #bytesMax: number;
  readonly #promised = new Map<string, { readonly untilMs: number; readonly sizeBytes: number }>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether everything promised can be kept, with this. */
  add(key: string, sizeBytes: number, { nowMs, untilMs }: { readonly nowMs: number; readonly untilMs: number }): boolean {
    this.#promised.set(key, { untilMs, sizeBytes });
    let sum = 0;
    for (const [other, promise] of this.#promised) {
      if (promise.untilMs <= nowMs) this.#promised.delete(other);
      else sum += promise.sizeBytes;
    }
    return sum <= this.#bytesMax;
  }
}

/** How long a pin holds at least. */
const pinMs = 119_000;
/** Largest content of any model. */
const readBytesMax = 1 << 22;
/** A blob takes at most so much more than its bytes: a block of the file system, the head of a record. */
const overheadBytes = 4_608;

export class StoreClient {
  readonly #world: ClientWorld;
  /** Numbers of puts are never used twice, in other lives neither. */
  readonly #nextPut: () => number;

  constructor(world: ClientWorld, nextPut: () => number) {
    this.#world = world;
    this.#nextPut = nextPut;
  }

  /** One call. */
  async step(): Promise<void> {
    const { random, clock, turns } = this.#world.machine;
    const { blobs, values } = this.#world.contents;
    const blob = random.pick(blobs);
    const value = random.pick(values);
    switch (random.integer(0, 16)) {
      case 0: case 1: case 2: return this.putBlob(blob);
      case 3: case 4: return this.putMany();
      case 5: case 6: case 7: return this.putValue(value);
      case 8: return this.putFirst(value);
      case 9: return this.getBlob(blob);
      case 10: return this.getRange(blob);
      case 11: return this.getMany(this.#someBlobs());
      case 12: return void (await this.findMissing(this.#someBlobs()));
      case 13: return this.getValue(value);
      case 14: return this.putAndGiveUp(blob, value);
      case 15: return this.pinForAWhile();
      default:
        clock.advance(random.pick([1, 50, 1_000, 6_000]));
        return turns.nextTurn();
    }
  }

  async putBlob(blob: ModelBlob): Promise<void> {
    const { facts, store } = this.#world;
    const end = facts.begin(blob.key, wholeBlob);
    const outcome = await this.#outcomeOf(async () => {
      await store.blobs.put(blob.digest, this.#chunks(blob.bytes));
      return 'acknowledged';
    });
    end(outcome);
    if (outcome === 'acknowledged') this.#promise([blob]);
  }

  async putMany(): Promise<void> {
    const blobs = this.#someBlobs();
    const ends = blobs.map(({ key }) => this.#world.facts.begin(key, wholeBlob));
    const results = await this.#world.store.blobs.putMany(blobs.map(({ digest, bytes }) => ({ digest, bytes })));
    for (const [index, end] of ends.entries()) {
      const result = results[index];
      end(result === undefined ? 'acknowledged' : 'given_up');
      if (result !== undefined) this.#checkRefusal(result);
    }
    this.#promise(blobs.filter((_, index) => results[index] === undefined));
  }

  async putValue({ key, name }: ModelValue): Promise<void> {
    const { content, bytes } = this.#newValue();
    const end = this.#world.facts.begin(key, content);
    const outcome = await this.#outcomeOf(async () => {
      await this.#world.store.values.put(name, this.#chunks(bytes));
      return 'acknowledged';
    });
    end(outcome);
    // What rotted was an older one. A blob is another thing: it is not written again while it seems to be there.
    if (outcome === 'acknowledged') this.#world.facts.heal(key);
  }

  async putFirst({ key, name }: ModelValue): Promise<void> {
    const { content, bytes } = this.#newValue();
    const stands = this.#world.machine.random.fraction() < 0.5;
    const end = this.#world.facts.begin(key, content);
    const outcome = await this.#outcomeOf(async () => {
      const isPut = await this.#world.store.values.putFirst(name, this.#chunks(bytes), () => stands);
      if (!isPut && !stands) throw new Error(`${key} was not put, and what was there does not stand`);
      return isPut ? 'acknowledged' : 'refused';
    });
    end(outcome);
  }

  async getBlob(blob: ModelBlob): Promise<void> {
    const { key, digest, bytes } = blob;
    const { store, facts } = this.#world;
    const end = facts.read(key, this.#nowMs());
    const got = await this.#bytesOf(key, store.blobs.get(digest));
    if (got === 'damaged') return;
    end(got === undefined ? undefined : wholeOr(got, bytes));
    if (got !== undefined) this.#rightBlob(blob);
  }

  async getRange({ key, digest, bytes }: ModelBlob): Promise<void> {
    const { store, facts, machine } = this.#world;
    const offset = machine.random.integer(0, bytes.byteLength);
    const length = machine.random.integer(0, bytes.byteLength - offset);
    const end = facts.read(key, this.#nowMs());
    const got = await this.#bytesOf(key, store.blobs.get(digest, { range: { offset, length } }));
    if (got !== 'damaged') end(got === undefined ? undefined : wholeOr(got, bytes.subarray(offset, offset + length)));
  }

  async getMany(blobs: readonly ModelBlob[]): Promise<void> {
    const { store, facts } = this.#world;
    const ends = blobs.map(({ key }) => facts.read(key, this.#nowMs()));
    const results = await store.blobs.getMany(DigestList.from(blobs.map(({ digest }) => digest)));
    for (const [index, blob] of blobs.entries()) this.#tellResult(blob, results[index], ends[index]);
  }

  /** Gives those that are there. */
  async findMissing(blobs: readonly ModelBlob[]): Promise<readonly ModelBlob[]> {
    const { store, facts } = this.#world;
    const ends = blobs.map(({ key }) => facts.read(key, this.#nowMs()));
    const missing = await store.blobs.findMissing(DigestList.from(blobs.map(({ digest }) => digest)));
    const hashes = new Set(Array.from(missing, ({ hash }) => hash));
    for (const [index, { digest }] of blobs.entries()) ends[index]?.(hashes.has(digest.hash) ? undefined : wholeBlob);
    const present = blobs.filter(({ digest }) => !hashes.has(digest.hash));
    this.#promise(present);
    return present;
  }

  async getValue({ key, name }: ModelValue): Promise<void> {
    const end = this.#world.facts.read(key, this.#nowMs());
    const got = await this.#bytesOf(key, this.#world.store.values.get(name));
    if (got === 'damaged') return;
    end(got === undefined ? undefined : (valueNameOf(got) ?? `what was never put: ${Buffer.from(got).toString('latin1', 0, 60)}`));
    if (got !== undefined) this.#world.facts.heal(key);
  }

  /** What is found present and pinned then is there when it is looked for again. */
  async pinForAWhile(): Promise<void> {
    const { store, facts, machine } = this.#world;
    if (store.pin === undefined) return;
    const blobs = this.#someBlobs();
    const untilMs = this.#nowMs() + pinMs;
    try {
      using _pin = store.pin(DigestList.from(blobs.map(({ digest }) => digest)));
      const present = await this.findMissing(blobs);
      const releases = present.map(({ key }) => facts.pin(key, untilMs));
      for (let turn = machine.random.integer(1, 40); turn > 0; turn -= 1) await machine.turns.nextTurn();
      await this.findMissing(present);
      for (const release of releases) release();
    } catch (thrown) {
      if (!(thrown instanceof CacheError) || thrown.code !== 'resource_exhausted') throw thrown;
    }
  }

  /** The caller goes in the middle; the put may take effect at any time from then on. */
  async putAndGiveUp(blob: ModelBlob, value: ModelValue): Promise<void> {
    const { store, facts, machine } = this.#world;
    const abort = new AbortController();
    const options = { signal: abort.signal };
    const { content, bytes } = this.#newValue();
    const ends = [facts.begin(blob.key, wholeBlob), facts.begin(value.key, content)];
    const puts = [store.blobs.put(blob.digest, this.#chunks(blob.bytes, true), options), store.values.put(value.name, this.#chunks(bytes), options)];
    void machine.turns.run(() => abort.abort());
    const settled = await Promise.allSettled(puts);
    for (const [index, result] of settled.entries()) {
      if (result.status === 'rejected') this.#checkRefusal(result.reason, ['cancelled']);
      ends[index]?.(result.status === 'fulfilled' ? 'acknowledged' : 'given_up');
    }
  }

  async #outcomeOf(call: () => Promise<PutOutcome>): Promise<PutOutcome> {
    try {
      return await call();
    } catch (thrown) {
      this.#checkRefusal(thrown);
      return this.#world.limits.mayFailLate ? 'given_up' : 'failed';
    }
  }

  #checkRefusal(thrown: unknown, also: readonly FailureKind[] = []): void {
    if (!(thrown instanceof CacheError) || ![...this.#world.limits.refusals, ...also].includes(thrown.kind)) throw thrown;
  }

  /** All bytes of a source; `damaged` when the store says so of a key that is. */
  async #bytesOf(key: string, source: Promise<ByteSource | undefined> | ByteSource | undefined): Promise<Uint8Array | 'damaged' | undefined> {
    try {
      const opened = await source;
      return opened === undefined ? undefined : await collect(opened, readBytesMax);
    } catch (thrown) {
      this.#checkDamage(key, thrown);
      return 'damaged';
    }
  }

  #tellResult(blob: ModelBlob, result: GetResult, end: ((found: string | undefined) => void) | undefined): void {
    const { key, bytes } = blob;
    if (result instanceof CacheError) {
      this.#checkDamage(key, result);
      return;
    }
    end?.(result === undefined ? undefined : wholeOr(result, bytes));
    if (result !== undefined) this.#rightBlob(blob);
  }

  #checkDamage(key: string, thrown: unknown): void {
    if (!(thrown instanceof CacheError) || thrown.code !== 'data_loss' || !this.#world.facts.isDamaged(key)) throw thrown;
  }

  #rightBlob(blob: ModelBlob): void {
    this.#world.facts.heal(blob.key);
    this.#promise([blob]);
  }

  #promise(blobs: readonly ModelBlob[]): void {
    const { facts, store, promised } = this.#world;
    const nowMs = this.#nowMs();
    const untilMs = nowMs + store.blobs.capabilities.leaseMs;
    for (const { key, bytes } of blobs) {
      if (promised.add(key, bytes.byteLength + overheadBytes, { nowMs, untilMs })) facts.promise(key, untilMs);
      else facts.voidPromises();
    }
  }

  #someBlobs(): readonly ModelBlob[] {
    const { machine, contents } = this.#world;
    return Array.from({ length: machine.random.integer(1, 5) }, () => machine.random.pick(contents.blobs));
  }

  #newValue(): { readonly content: string; readonly bytes: Buffer } {
    const bytes = valueBytes(this.#nextPut(), this.#world.machine.random.pick(this.#world.limits.valueSizes));
    return { content: valueNameOf(bytes) ?? '', bytes };
  }

  #nowMs(): number {
    return this.#world.machine.clock.nowMs();
  }

  /** In pieces that come when they come. Those of blobs all in the same memory, which is spoilt as soon as their contract lets it be. */
  async *#chunks(bytes: Buffer, isReused = false): AsyncGenerator<Uint8Array, void, undefined> {
    const { random, turns } = this.#world.machine;
    const memory = Buffer.alloc(Math.max(1, Math.min(bytes.byteLength, random.pick([100, 4_096, 70_000]))));
    for (let offset = 0; offset < bytes.byteLength; offset += memory.byteLength) {
      if (random.fraction() < 0.3) await turns.nextTurn();
      if (!isReused) {
        yield bytes.subarray(offset, offset + memory.byteLength);
        continue;
      }
      const count = bytes.copy(memory, 0, offset);
      yield memory.subarray(0, count);
      memory.fill(0xee);
    }
  }
}

function wholeOr(got: Uint8Array, expected: Buffer): string {
  return expected.equals(got) ? wholeBlob : `other bytes (${got.byteLength} of ${expected.byteLength})`;
}
