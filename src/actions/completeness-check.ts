// Tells whether everything that an action result refers to is there (AC-2). Whoever serves results asks it, and
// a result for which it gives a reason is served to nobody: a client without local copies could not go on.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { runSteps, step } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { BlobStore, GetResult } from '../blob/blob-store.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import type {
  ActionResult,
  Digest as DigestMessage,
  Directory,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { blobBatches } from './blob-batches.ts';
import { parseTree } from './tree-message.ts';
import { parseDirectory } from './walk-directories.ts';

/** What one check may read and hold. A result beyond a limit counts as incomplete: nobody has seen it whole. */
export interface CompletenessLimits {
  /** Digests that one result refers to, inside its directories too. */
  readonly digestsMax: number;
  /** Directory messages of one result, in Trees and below root directories. */
  readonly directoriesMax: number;
  /** Levels below a root directory: each costs a round of reads. */
  readonly depthMax: number;
  /** Bytes of Tree and Directory messages read in all for one result. */
  readonly messageBytesMax: number;
  /** Bytes of messages in memory at a time; a larger Tree is read alone. */
  readonly batchBytesMax: number;
  readonly batchBlobsMax: number;
  /** Up to so many bytes of messages are read at once, which is nearly every result; more waits its turn. */
  readonly freeReadBytesMax: number;
  /** Results of which more is read at a time, and those that may wait for it. */
  readonly largeReadsMax: number;
  readonly largeReadWaitersMax: number;
}

/** Several times the largest outputs known (package trees with some 100,000 files), at most some 100 MiB held. */
export const completenessLimits: CompletenessLimits = {
  digestsMax: 500_000,
  directoriesMax: 200_000,
  depthMax: 256,
  messageBytesMax: 64 * 1024 * 1024,
  batchBytesMax: 4 * 1024 * 1024,
  batchBlobsMax: 1024,
  freeReadBytesMax: 64 * 1024,
  largeReadsMax: 4, // of 64 MiB at worst
  largeReadWaitersMax: 1024,
};

/** Why a result may not be served, for logs; undefined when it is complete. */
export type Incompleteness = string | undefined;

/** One generator for both ways: it waits only where a store does. */
type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** Where a check collects what it meets, within the limits. */
interface Gathering {
  readonly files: DigestMessage[];
  directories: number;
  messageBytes: number;
}

/**
 * Checks results against one store. What is found present counts as used (AC-3): the store renews its leases.
 * Two questions to the store per result at most, however many files there are, beside reading its directories.
 */
export class CompletenessCheck {
  readonly #blobs: BlobStore;
  readonly #limits: CompletenessLimits;
  readonly #largeReads: Semaphore;

  constructor(blobs: BlobStore, limits: CompletenessLimits) {
    this.#blobs = blobs;
    this.#limits = limits;
    this.#largeReads = new Semaphore('action results with large directories', { permitsMax: limits.largeReadsMax, waitersMax: limits.largeReadWaitersMax });
  }

  /**
   * Why `result` is incomplete, or undefined. Everything it refers to has the function of its action (DG-5).
   * An output that is inlined must be in the store as well (AC-5).
   * @throws what the store throws when it cannot tell, and `unavailable` when too many large results are checked at
   *   the same time: that is no incompleteness.
   */
  whyIncomplete(result: ActionResult, digestFunction: DigestFunction, options?: CallOptions): MaybePromise<Incompleteness> {
    return runSteps(this.#check(result, digestFunction, options));
  }

  *#check(result: ActionResult, digestFunction: DigestFunction, options?: CallOptions): Steps<Incompleteness> {
    try {
      return yield* this.#checkAll(result, digestFunction, options);
    } catch (error) {
      // All that is asked here comes from the result. What the edge would refuse (a malformed digest, the wrong
      // size of a present blob) is a fault of the result: nobody could fetch it.
      if (error instanceof CacheError && error.code === 'invalid_argument') return error.message;
      throw error;
    }
  }

  *#checkAll(result: ActionResult, digestFunction: DigestFunction, options?: CallOptions): Steps<Incompleteness> {
    const { direct, trees, roots } = referencesOf(result);
    if (direct.length > this.#limits.digestsMax) return tooMany('digests', this.#limits.digestsMax);
    const missing = yield* this.#missing(parseList(digestFunction, direct), options);
    if (missing !== undefined || (trees.length === 0 && roots.length === 0)) return missing;

    const gathering: Gathering = { files: [], directories: 0, messageBytes: 0 };
    const incomplete =
      (yield* this.#gatherTrees(parseList(digestFunction, trees), gathering, options)) ??
      (yield* this.#gatherHierarchies(parseList(digestFunction, roots), gathering, options));
    if (incomplete !== undefined) return incomplete;
    return yield* this.#missing(parseList(digestFunction, gathering.files), options);
  }

  *#missing(digests: DigestList, options?: CallOptions): Steps<Incompleteness> {
    if (digests.length === 0) return undefined;
    const missing = yield* step(this.#blobs.findMissing(digests, options));
    return missing.length === 0 ? undefined : `${missing.length} of its blobs are absent, the first is ${missing.at(0).toString()}`;
  }

  *#gatherTrees(trees: DigestList, into: Gathering, options?: CallOptions): Steps<Incompleteness> {
    for (const batch of blobBatches(trees, this.#limits)) {
      using _turn = yield* this.#turnFor(batch, options);
      const messages = yield* this.#read(batch, into, options);
      if (typeof messages === 'string') return messages;
      for (const bytes of messages) {
        const tree = parseTree(bytes, this.#limits.directoriesMax - into.directories);
        if (tree === undefined) return 'one of its trees is no Tree message, or has too many directories';
        const known = new Set(tree.children.map((child) => digestText(trees.function.hashHex(child), child.byteLength)));
        for (const directoryBytes of [tree.root, ...tree.children]) {
          const directory = parseDirectory(directoryBytes); // one at a time: all of them could fill the memory
          if (directory === undefined) return 'one of its trees has a directory that is no Directory message';
          const incomplete = this.#gatherFiles(directory, into);
          if (incomplete !== undefined) return incomplete;
          const lost = directory.directories.find(({ digest }) => !known.has(digestText(digest?.hash, digest?.sizeBytes)));
          // A client makes the directories from the Tree alone, so having them as blobs would not help.
          if (lost !== undefined) return `one of its trees lacks the directory ${JSON.stringify(lost.name)}`;
        }
      }
    }
    return undefined;
  }

  *#gatherHierarchies(roots: DigestList, into: Gathering, options?: CallOptions): Steps<Incompleteness> {
    const seen = new Set<string>();
    let level = roots;
    for (let depth = 0; level.length > 0; depth += 1) {
      if (depth >= this.#limits.depthMax) return tooMany('levels of directories', this.#limits.depthMax);
      const children: DigestMessage[] = [];
      for (const batch of blobBatches(level, this.#limits)) {
        using _turn = yield* this.#turnFor(batch, options);
        const messages = yield* this.#read(batch, into, options);
        if (typeof messages === 'string') return messages;
        for (const bytes of messages) {
          const directory = parseDirectory(bytes);
          if (directory === undefined) return 'one of its directories is no Directory message';
          const incomplete = this.#gatherFiles(directory, into);
          if (incomplete !== undefined) return incomplete;
          collectUnseen(directory, seen, children);
        }
      }
      if (into.directories + children.length > this.#limits.directoriesMax) return tooMany('directories', this.#limits.directoriesMax);
      level = parseList(roots.function, children);
    }
    return undefined;
  }

  /** Counts one directory and takes the digests of its files. */
  #gatherFiles(directory: Directory, into: Gathering): Incompleteness {
    into.directories += 1;
    if (into.directories > this.#limits.directoriesMax) return tooMany('directories', this.#limits.directoriesMax);
    if (into.files.length + directory.files.length > this.#limits.digestsMax) return tooMany('files', this.#limits.digestsMax);
    for (const file of directory.files) into.files.push(required(file.digest, file.name));
    return undefined;
  }

  /** Held while the messages of a batch are in memory. @throws CacheError `unavailable` when too many wait. */
  *#turnFor(batch: DigestList, options?: CallOptions): Steps<Disposable | undefined> {
    return batch.totalBytes <= this.#limits.freeReadBytesMax ? undefined : yield* step(this.#largeReads.acquire(options));
  }

  /** The blobs of a batch, or why they cannot be had. */
  *#read(batch: DigestList, into: Gathering, options?: CallOptions): Steps<readonly Uint8Array[] | string> {
    into.messageBytes += batch.totalBytes;
    if (into.messageBytes > this.#limits.messageBytesMax) return tooMany('bytes of directories', this.#limits.messageBytesMax);
    if (options?.signal?.aborted === true) throw new CacheError('cancelled', 'the call was cancelled during a completeness check');
    const results: readonly GetResult[] = yield* step(this.#blobs.getMany(batch, options));
    const messages: Uint8Array[] = [];
    for (const [index, result] of results.entries()) {
      if (result instanceof CacheError) throw result;
      if (result === undefined) return `its directory ${batch.at(index).toString()} is absent`;
      messages.push(result);
    }
    return messages;
  }
}

function collectUnseen(directory: Directory, seen: Set<string>, into: DigestMessage[]): void {
  for (const { digest, name } of directory.directories) {
    const child = required(digest, name);
    if (!seen.has(child.hash)) into.push(child);
    seen.add(child.hash);
  }
}

/** All that the result names itself; trees and roots are part of `direct` too. */
function referencesOf(result: ActionResult) {
  const direct: DigestMessage[] = [];
  const trees: DigestMessage[] = [];
  const roots: DigestMessage[] = [];
  for (const file of result.outputFiles) direct.push(required(file.digest, file.path));
  for (const { path, treeDigest, rootDirectoryDigest } of result.outputDirectories) {
    if (treeDigest === undefined) roots.push(required(rootDirectoryDigest, path));
    else {
      trees.push(treeDigest);
      if (rootDirectoryDigest !== undefined) roots.push(rootDirectoryDigest);
    }
  }
  if (result.stdoutDigest !== undefined) direct.push(result.stdoutDigest);
  if (result.stderrDigest !== undefined) direct.push(result.stderrDigest);
  direct.push(...trees, ...roots);
  return { direct, trees, roots };
}

function required(digest: DigestMessage | undefined, name: string): DigestMessage {
  if (digest !== undefined) return digest;
  throw new CacheError('invalid_argument', `${JSON.stringify(name)} has no digest`);
}

function parseList(digestFunction: DigestFunction, digests: readonly DigestMessage[]): DigestList {
  return digests.length === 0 ? DigestList.empty : DigestList.parse(digestFunction, digests, (digest) => digest);
}

function digestText(hash: string | undefined, sizeBytes: bigint | number | undefined): string {
  return `${hash}/${sizeBytes}`;
}

function tooMany(what: string, limit: number): string {
  return `it has more than the ${limit} ${what} that are checked here`;
}
