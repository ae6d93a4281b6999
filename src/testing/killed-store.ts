// What the process that is killed and those who look at what it left agree upon: names, contents, and options of the store.
import { createHash } from 'node:crypto';
import type { EngineStoreOptions } from '../blob/segment-store-options.ts';
import type { ValueKey } from '../blob/value-store.ts';
import { sha256 } from '../digest/digest-function.ts';

/** Room for everything. */
export const killedStoreOptions: Partial<EngineStoreOptions> = { maxBytes: 2 ** 30 };

/** How many values there are; each is put again and again. */
export const valuesMax = 6;

/** By its name alone: of any length up to some hundred thousand bytes, and other than that of every other name. */
export function contentOf(name: string): Buffer {
  const hash = createHash('sha256').update(name).digest();
  const scale = 2 ** (hash.readUInt8(0) % 18);
  return Buffer.alloc(1 + Math.floor((scale * (1 + hash.readUInt8(1))) / 128), hash.toString('hex'));
}

export function valueKeyOf(which: number): ValueKey {
  return { kind: which % 2 === 0 ? 'action_result' : 'opaque', instance: 'killed', digestFunction: sha256, hash: which.toString(16).repeat(64) };
}
