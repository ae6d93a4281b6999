// Tells whether everything that an action result refers to is there (AC-2). Whoever serves results asks it, and
// a result for which it gives a reason is served to nobody: a client without local copies could not go on.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { NextTurn } from '../base/clock.ts';
import { runSteps, step } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { PacedWork } from '../base/paced-work.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { BlobStore, GetResult } from '../blob/blob-store.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import type { ActionReferences } from '../proto/action-result-walk.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import type { ReceivedDigests } from '../proto/packed-digests.ts';
import { blobBatches } from './blob-batches.ts';
import { DirectoryGathering, tooMany, turnBytes } from './directory-gathering.ts';
import type { Incompleteness, Steps } from './directory-gathering.ts';

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
  largeReadWaitersMax: 64,
};

/** So many digests are asked for at a time: some milliseconds where the store answers from memory. */
const questionDigestsMax = 5_000;

/** What was read for one result so far. */
interface Reading {
  readonly gathering: DirectoryGathering;
  messageBytes: number;
  /** The permit for more than a little, once it has one: to the end, since what was read of it is kept so long. */
  readonly turn: DisposableStack;
  hasTurn: boolean;
}

/**
 * Checks results against one store. What is found present counts as used (AC-3): the store renews its leases.
 * Two questions to the store per result, however many files there are (but for thousands), beside reading its
 * directories.
 */
export class CompletenessCheck {
  readonly #blobs: BlobStore;
  readonly #limits: CompletenessLimits;
  readonly #largeReads: Semaphore;
  readonly #nextTurn: NextTurn;

  /** Work that takes long is done in parts, with others having their turn between them. */
  constructor(blobs: BlobStore, limits: CompletenessLimits, nextTurn: NextTurn) {
    this.#blobs = blobs;
    this.#limits = limits;
    this.#nextTurn = nextTurn;
    this.#largeReads = new Semaphore('action results with large directories', { permitsMax: limits.largeReadsMax, waitersMax: limits.largeReadWaitersMax });
  }

  /**
   * Why `result` is incomplete, or undefined. Everything it refers to has the function of its action (DG-5).
   * An output that is inlined must be in the store as well (AC-5).
   * @throws what the store throws when it cannot tell, and `unavailable` when too many large results are checked at
   *   the same time: that is no incompleteness.
   */
  whyIncomplete(result: EncodedActionResult, digestFunction: DigestFunction, options?: CallOptions): MaybePromise<Incompleteness> {
    return runSteps(this.#check(result.references, digestFunction, options));
  }

  *#check(references: ActionReferences, digestFunction: DigestFunction, options?: CallOptions): Steps<Incompleteness> {
    try {
      return yield* this.#checkAll(references, digestFunction, options);
    } catch (error) {
      // All that is asked here comes from the result. What the edge would refuse (a malformed digest, the wrong
      // size of a present blob) is a fault of the result: nobody could fetch it.
      if (error instanceof CacheError && error.code === 'invalid_argument') return error.message;
      throw error;
    }
  }

  *#checkAll({ files, trees, roots, withoutDigest }: ActionReferences, digestFunction: DigestFunction, options?: CallOptions): Steps<Incompleteness> {
    if (withoutDigest !== undefined) return `${JSON.stringify(withoutDigest)} has no digest`;
    const hasDirectories = trees.hashes.length > 0 || roots.hashes.length > 0;
    const direct = hasDirectories ? joined(files, trees, roots) : files;
    if (direct.hashes.length > this.#limits.digestsMax) return tooMany('digests', this.#limits.digestsMax);
    const missing = yield* this.#missing(digestFunction, direct, options);
    if (missing !== undefined || !hasDirectories) return missing;

    const gathering = new DirectoryGathering(digestFunction, this.#limits, new PacedWork(this.#nextTurn, turnBytes, options));
    using turn = new DisposableStack();
    const reading: Reading = { gathering, messageBytes: 0, turn, hasTurn: false };
    const incomplete =
      (yield* this.#gatherTrees(DigestList.check(digestFunction, trees), reading, options)) ??
      (yield* this.#gatherHierarchies(DigestList.check(digestFunction, roots), reading, options));
    return incomplete ?? (yield* this.#missing(digestFunction, gathering.files, options));
  }

  *#missing(digestFunction: DigestFunction, digests: ReceivedDigests, options?: CallOptions): Steps<Incompleteness> {
    const { length } = digests.hashes;
    for (let from = 0; from < length; from += questionDigestsMax) {
      if (from > 0) yield new PacedWork(this.#nextTurn, turnBytes, options).pause();
      const asked = DigestList.check(digestFunction, length <= questionDigestsMax ? digests : part(digests, from));
      const missing = yield* step(this.#blobs.findMissing(asked, options));
      if (missing.length > 0) return `${missing.length} of its blobs are absent, the first is ${missing.at(0).toString()}`;
    }
    return undefined;
  }

  *#gatherTrees(trees: DigestList, reading: Reading, options?: CallOptions): Steps<Incompleteness> {
    for (const batch of blobBatches(trees, this.#limits)) {
      const messages = yield* this.#read(batch, reading, options);
      if (typeof messages === 'string') return messages;
      for (const bytes of messages) {
        const incomplete = yield* reading.gathering.tree(bytes);
        if (incomplete !== undefined) return incomplete;
      }
    }
    return undefined;
  }

  *#gatherHierarchies(roots: DigestList, reading: Reading, options?: CallOptions): Steps<Incompleteness> {
    const { gathering } = reading;
    const seen = new Set<string>();
    let level = roots;
    for (let depth = 0; level.length > 0; depth += 1) {
      if (depth >= this.#limits.depthMax) return tooMany('levels of directories', this.#limits.depthMax);
      const children = new UnseenDigests(seen);
      for (const batch of blobBatches(level, this.#limits)) {
        const messages = yield* this.#read(batch, reading, options);
        if (typeof messages === 'string') return messages;
        for (const bytes of messages) {
          const found = yield* gathering.directory(bytes);
          if (typeof found === 'string') return found;
          children.add(found);
        }
      }
      if (gathering.directories + children.hashes.length > this.#limits.directoriesMax) return tooMany('directories', this.#limits.directoriesMax);
      level = DigestList.check(roots.function, children);
    }
    return undefined;
  }

  /** The blobs of a batch, or why they cannot be had. @throws CacheError `unavailable` when too many wait for their turn. */
  *#read(batch: DigestList, into: Reading, options?: CallOptions): Steps<readonly Uint8Array[] | string> {
    into.messageBytes += batch.totalBytes;
    if (into.messageBytes > this.#limits.messageBytesMax) return tooMany('bytes of directories', this.#limits.messageBytesMax);
    if (!into.hasTurn && into.messageBytes > this.#limits.freeReadBytesMax) {
      into.turn.use(yield* step(this.#largeReads.acquire(options)));
      into.hasTurn = true;
    }
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

/** Digests that were not seen before, each once. */
class UnseenDigests implements ReceivedDigests {
  readonly hashes: string[] = [];
  readonly sizes: (number | bigint)[] = [];
  lowerHex = true;
  readonly #seen: Set<string>;

  constructor(seen: Set<string>) {
    this.#seen = seen;
  }

  add({ hashes, sizes, lowerHex }: ReceivedDigests): void {
    if (!lowerHex) this.lowerHex = false;
    for (const [index, hash] of hashes.entries()) {
      if (this.#seen.size === this.#seen.add(hash).size) continue;
      this.hashes.push(hash);
      this.sizes.push(sizes[index] ?? 0);
    }
  }
}

function joined(...parts: readonly ReceivedDigests[]): ReceivedDigests {
  return {
    hashes: parts.flatMap(({ hashes }) => hashes),
    sizes: parts.flatMap(({ sizes }) => sizes),
    lowerHex: parts.every(({ lowerHex }) => lowerHex),
  };
}

function part({ hashes, sizes, lowerHex }: ReceivedDigests, from: number): ReceivedDigests {
  const to = from + questionDigestsMax;
  return { hashes: hashes.slice(from, to), sizes: sizes.slice(from, to), lowerHex };
}
