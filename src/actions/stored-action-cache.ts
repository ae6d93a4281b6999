// The action cache over a ValueStore. It keeps and gives results as they are; whether a result's outputs are
// still there is asked by the decorator completeness-checking-action-cache.ts.
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Log } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { ValueKey, ValueStore } from '../blob/value-store.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import type { ActionKey, FirstPut, PutFirstOptions, SharedActionCache } from './action-cache.ts';
import { FirstWriter } from './first-writer.ts';
import { decodeStoredActionResult, encodeStoredActionResult, headerBytes } from './stored-action-result.ts';

export interface StoredActionCacheLimits {
  /** A longer result, as an encoded message, is refused. It has to fit in one gRPC answer of at most 4 MiB. */
  readonly actionResultBytesMax: number;
}

/** Below the 4 MiB that most clients receive at most, with room for the frame around it. */
export const storedActionCacheLimits: StoredActionCacheLimits = { actionResultBytesMax: 4 * 1024 * 1024 - 64 * 1024 };

/**
 * One value per (instance, function, hash); the last put wins, whatever its size. Asked with another size than a
 * result was put with, it finds nothing (AC-9): that is another action. It is no error, because one client's wrong
 * put must not fail the builds of others; they miss, execute, and put the right result in its place.
 */
export class StoredActionCache implements SharedActionCache {
  readonly #values: ValueStore;
  readonly #log: Log;
  readonly #valueBytesMax: number;

  constructor(values: ValueStore, limits: StoredActionCacheLimits, log: Log) {
    this.#values = values;
    this.#log = log;
    this.#valueBytesMax = Math.min(headerBytes + limits.actionResultBytesMax, values.capabilities.valueBytesMax);
  }

  get(key: ActionKey, options?: CallOptions): MaybePromise<EncodedActionResult | undefined> {
    const value = this.#values.get(valueKey(key), options);
    if (isPromise(value)) return value.then((bytes) => this.#read(key, bytes, options));
    return this.#read(key, value, options);
  }

  async put(key: ActionKey, result: EncodedActionResult, options?: CallOptions): Promise<void> {
    await this.#values.put(valueKey(key), byteSourceOf(this.#encoded(key, result)), options);
  }

  async putFirst(key: ActionKey, result: EncodedActionResult, options: PutFirstOptions = {}): Promise<FirstPut> {
    const value = byteSourceOf(this.#encoded(key, result));
    const { function: digestFunction, sizeBytes: actionSizeBytes } = key.actionDigest;
    const newcomer = { kind: 'action_result', digestFunction, actionSizeBytes, result } as const;
    const writer = new FirstWriter(newcomer, { resultBytesMax: this.#valueBytesMax - headerBytes, isStanding: options.stands ?? (() => true) });
    if (await this.#values.putFirst(valueKey(key), value, writer.stands, options)) return 'stored';
    return writer.metSame ? 'same' : 'kept';
  }

  #encoded(key: ActionKey, result: EncodedActionResult): Uint8Array {
    const value = encodeStoredActionResult({ actionSizeBytes: key.actionDigest.sizeBytes, result });
    if (value.byteLength > this.#valueBytesMax) {
      throw new CacheError(
        'invalid_argument',
        `the action result has ${value.byteLength - headerBytes} bytes; at most ${this.#valueBytesMax - headerBytes} are kept. ` +
          'Store large outputs as blobs instead of inlining them',
      );
    }
    return value;
  }

  #read(key: ActionKey, value: ByteSource | undefined, options?: CallOptions): MaybePromise<EncodedActionResult | undefined> {
    if (value === undefined) return undefined;
    if (value.sizeBytes > this.#valueBytesMax) return this.#refuse(key, value);
    if (value.inMemory !== undefined) return this.#decode(key, value.inMemory);
    return this.#collect(key, value, options);
  }

  async #collect(key: ActionKey, value: ByteSource, options?: CallOptions): Promise<EncodedActionResult | undefined> {
    await using source = value;
    return this.#decode(key, await collect(source, this.#valueBytesMax, options));
  }

  /** The limit was lowered since: a result that could not be put may not be served either. */
  async #refuse(key: ActionKey, value: ByteSource): Promise<undefined> {
    await value[Symbol.asyncDispose]();
    this.#report(key, 'a stored action result is above the size limit and is not served', value.sizeBytes);
    return undefined;
  }

  #decode(key: ActionKey, value: Uint8Array): EncodedActionResult | undefined {
    const stored = decodeStoredActionResult(value);
    if (stored === undefined) {
      this.#report(key, 'a stored action result does not decode and counts as absent', value.byteLength);
      return undefined;
    }
    const asked = key.actionDigest.sizeBytes;
    const otherSize = asked !== undefined && stored.actionSizeBytes !== undefined && asked !== stored.actionSizeBytes;
    return otherSize ? undefined : stored.result;
  }

  #report({ instance, actionDigest }: ActionKey, message: string, valueBytes: number): void {
    this.#log.warn(message, { instance, function: actionDigest.function.name, hash: actionDigest.hash, valueBytes });
  }
}

function valueKey({ instance, actionDigest }: ActionKey): ValueKey {
  return { kind: 'action_result', instance, digestFunction: actionDigest.function, hash: actionDigest.hash };
}
