// Collects what the directories of an action result refer to, for the completeness check: reads Tree and Directory
// messages a part at a time, so that the largest of them stop no other call.
import type { PacedWork } from '../base/paced-work.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DirectoryWalk } from '../proto/directory-walk.ts';
import { PackedDigests } from '../proto/packed-digests.ts';
import type { ReceivedDigests } from '../proto/packed-digests.ts';
import { WireError } from '../proto/wire-reader.ts';
import { TreeReader } from './tree-message.ts';

/** One generator for both ways: it waits only where a store does, or where others must have their turn. */
export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** Why a result may not be served, for logs; undefined when it is complete. */
export type Incompleteness = string | undefined;

export interface GatheringLimits {
  readonly digestsMax: number;
  readonly directoriesMax: number;
}

/** Hashed or walked in one turn of the loop: some milliseconds. */
export const turnBytes = 256 * 1024;
/** What looking at one more directory costs, in bytes. */
const directoryCostBytes = 200;

/** For one result. */
export class DirectoryGathering {
  /** Of the files in all directories so far. */
  readonly files = new PackedDigests(Infinity);
  readonly #digestFunction: DigestFunction;
  readonly #limits: GatheringLimits;
  readonly #pace: PacedWork;
  #directories = 0;

  constructor(digestFunction: DigestFunction, limits: GatheringLimits, pace: PacedWork) {
    this.#digestFunction = digestFunction;
    this.#limits = limits;
    this.#pace = pace;
  }

  get directories(): number {
    return this.#directories;
  }

  /** Takes in a Tree: all of its directories must be in it. */
  *tree(bytes: Uint8Array): Steps<Incompleteness> {
    try {
      const directories: Uint8Array[] = [];
      const sizes = new Map<string, number>(); // of the children, by hash
      const reader = new TreeReader(bytes);
      for (let found = reader.next(); found !== undefined; found = reader.next()) {
        if (directories.push(found.bytes) + this.#directories > this.#limits.directoriesMax) return 'one of its trees has too many directories';
        if (!found.isRoot) sizes.set(yield* this.#hashOf(found.bytes), found.bytes.byteLength);
      }
      for (const directory of directories) {
        const walked = yield* this.#walk(directory);
        if (typeof walked === 'string') return walked;
        const lost = walked.hashes.findIndex((hash, index) => sizes.get(hash) !== walked.sizes[index]);
        // A client makes the directories from the Tree alone, so having them as blobs would not help.
        if (lost >= 0) return `one of its trees lacks the directory ${walked.hashes[lost]}/${walked.sizes[lost]}`;
      }
      return undefined;
    } catch (error) {
      return reasonOf(error, 'one of its trees');
    }
  }

  /** Takes in a Directory, and gives the digests of those in it, or why the result is incomplete. */
  *directory(bytes: Uint8Array): Steps<ReceivedDigests | string> {
    try {
      return yield* this.#walk(bytes);
    } catch (error) {
      return reasonOf(error, 'one of its directories');
    }
  }

  *#walk(bytes: Uint8Array): Steps<ReceivedDigests | string> {
    this.#directories += 1;
    if (this.#directories > this.#limits.directoriesMax) return tooMany('directories', this.#limits.directoriesMax);
    const walk = new DirectoryWalk(bytes, this.files);
    for (let left = bytes.byteLength; ; left -= turnBytes) {
      const more = walk.next(turnBytes);
      if (walk.withoutDigest !== undefined) return `${JSON.stringify(walk.withoutDigest)} has no digest`;
      if (this.files.length > this.#limits.digestsMax) return tooMany('files', this.#limits.digestsMax);
      yield* this.#did(Math.min(left, turnBytes) + directoryCostBytes);
      if (!more) return walk.directories;
    }
  }

  *#hashOf(bytes: Uint8Array): Steps<string> {
    if (bytes.byteLength <= turnBytes) {
      yield* this.#did(bytes.byteLength + directoryCostBytes);
      return this.#digestFunction.hashHex(bytes);
    }
    const hasher = this.#digestFunction.createHasher();
    for (let offset = 0; offset < bytes.byteLength; offset += turnBytes) {
      hasher.update(bytes.subarray(offset, offset + turnBytes));
      yield* this.#did(turnBytes);
    }
    return hasher.hex();
  }

  *#did(bytes: number): Steps<void> {
    const pause = this.#pace.did(bytes);
    if (pause !== undefined) yield pause;
  }
}

export function tooMany(what: string, limit: number): string {
  return `it has more than the ${limit} ${what} that are checked here`;
}

function reasonOf(error: unknown, what: string): string {
  if (error instanceof WireError) return `${what} is no such message: ${error.message}`;
  throw error;
}
