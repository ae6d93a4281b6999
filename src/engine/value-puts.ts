// Puts of values: the last one wins, by sequence number, and one that may only take the place of a certain put finds out in
// the turn of the loop in which it is appended whether that still is the last.
import { assert } from '../base/assert.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import { unlessCancelled } from '../base/unless-cancelled.ts';
import { KeyWords } from './key-words.ts';
import type { ValueIdentity } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { RoomClaim } from './log-claims.ts';
import { notDurable } from './not-durable.ts';
import { recordBytes } from './record-codec.ts';
import type { PutParts } from './small-puts.ts';

/** A value as it stands in its record. */
export interface ValueRecord {
  readonly identity: ValueIdentity;
  /** Of the value, wherever it is. */
  readonly logicalBytes: number;
  /** The value, or a pointer to the blob that it is. Never changes from here on. */
  readonly payload: Uint8Array;
  readonly isPointer: boolean;
}

/** Puts of one key that are appended and not durable. */
interface UnderWay {
  count: number;
  /** Of the one that was appended last: those before are settled by then. */
  last: Promise<void>;
}

export class ValuePuts {
  readonly #entries: LiveEntries;
  readonly #writer: PutParts['writer'];
  readonly #nowS: () => number;
  readonly #written: PutParts['written'];
  /** By key. Bound: what the writer lets be unsynced. */
  readonly #underWay = new Map<string, UnderWay>();
  readonly #key = new KeyWords();

  constructor({ entries, writer, nowS, written }: PutParts) {
    this.#entries = entries;
    this.#writer = writer;
    this.#nowS = nowS;
    this.#written = written;
  }

  isUnderWay(identity: ValueIdentity): boolean {
    return this.#underWay.has(this.#name(identity));
  }

  /** As `isUnderWay`, of the index key of a value. */
  isKeyUnderWay(key: KeyWords): boolean {
    return this.#underWay.size > 0 && this.#underWay.has(key.hex());
  }

  /**
   * Resolves once the value is durable and in the index, unless a later put has taken its place there.
   * @throws CacheError `busy`, `disk_full`, `unavailable`; `cancelled` while it waits for room.
   */
  async put(value: ValueRecord, options?: CallOptions): Promise<void> {
    await this.#append(await this.#claim(value, options), value);
  }

  /**
   * As `put`, if the put with the number `over` is the last one of that key, those under way included; 0: if there is none.
   * Otherwise nothing is written, and it resolves to false.
   */
  async putOver(value: ValueRecord, over: number, options?: CallOptions): Promise<boolean> {
    const name = this.#name(value.identity);
    for (;;) {
      for (let running = this.#underWay.get(name); running !== undefined; running = this.#underWay.get(name)) {
        await unlessCancelled(running.last.catch(() => undefined), 'another put of the same value was waited for', options);
      }
      if (this.#sequenceOf(value.identity) !== over) return false;
      using claim = await this.#claim(value, options);
      // Whoever came while room was waited for is looked at first. The claim is given back meanwhile: what is waited for may need it.
      if (this.#underWay.has(name)) continue;
      if (this.#sequenceOf(value.identity) !== over) return false;
      await this.#append(claim, value);
      return true;
    }
  }

  async #claim({ identity, payload }: ValueRecord, options?: CallOptions): Promise<RoomClaim> {
    const bytes = recordBytes(identity.digestFunction.hashBytes, Buffer.byteLength(identity.instance), payload.byteLength);
    const claim = this.#writer.claim(bytes, 'external', options);
    if (!isPromise(claim)) return claim;
    options?.onStep?.('room in the log');
    const given = await claim;
    options?.onStep?.('sync');
    return given;
  }

  /** Ends the claim at once: what waits for it does not wait for a sync as well. */
  #append(claim: RoomClaim, { identity, logicalBytes, payload, isPointer }: ValueRecord): Promise<void> {
    using _room = claim;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { kind, digestFunction, instance, hash } = identity;
    const usedAtS = this.#nowS();
    const { segment, offset, bytes, sequence } = this.#writer.append(
      claim,
      {
        kind: kind === 'action_result' ? 'actionResult' : 'opaque',
        functionNumber: digestFunction.wireValue,
        hash: Buffer.from(hash, 'hex'),
        instance,
        logicalBytes,
        usedAtS,
        payload,
        isPointer,
      },
      (outcome) => {
        leave();
        if (outcome.kind === 'failed') return reject(notDurable(outcome.cause));
        this.#written({ segment, offset, bytes });
        const { values } = this.#entries;
        this.#key.setValue(identity);
        const slot = values.find(this.#key);
        // Records are settled in the order of their numbers, so this is the last put so far.
        assert(slot === -1 || values.sequenceOf(slot) < sequence, 'values become durable in the order of their puts');
        this.#entries.put(values, this.#key, { segment, offset, sizeBytes: bytes, usedAtS, sequence, isFile: false, isPointer, isVerified: true });
        resolve();
      },
    );
    const leave = this.#enter(this.#name(identity), promise);
    return promise;
  }

  /** @returns what ends it. */
  #enter(name: string, settled: Promise<void>): () => void {
    const running = this.#underWay.get(name) ?? { count: 0, last: settled };
    running.count += 1;
    running.last = settled;
    this.#underWay.set(name, running);
    return () => {
      running.count -= 1;
      if (running.count === 0) this.#underWay.delete(name);
    };
  }

  #sequenceOf(identity: ValueIdentity): number {
    this.#key.setValue(identity);
    const slot = this.#entries.values.find(this.#key);
    return slot === -1 ? 0 : this.#entries.values.sequenceOf(slot);
  }

  #name(identity: ValueIdentity): string {
    this.#key.setValue(identity);
    return this.#key.hex();
  }
}
