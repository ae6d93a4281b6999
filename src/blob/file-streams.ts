// Blobs that are files, as streams: hashed in passing on their first read since the start, and taken out of service where their
// bytes turn out wrong.
import { CacheError } from '../base/cache-error.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { BodyHasher } from '../base/log-files.ts';
import type { Digest, DigestKey } from '../digest/digest.ts';
import { FileByteSource } from '../engine/file-byte-source.ts';
import type { OpenFile, PassingCheck } from '../engine/file-byte-source.ts';
import type { StoreEngine } from '../engine/store-engine.ts';
import type { GetOptions } from './blob-store.ts';
import { notItsHash, shorterThanItWas } from './whole-files.ts';

/** The record of a file is moved once in days. */
const checksMax = 3;

export class FileStreams {
  readonly #engine: StoreEngine;
  /** Files being checked as a whole; who asks meanwhile waits for the same check. Bound: calls that ask. */
  readonly #checks = new Map<DigestKey, Promise<void>>();

  constructor(engine: StoreEngine) {
    this.#engine = engine;
  }

  /** The bytes of a file that the index has, of the size that the digest says; undefined when it is gone, or found corrupt. */
  async open(digest: Digest, options?: GetOptions): Promise<ByteSource | undefined> {
    const span = options?.range ?? { offset: 0, length: digest.sizeBytes };
    const isWhole = span.length === digest.sizeBytes;
    // A part does not tell whether the whole is right.
    const place = isWhole ? this.#engine.placeOfBlob(digest) : await this.#verified(digest);
    if (place === -1) return undefined;
    const opened = await this.#open(digest, place, options);
    if (opened === undefined) return undefined;
    try {
      if (!isWhole || this.#engine.isVerified(digest, place)) return new FileByteSource(opened, span, undefined, options);
      const hasher = this.#engine.beginHash(digest.function, digest.sizeBytes);
      return new FileByteSource(withHasher(opened, hasher), span, this.#passingCheck(digest, place, hasher), options);
    } catch (thrown) {
      await opened[Symbol.asyncDispose](); // the store began to close
      throw thrown;
    }
  }

  /** Checks all of a file. When it resolves, the file is verified, or out of service, or was gone. */
  verify(digest: Digest): Promise<void> {
    const running = this.#checks.get(digest.key);
    if (running !== undefined) return running;
    const check = this.#checkAll(digest).finally(() => this.#checks.delete(digest.key));
    this.#checks.set(digest.key, check);
    check.catch(() => undefined); // reported to whoever waits; nobody may, when the call was refused for another digest
    return check;
  }

  /** Where the blob stands, found right; -1: it is gone, or was wrong. */
  async #verified(digest: Digest): Promise<number> {
    for (let checks = 0; checks <= checksMax; checks += 1) {
      const place = this.#engine.placeOfBlob(digest);
      if (place === -1 || this.#engine.isVerified(digest, place)) return place;
      await this.verify(digest); // it may be moved meanwhile
    }
    throw new CacheError('unavailable', `blob ${digest.toString()} could not be checked; the log of Kiln says why`);
  }

  async #checkAll(digest: Digest): Promise<void> {
    const place = this.#engine.placeOfBlob(digest);
    await using opened = await this.#engine.openFile(digest);
    const slot = this.#engine.findBlob(digest.function, digest.hash);
    if (opened === undefined || slot === -1) return;
    const sizeBytes = this.#engine.blobs.sizeOf(slot);
    using hasher = this.#engine.beginHash(digest.function, sizeBytes);
    let isWhole = true;
    try {
      for await (const piece of new FileByteSource(opened, { offset: 0, length: sizeBytes })) await hasher.update(piece);
    } catch (thrown) {
      if (!(thrown instanceof CacheError) || thrown.kind !== 'corrupt') throw thrown;
      isWhole = false;
    }
    if (!isWhole) await this.#engine.quarantineFile(digest, place, shorterThanItWas);
    else if ((await hasher.hex()) === digest.hash) this.#engine.markVerified(digest);
    else await this.#engine.quarantineFile(digest, place, notItsHash);
  }

  /** As StoreEngine.openFile; a file that turns out short is taken out of service. */
  async #open(digest: Digest, place: number, options?: CallOptions): Promise<OpenFile | undefined> {
    const opened = await this.#engine.openFile(digest, options);
    return (
      opened && {
        read: async (into, offset) => {
          const got = await opened.read(into, offset);
          if (got < into.byteLength) await this.#engine.quarantineFile(digest, place, shorterThanItWas);
          return got;
        },
        [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
      }
    );
  }

  #passingCheck(digest: Digest, place: number, hasher: BodyHasher): PassingCheck {
    return {
      update: (piece) => hasher.update(piece),
      finish: async () => {
        if ((await hasher.hex()) === digest.hash) return this.#engine.markVerified(digest);
        await this.#engine.quarantineFile(digest, place, notItsHash);
        throw new CacheError('corrupt', `blob ${digest.toString()} is corrupt on disk; it was taken out of service and can be uploaded again`);
      },
    };
  }
}

/** The hasher ends with the use of the file. */
function withHasher(opened: OpenFile, hasher: BodyHasher): OpenFile {
  return {
    read: (into, offset) => opened.read(into, offset),
    [Symbol.asyncDispose]: async () => {
      hasher[Symbol.dispose]();
      await opened[Symbol.asyncDispose]();
    },
  };
}
