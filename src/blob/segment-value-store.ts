// Values in segments of their own, and long ones as blobs that a record points to. What survives, and how, is
// engine/store-engine.ts.
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { KeyedTurns } from '../base/keyed-turns.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { FoundValue } from '../engine/record-reads.ts';
import type { StoreEngine } from '../engine/store-engine.ts';
import { collectValue } from './collect-value.ts';
import { alwaysChanging, besideOf, putFirstAttemptsMax } from './put-first.ts';
import type { Stands, ValueKey, ValueStore } from './value-store.ts';
import type { WholeFiles } from './whole-files.ts';

export interface SegmentValueStoreLimits {
  readonly valueBytesMax: number;
  readonly survives: 'process_crash' | 'power_loss';
}

/** Of a value that is put, however little memory is left; results of actions are hardly ever larger. */
const smallBytesMax = 64 * 1024;
/** What a read of a value may have to wait for, as a part of the budget: the largest values must not wait for all of it. */
const awaitedShare = 1 / 8;
/** In line to write one entry first; a thousand builds that race for one action are none. */
const writersWaitingMax = 1_000;

/** What was there, if it could be read, and what was said of it. */
interface Judged<T> {
  /** Of the put that it came by; 0: there was none. */
  readonly sequence: number;
  readonly verdict: T | undefined;
}

/**
 * The last put wins by its number. A value is checked every time it is read; a damaged one is quarantined and absent, and
 * so is a long one whose blob has gone. Values are whole in memory while they are put and long ones while they are read, and
 * counted in the budget for so long; what was read is its receiver's to account for. Without room, reads wait and puts are
 * refused, both in the end with `unavailable` and `retry_after`.
 */
export class SegmentValueStore implements ValueStore {
  readonly capabilities: ValueStore['capabilities'];
  readonly #engine: StoreEngine;
  readonly #files: WholeFiles;
  readonly #budget: ByteBudget;
  readonly #turns = new KeyedTurns('writers of one entry', { waitersMax: writersWaitingMax });

  constructor(engine: StoreEngine, files: WholeFiles, limits: SegmentValueStoreLimits, budget: ByteBudget) {
    this.capabilities = { survives: limits.survives, valueBytesMax: limits.valueBytesMax };
    this.#engine = engine;
    this.#files = files;
    this.#budget = budget;
  }

  get(key: ValueKey, options?: CallOptions): MaybePromise<ByteSource | undefined> {
    const found = this.#engine.readValue(key, options);
    return isPromise(found) ? found.then((later) => this.#source(later, options)) : this.#source(found, options);
  }

  async put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    using held = new HeldBytes(this.#budget);
    const value = await collectValue(key, this.#counted(bytes, held), this.capabilities.valueBytesMax, options);
    await this.#engine.putValue(key, value, {}, options);
  }

  async putFirst(key: ValueKey, bytes: AsyncIterable<Uint8Array>, stands: Stands, options?: CallOptions): Promise<boolean> {
    using held = new HeldBytes(this.#budget);
    const value = await collectValue(key, this.#counted(bytes, held), this.capabilities.valueBytesMax, options);
    // The two kinds are two entries that know nothing of each other, so that racing writers of both are kept apart here.
    using _turn = await this.#turns.take(entryOf(key), options);
    const beside = besideOf(key);
    for (let attempt = 0; attempt < putFirstAttemptsMax; attempt += 1) {
      const own = await this.#look(key, async (present) => (Buffer.compare(present, value) === 0 ? 'same' : await stands({ kind: key.kind, bytes: present })), options);
      if (own.verdict === 'same') return true;
      if (own.verdict === true) return false;
      const other = await this.#look(beside, (present) => stands({ kind: beside.kind, bytes: present }), options);
      if (other.verdict === true) return false;
      // Put meanwhile by who may overwrite, and perhaps half of what was read: nobody was asked about that one.
      if (this.#engine.sequenceOfValue(beside) !== other.sequence) continue;
      if (await this.#engine.putValue(key, value, { over: own.sequence }, options)) return true;
    }
    throw alwaysChanging(key);
  }

  /** What `judge` says of the value, which is a use of it; undefined when there is none to judge. */
  async #look<T>(key: ValueKey, judge: (bytes: Uint8Array) => MaybePromise<T>, options?: CallOptions): Promise<Judged<T>> {
    const found = await this.#engine.readValue(key, options);
    if (found === undefined) return { sequence: 0, verdict: undefined };
    const { content, sequence } = found;
    const bytes = content instanceof Uint8Array ? content : await this.#pointed(content, options);
    if (bytes === undefined) return { sequence, verdict: undefined };
    using held = new HeldBytes(this.#budget);
    held.set(bytes.byteLength);
    return { sequence, verdict: await judge(bytes) };
  }

  #source(found: FoundValue | undefined, options?: CallOptions): MaybePromise<ByteSource | undefined> {
    if (found === undefined) return undefined;
    const { content } = found;
    if (content instanceof Uint8Array) return byteSourceOf(content);
    return this.#pointed(content, options).then((bytes) => bytes && byteSourceOf(bytes));
  }

  /** The blob that a long value is; that is a use of it too. Undefined when it is gone or corrupt. */
  async #pointed(digest: Digest, options?: CallOptions): Promise<Uint8Array | undefined> {
    const engine = this.#engine;
    const slot = engine.findBlob(digest.function, digest.hash);
    if (slot === -1) return undefined;
    engine.touchBlob(slot, engine.nowS());
    if (!engine.blobs.isFile(slot)) return engine.readBlob(digest, options);
    const hot = this.#files.hot(digest);
    if (hot !== undefined) return hot;
    const awaitedBytes = Math.min(digest.sizeBytes, Math.floor(this.#budget.maxBytes * awaitedShare));
    await this.#budget.reserve(awaitedBytes, options);
    using held = new HeldBytes(this.#budget);
    held.adopt(awaitedBytes);
    held.set(digest.sizeBytes);
    return await this.#files.read(digest, options);
  }

  async *#counted(bytes: AsyncIterable<Uint8Array>, held: HeldBytes): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      if (held.bytes > smallBytesMax && this.#budget.refusesGrowth) throw this.#budget.refusal();
      held.set(held.bytes + chunk.byteLength);
      yield chunk;
    }
  }
}

/** One name for the values of both kinds. */
function entryOf({ instance, digestFunction, hash }: ValueKey): string {
  return `${digestFunction.name}/${hash}/${instance}`;
}
