// The blobs and values that the model of a store works with: few, so that calls meet, and made once, since a proof needs
// them a million times. What is read tells which one it is.
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import type { ValueKey, ValueKind } from '../blob/value-store.ts';
import { SeededRandom } from './seeded-random.ts';

export interface ModelBlob {
  readonly digest: Digest;
  readonly bytes: Buffer;
  /** In the facts. */
  readonly key: string;
}

export interface ModelValue {
  readonly key: string;
  readonly name: ValueKey;
}

/** The name of a blob's content: there is only one that it may have. */
export const wholeBlob = 'whole';

export class StoreContents {
  readonly blobs: readonly ModelBlob[];
  readonly values: readonly ModelValue[];

  constructor(blobSizes: readonly number[], valuesCount: number) {
    const random = new SeededRandom(1);
    this.blobs = blobSizes.map((sizeBytes, index) => {
      const bytes = Buffer.from(random.bytes(sizeBytes));
      return { bytes, digest: Digest.of(bytes), key: `blob ${index} of ${sizeBytes} bytes` };
    });
    this.values = Array.from({ length: valuesCount }, (_, index) => {
      const kind: ValueKind = index % 3 === 2 ? 'opaque' : 'action_result';
      const name: ValueKey = { kind, instance: index % 2 === 0 ? '' : 'main', digestFunction: sha256, hash: String(index).padStart(64, '0') };
      return { key: `value ${index}`, name };
    });
  }
}

/** Bytes of the put of that number, and at least as many as asked. Their name is their beginning. */
export function valueBytes(number: number, sizeBytes: number): Buffer {
  const name = `put ${number} of ${sizeBytes} bytes;`;
  return Buffer.alloc(Math.max(sizeBytes, name.length), name);
}

/** Undefined: no such bytes were ever put. */
export function valueNameOf(bytes: Uint8Array): string | undefined {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [name, number, sizeBytes] = /^put (\d+) of (\d+) bytes;/.exec(whole.toString('latin1', 0, 60)) ?? [];
  return name !== undefined && whole.equals(valueBytes(Number(number), Number(sizeBytes))) ? name : undefined;
}
