// Blobs that are files, whole in memory: read and checked once for all who ask at the same time, and kept while they are asked
// for often. What is kept is right for ever, since its key is its hash; whether the blob is still there is for the caller to ask.
import type { CallOptions } from '../base/call-options.ts';
import type { Digest, DigestKey } from '../digest/digest.ts';
import type { HotContents } from '../engine/hot-contents.ts';
import type { StoreEngine } from '../engine/store-engine.ts';
import { JoinedReads } from './joined-reads.ts';

export const shorterThanItWas = 'it is shorter than it was';
export const notItsHash = 'its bytes do not have its hash';

export class WholeFiles {
  readonly #engine: StoreEngine;
  readonly #hot: HotContents<DigestKey>;
  readonly #reads = new JoinedReads<DigestKey, Uint8Array | undefined>();

  constructor(engine: StoreEngine, hot: HotContents<DigestKey>) {
    this.#engine = engine;
    this.#hot = hot;
  }

  /** If it is kept. Nobody writes to it. */
  hot(digest: Digest): Uint8Array | undefined {
    return this.#hot.get(digest.key);
  }

  /** All of a file that the index has, right by its hash; undefined when it is gone, or corrupt and out of service now. Nobody writes to it. */
  read(digest: Digest, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#reads.of(digest.key, (shared) => this.#read(digest, shared), options);
  }

  async #read(digest: Digest, options: CallOptions): Promise<Uint8Array | undefined> {
    const engine = this.#engine;
    const place = engine.placeOfBlob(digest);
    await using opened = await engine.openFile(digest, options);
    if (opened === undefined) return undefined;
    const slot = engine.findBlob(digest.function, digest.hash);
    if (slot === -1) return undefined;
    const bytes = Buffer.allocUnsafeSlow(engine.blobs.sizeOf(slot));
    if ((await opened.read(bytes, 0)) !== bytes.byteLength) return await this.#corrupt(digest, place, shorterThanItWas);
    if (!engine.isVerified(digest, place)) {
      if ((await this.#hashOf(digest, bytes)) !== digest.hash) return await this.#corrupt(digest, place, notItsHash);
      engine.markVerified(digest);
    }
    this.#hot.offer(digest.key, bytes);
    return bytes;
  }

  async #hashOf(digest: Digest, bytes: Uint8Array): Promise<string> {
    using hasher = this.#engine.beginHash(digest.function, bytes.byteLength);
    await hasher.update(bytes);
    return await hasher.hex();
  }

  async #corrupt(digest: Digest, place: number, reason: string): Promise<undefined> {
    await this.#engine.quarantineFile(digest, place, reason);
  }
}
