// Blobs as files of raw bytes. What a file is, and how it survives, is engine/stored-files.ts.
import { HeldBytes, unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { mapBounded } from '../base/semaphore.ts';
import { Digest, digestKey } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import { DigestCheck, tooLong } from '../engine/digest-check.ts';
import { FileByteSource } from '../engine/file-byte-source.ts';
import type { OpenFile, PassingCheck } from '../engine/file-byte-source.ts';
import type { StoredFile } from '../engine/file-table.ts';
import { HotContents } from '../engine/hot-contents.ts';
import type { StoredFiles } from '../engine/stored-files.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, PutResult } from './blob-store.ts';
import { checkAccepted, checkKnownSize, checkRange, wrongSize } from './known-blob.ts';
import { JoinedReads } from './joined-reads.ts';
import { SeenKeys } from './seen-keys.ts';

/** Read in one piece and checked before the first byte goes out; larger blobs are checked in passing. */
const wholeBytesMax = 1024 * 1024;
/** A blob up to here is taken in however little memory is left. */
const littleBytesMax = 4 * 1024;
/** Blobs of one call that are read or written at the same time: enough to fill the thread pool and share syncs. */
const batchConcurrencyMax = 16;

/**
 * Blobs in a data directory. Promises durability through power loss and the right bytes: the hash is checked when
 * a blob is written and again on its first read after a start. Existence and sizes are answered from memory, and so
 * are blobs of up to 1 MiB that are used often. A blob found corrupt is quarantined and absent; a sick disk is
 * `unavailable`, never absence.
 */
export class FileBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #files: StoredFiles;
  readonly #budget: ByteBudget;
  /** Blobs being checked as a whole; who asks meanwhile waits for the same check. */
  readonly #checks = new Map<StoredFile, Promise<boolean>>();
  /** Small blobs that come from the disk: what many ask for at once, after a start, is read and hashed once. */
  readonly #wholeReads = new JoinedReads<StoredFile, Uint8Array | undefined>();

  constructor(files: StoredFiles, limits: { readonly blobBytesMax: number }, budget: ByteBudget = unboundedByteBudget()) {
    // Nothing expires: a blob goes only when room is needed for another.
    this.capabilities = { leaseMs: Infinity, survives: 'power_loss', blobBytesMax: limits.blobBytesMax };
    this.#files = files;
    this.#budget = budget;
  }

  findMissing(digests: DigestList): MaybePromise<DigestList> {
    const missing = new SeenKeys();
    const doubtful: Promise<unknown>[] = [];
    let nowMs: number | undefined;
    const absent = digests.select((index) => {
      const key = digests.keyAt(index);
      const file = this.#files.find(key);
      if (file === undefined) return missing.add(key);
      if (file.contentBytes !== digests.sizeAt(index)) {
        if (file.verified) throw wrongSize(digests.at(index), file.contentBytes);
        doubtful.push(this.#isRight(digests.at(index), file));
      }
      this.#files.touch(file, (nowMs ??= this.#files.nowMs()));
      return false;
    });
    // Either the file lost its length and is absent after the check, or the digest is refused on the second try.
    return doubtful.length === 0 ? absent : Promise.all(doubtful).then(() => this.findMissing(digests));
  }

  resolve(digestFunction: DigestFunction, hash: string): MaybePromise<Digest | undefined> {
    const file = this.#files.find(digestKey(digestFunction, hash));
    if (file === undefined) return undefined;
    if (file.contentBytes === 0 && hash !== digestFunction.emptyHash) return this.#corrupt(file, 'it has no bytes');
    this.#files.touch(file);
    return Digest.parse(digestFunction, hash, file.contentBytes);
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const file = this.#files.find(digest.key);
    if (file === undefined) return undefined;
    if (file.contentBytes !== digest.sizeBytes && !file.verified) {
      return this.#isRight(digest, file).then(() => this.get(digest, options));
    }
    checkKnownSize(digest, file.contentBytes);
    if (options?.range !== undefined) checkRange(digest, options.range);
    this.#files.touch(file);
    if (digest.sizeBytes > wholeBytesMax) return this.#stream(digest, file, options);
    const bytes = this.#files.hot(file) ?? this.#readWhole(digest, file, options);
    return isPromise(bytes) ? bytes.then((read) => sourceOf(read, options)) : sourceOf(bytes, options);
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<readonly GetResult[]> {
    const asked = [...digests];
    const hot = asked.map((digest) => this.#hotResult(digest));
    if (!hot.includes('cold')) return hot.map((result) => (result === 'cold' ? undefined : result));
    return mapBounded(asked, batchConcurrencyMax, async (digest, index) => {
      const result = hot[index];
      return result === 'cold' ? outcome(() => this.#readAny(digest, options)) : result;
    });
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    if (await this.#present(digest)) return;
    checkAccepted(digest, this.capabilities);
    if (!HotContents.takesWritten(digest.sizeBytes)) return this.#write(digest, bytes, undefined, options);
    // A small one is waited for in memory: a slow sender then holds no file, and what was just written is hot.
    if (digest.sizeBytes > littleBytesMax && this.#budget.refusesGrowth) throw this.#budget.refusal();
    using held = new HeldBytes(this.#budget);
    held.set(digest.sizeBytes);
    const whole = await this.#receive(digest, bytes, options);
    await this.#write(digest, byteSourceOf(whole), whole, options);
  }

  async putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const present = blobs.map(({ digest }) => this.#presentAtOnce(digest));
    if (present.every(Boolean)) return blobs.map(() => undefined);
    return mapBounded(blobs, batchConcurrencyMax, ({ digest, bytes }, index) =>
      outcome(async (): Promise<undefined> => {
        if (present[index] === true || (await this.#present(digest))) return;
        checkAccepted(digest, this.capabilities);
        // Clients read back what others just wrote. A copy: `bytes` may be a view of a whole message.
        const hot = HotContents.takesWritten(digest.sizeBytes) ? new Uint8Array(bytes) : undefined; // slice() of a Buffer copies nothing
        await this.#write(digest, byteSourceOf(hot ?? bytes), hot, options);
      }),
    );
  }

  async #write(digest: Digest, bytes: AsyncIterable<Uint8Array>, hot: Uint8Array | undefined, options?: CallOptions): Promise<void> {
    const { key, sizeBytes: contentBytes } = digest;
    await this.#files.write({ key, contentBytes, check: new DigestCheck(digest), bytes, convergent: true, hot }, options);
  }

  /** Everything that is sent for a small blob, in an array of its own. Judged when it is written, but for too many bytes. */
  async #receive(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<Uint8Array> {
    const whole = new Uint8Array(digest.sizeBytes);
    let length = 0;
    for await (const chunk of bytes) {
      if (options?.signal?.aborted) throw new CacheError('cancelled', `the put of ${digest.toString()} was cancelled`);
      if (length + chunk.byteLength > digest.sizeBytes) throw tooLong(digest);
      whole.set(chunk, length);
      length += chunk.byteLength;
    }
    return whole.subarray(0, length);
  }

  /** Whether the blob is there; that is a use. @throws CacheError `invalid_argument` when it has another size. */
  #present(digest: Digest): MaybePromise<boolean> {
    const file = this.#files.find(digest.key);
    if (file === undefined) return false;
    if (file.contentBytes !== digest.sizeBytes && !file.verified) return this.#isRight(digest, file).then(() => this.#present(digest));
    checkKnownSize(digest, file.contentBytes);
    this.#files.touch(file);
    return true;
  }

  /** Whether it is known without a wait that the blob is there. */
  #presentAtOnce(digest: Digest): boolean {
    const file = this.#files.find(digest.key);
    if (file?.contentBytes !== digest.sizeBytes) return false;
    this.#files.touch(file);
    return true;
  }

  /** The result of `getMany` as far as memory knows it. */
  #hotResult(digest: Digest): GetResult | 'cold' {
    try {
      const file = this.#files.find(digest.key);
      if (file === undefined) return undefined;
      if (file.contentBytes !== digest.sizeBytes && !file.verified) return 'cold';
      checkKnownSize(digest, file.contentBytes);
      const bytes = this.#files.hot(file);
      if (bytes === undefined) return 'cold';
      this.#files.touch(file);
      return bytes;
    } catch (thrown) {
      if (thrown instanceof CacheError) return thrown;
      throw thrown;
    }
  }

  async #readAny(digest: Digest, options?: CallOptions): Promise<Uint8Array | undefined> {
    if (!(await this.#present(digest))) return undefined;
    const file = this.#files.find(digest.key);
    return file && this.#readWhole(digest, file, options);
  }

  /** All of a blob in memory, checked if it was not yet; undefined when it is gone or corrupt. Shared: nobody writes to it. */
  #readWhole(digest: Digest, file: StoredFile, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#wholeReads.of(file, (shared) => this.#readFile(digest, file, shared), options);
  }

  async #readFile(digest: Digest, file: StoredFile, options: CallOptions): Promise<Uint8Array | undefined> {
    await using opened = await this.#files.openRead(file, options);
    if (opened === undefined) return undefined;
    const bytes = Buffer.allocUnsafeSlow(file.contentBytes);
    if ((await opened.read(bytes, 0)) !== bytes.byteLength) return await this.#corrupt(file, 'it is shorter than it was');
    if (!file.verified) {
      if (digest.function.hashHex(bytes) !== digest.hash) return await this.#corrupt(file, 'its bytes do not have its hash');
      file.verified = true;
    }
    this.#files.keepHot(file, bytes);
    return bytes;
  }

  async #stream(digest: Digest, file: StoredFile, options?: GetOptions): Promise<ByteSource | undefined> {
    const span = options?.range ?? { offset: 0, length: digest.sizeBytes };
    // A part does not tell whether the whole is right.
    if (span.length !== digest.sizeBytes && !file.verified && !(await this.#isRight(digest, file))) return undefined;
    const opened = await this.#openStream(file, options);
    if (opened === undefined) return undefined;
    return new FileByteSource(opened, span, file.verified ? undefined : this.#passingCheck(digest, file), options);
  }

  /** As StoredFiles.openRead; a file that turns out short is taken out of service. */
  async #openStream(file: StoredFile, options?: CallOptions): Promise<OpenFile | undefined> {
    const opened = await this.#files.openRead(file, options);
    return (
      opened && {
        read: async (into, offset) => {
          const got = await opened.read(into, offset);
          if (got < into.byteLength) await this.#corrupt(file, 'it is shorter than it was');
          return got;
        },
        [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
      }
    );
  }

  #passingCheck(digest: Digest, file: StoredFile): PassingCheck {
    const hasher = digest.function.createHasher();
    return {
      update: (piece) => hasher.update(piece),
      finish: async () => {
        if (hasher.hex() !== digest.hash) {
          await this.#files.quarantine(file, 'its bytes do not have its hash');
          throw new CacheError('corrupt', `blob ${digest.toString()} is corrupt on disk; it was taken out of service and can be uploaded again`);
        }
        file.verified = true;
      },
    };
  }

  /** Checks all of a file. When it resolves, the file is verified, or quarantined and out of the index, or was gone. */
  #isRight(digest: Digest, file: StoredFile): Promise<boolean> {
    const running = this.#checks.get(file);
    if (running !== undefined) return running;
    const check = this.#checkAll(digest, file).finally(() => this.#checks.delete(file));
    this.#checks.set(file, check);
    check.catch(() => undefined); // reported to whoever waits; nobody may, when the call was refused for another digest
    return check;
  }

  async #checkAll(digest: Digest, file: StoredFile): Promise<boolean> {
    const opened = await this.#files.openRead(file);
    if (opened === undefined) return false;
    const hasher = digest.function.createHasher();
    try {
      for await (const piece of new FileByteSource(opened, { offset: 0, length: file.contentBytes })) hasher.update(piece);
    } catch (thrown) {
      if (!(thrown instanceof CacheError) || thrown.code !== 'data_loss') throw thrown;
    }
    file.verified = hasher.hex() === digest.hash;
    if (!file.verified) await this.#corrupt(file, 'its bytes do not have its hash');
    return file.verified;
  }

  async #corrupt(file: StoredFile, reason: string): Promise<undefined> {
    await this.#files.quarantine(file, reason);
  }
}

function sourceOf(bytes: Uint8Array | undefined, options: GetOptions | undefined): ByteSource | undefined {
  if (bytes === undefined) return undefined;
  const range = options?.range;
  return byteSourceOf(range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length));
}

/** The value, or the CacheError that `work` failed with; anything else goes on. */
async function outcome<T>(work: () => Promise<T>): Promise<T | CacheError> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof CacheError) return thrown;
    throw thrown;
  }
}
