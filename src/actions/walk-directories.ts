// Walks a hierarchy of Directory messages, level by level, for whoever wants to list it (GetTree). It lists what
// is there; whether a hierarchy is whole is another question (completeness-check.ts).
import { CacheError } from '../base/cache-error.ts';
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { NextTurn } from '../base/clock.ts';
import { PacedWork } from '../base/paced-work.ts';
import type { BlobStore, GetResult } from '../blob/blob-store.ts';
import { wrongSize } from '../blob/known-blob.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { DirectoryWalk } from '../proto/directory-walk.ts';
import type { ReceivedDigests } from '../proto/packed-digests.ts';
import { WireError } from '../proto/wire-reader.ts';
import { blobBatches } from './blob-batches.ts';
import { turnBytes } from './directory-gathering.ts';

export interface WalkLimits {
  /** Distinct directories of one walk. */
  readonly directoriesMax: number;
  /** Bytes of all directories of one walk. */
  readonly walkBytesMax: number;
  /** Bytes of one directory: it has to fit into one message of the answer, so a larger one is not even read. */
  readonly directoryBytesMax: number;
  /** Bytes of directories read ahead of the consumer; a larger directory is read alone. */
  readonly batchBytesMax: number;
  /** Directories read ahead of the consumer. */
  readonly batchBlobsMax: number;
}

/** Above the largest source trees known (actions with 600,000 inputs exist), below what could exhaust memory. */
export const walkLimits: WalkLimits = {
  directoriesMax: 1_000_000,
  walkBytesMax: 1024 * 1024 * 1024,
  directoryBytesMax: 4 * 1024 * 1024 - 64 * 1024,
  batchBytesMax: 1024 * 1024, // as much as a page: whoever reads slowly holds twice that
  batchBlobsMax: 1024,
};

/** Where directories are read from, and how others get their turn between them. */
export interface WalkSource {
  readonly blobs: BlobStore;
  readonly nextTurn: NextTurn;
  /** What is read ahead of the consumer is counted here. Reading for `blobs` is the store's to count. */
  readonly budget: ByteBudget;
}

export interface WalkedDirectory {
  readonly digest: Digest;
  /** A Directory message, as it is stored. */
  readonly bytes: Uint8Array;
}

/** What one more directory costs beside its bytes. */
const directoryCostBytes = 200;

/**
 * The directories below and including `root`: root first (GT-1), then level by level in the order in which they
 * are referred to, each distinct one once. The order depends on the hierarchy only, so that pages are stable.
 * A child that is absent, malformed or no Directory is left out, and what hangs on it (GT-2, GT-6).
 * `pass_on` comes before a read that would wait for memory: the consumer passes on what it holds before it asks for more,
 * or many of them would hold memory while they wait for it.
 * @throws CacheError `not_found` (no root), `invalid_argument` (the root is no Directory, or the hierarchy is
 *   above a limit), `failed_precondition` (a directory is too large for a message), `cancelled`, and what the store
 *   throws when it cannot tell.
 */
export async function* walkDirectories(
  { blobs, nextTurn, budget }: WalkSource,
  root: Digest,
  limits: WalkLimits,
  options?: CallOptions,
): AsyncGenerator<WalkedDirectory | 'pass_on', void, undefined> {
  using ahead = new HeldBytes(budget);
  const pace = new PacedWork(nextTurn, turnBytes, options);
  const seen = new Set([root.key]);
  let walkedBytes = 0;
  let level: readonly Digest[] = [root];
  while (level.length > 0) {
    const next: Digest[] = [];
    for (const named of blobBatches(DigestList.from(level), limits)) {
      throwIfCancelled(options);
      const batch = await readable(blobs, named, { root, directoryBytesMax: limits.directoryBytesMax }, options);
      if (batch.length === 0) continue;
      walkedBytes += batch.totalBytes;
      if (walkedBytes > limits.walkBytesMax) throw tooLarge(root, `${limits.walkBytesMax} bytes`);
      if (budget.wouldWait(batch.totalBytes)) yield 'pass_on';
      const results = await blobs.getMany(batch, options);
      ahead.set(batch.totalBytes);
      for (const [index, digest] of [...batch].entries()) {
        const isRoot = digest.key === root.key;
        const bytes = foundBytes(results[index], digest, isRoot);
        const children = bytes && (await childrenIn(bytes, pace));
        if (children === undefined && isRoot) throw noDirectory(digest);
        if (bytes === undefined || children === undefined) continue;
        collectUnseen(children, digest.function, seen, next);
        if (seen.size > limits.directoriesMax) throw tooLarge(root, `${limits.directoriesMax} directories`);
        yield { digest, bytes };
      }
      ahead.set(0);
    }
    level = next;
  }
}

/** Undefined when the directory is to be left out. */
function foundBytes(result: GetResult, digest: Digest, isRoot: boolean): Uint8Array | undefined {
  if (result instanceof CacheError) {
    // A wrong size is the referrer's mistake and leaves a child out; everything else means that nobody can tell.
    if (result.code === 'invalid_argument' && !isRoot) return undefined;
    throw result;
  }
  if (result === undefined && isRoot) throw absentRoot(digest);
  return result;
}

/** The directories in a Directory; undefined when the bytes are none. */
async function childrenIn(bytes: Uint8Array, pace: PacedWork): Promise<ReceivedDigests | undefined> {
  const walk = new DirectoryWalk(bytes);
  try {
    for (let left = bytes.byteLength; ; left -= turnBytes) {
      const more = walk.next(turnBytes);
      const pause = pace.did(Math.min(left, turnBytes) + directoryCostBytes);
      if (pause !== undefined) await pause;
      if (!more) return walk.directories;
    }
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** A malformed digest names nothing that could be there. */
function collectUnseen({ hashes, sizes }: ReceivedDigests, digestFunction: DigestFunction, seen: Set<string>, into: Digest[]): void {
  for (const [index, hash] of hashes.entries()) {
    const digest = parseOrUndefined(digestFunction, hash, sizes[index] ?? 0);
    if (digest === undefined || seen.has(digest.key)) continue;
    seen.add(digest.key);
    into.push(digest);
  }
}

function parseOrUndefined(digestFunction: DigestFunction, hash: string, sizeBytes: number | bigint): Digest | undefined {
  try {
    return Digest.parse(digestFunction, hash, sizeBytes);
  } catch (error) {
    if (error instanceof CacheError && error.code === 'invalid_argument') return undefined;
    throw error;
  }
}

/**
 * Those of `batch` that fit into a message. A larger one that nobody has is left out (GT-2) before memory is asked for:
 * whoever names it says how large it is.
 */
async function readable(
  blobs: BlobStore,
  batch: DigestList,
  { root, directoryBytesMax }: { readonly root: Digest; readonly directoryBytesMax: number },
  options: CallOptions | undefined,
): Promise<DigestList> {
  const fitting = batch.select((index) => batch.sizeAt(index) <= directoryBytesMax);
  if (fitting.length === batch.length) return batch;
  for (const digest of batch.select((index) => batch.sizeAt(index) > directoryBytesMax)) {
    const present = await blobs.resolve(digest.function, digest.hash, options);
    if (present?.sizeBytes === digest.sizeBytes) {
      const text = `directory ${digest.toString()} is larger than the ${directoryBytesMax} bytes of a message; read it as a blob`;
      throw new CacheError('failed_precondition', text);
    }
    if (digest.key === root.key) throw present === undefined ? absentRoot(root) : wrongSize(root, present.sizeBytes);
  }
  return fitting;
}

function throwIfCancelled(options: CallOptions | undefined): void {
  if (options?.signal?.aborted === true) throw new CacheError('cancelled', 'the call was cancelled while a tree was read');
}

function absentRoot(root: Digest): CacheError {
  return new CacheError('not_found', `directory ${root.toString()} is not in the cache`);
}

function noDirectory(root: Digest): CacheError {
  return new CacheError('invalid_argument', `blob ${root.toString()} is not a Directory message; the root of a tree must be one`);
}

function tooLarge(root: Digest, limit: string): CacheError {
  return new CacheError('invalid_argument', `the tree below directory ${root.toString()} has more than the ${limit} that are listed here`);
}
