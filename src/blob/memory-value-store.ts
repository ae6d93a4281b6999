// Values in memory: for tests and as the plain model of what the contract says.
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { ByteBoundedMap } from '../engine/byte-bounded-map.ts';
import { collectValue } from './collect-value.ts';
import { alwaysChanging, besideOf, putFirstAttemptsMax } from './put-first.ts';
import type { Stands, ValueKey, ValueStore } from './value-store.ts';

/** Enough for every test that does not care. */
const defaultLimits = { bytesMax: 64 * 1024 * 1024, valueBytesMax: 16 * 1024 * 1024 };

/**
 * Keeps the values used last, within `bytesMax`, and forgets all with the process. `get` answers synchronously.
 * A put in progress holds up to `valueBytesMax` beside the bound; who bounds the callers bounds that.
 */
export class MemoryValueStore implements ValueStore {
  readonly capabilities: ValueStore['capabilities'];
  readonly #values: ByteBoundedMap<string>;

  constructor(limits: { readonly bytesMax: number; readonly valueBytesMax: number } = defaultLimits) {
    this.#values = new ByteBoundedMap(limits.bytesMax);
    this.capabilities = { survives: 'nothing', valueBytesMax: limits.valueBytesMax };
  }

  get(key: ValueKey): ByteSource | undefined {
    const bytes = this.#values.get(nameOf(key));
    return bytes && byteSourceOf(bytes);
  }

  async put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    this.#keep(key, await collectValue(key, bytes, this.capabilities.valueBytesMax, options));
  }

  async putFirst(key: ValueKey, bytes: AsyncIterable<Uint8Array>, stands: Stands, options?: CallOptions): Promise<boolean> {
    const whole = await collectValue(key, bytes, this.capabilities.valueBytesMax, options);
    for (let attempt = 0; attempt < putFirstAttemptsMax; attempt += 1) {
      const beside = besideOf(key);
      const [own, other] = [this.#values.get(nameOf(key)), this.#values.get(nameOf(beside))];
      if (own !== undefined && Buffer.compare(own, whole) === 0) return true;
      if (own !== undefined && (await stands({ kind: key.kind, bytes: own }))) return false;
      if (other !== undefined && (await stands({ kind: beside.kind, bytes: other }))) return false;
      // From here to the end of the put nothing else runs.
      if (this.#values.get(nameOf(key)) !== own || this.#values.get(nameOf(beside)) !== other) continue;
      this.#keep(key, whole);
      return true;
    }
    throw alwaysChanging(key);
  }

  #keep(key: ValueKey, whole: Uint8Array): void {
    if (!this.#values.fits(whole.byteLength)) {
      throw new CacheError('disk_full', `a value of ${whole.byteLength} bytes does not fit into a store of ${this.#values.bytesMax}`);
    }
    this.#values.set(nameOf(key), whole);
  }
}

/** One string per identity. The instance comes last, for it alone may hold the separator. */
function nameOf({ kind, instance, digestFunction, hash }: ValueKey): string {
  return `${kind} ${digestFunction.name} ${hash} ${instance}`;
}
