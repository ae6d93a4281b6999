// build.bazel.remote.execution.v2.ContentAddressableStorage over a BlobStore. SplitBlob and SpliceBlob are left
// out, so they answer UNIMPLEMENTED, and Capabilities does not announce them.
import { walkDirectories } from '../actions/walk-directories.ts';
import type { WalkLimits } from '../actions/walk-directories.ts';
import type { Authorizer } from '../base/authorizer.ts';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import type { CacheUsage } from '../base/cache-usage.ts';
import { CacheError } from '../base/cache-error.ts';
import type { NextTurn } from '../base/clock.ts';
import { hashDigits } from '../base/hex-words.ts';
import type { Log } from '../base/log.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { BlobBytes, BlobStore, GetResult, GetResults, PutResult } from '../blob/blob-store.ts';
import { ListedBlob } from '../blob/listed-blob.ts';
import type { SentBytes } from '../blob/listed-blob.ts';
import { Digest } from '../digest/digest.ts';
import { resolveDigestFunction, sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { packDetails } from '../grpc/outcome.ts';
import { implementService } from '../grpc/service.ts';
import type { CallContext, Handlers, ServiceImplementation } from '../grpc/service.ts';
import { grpcStatusOf } from '../grpc/status.ts';
import type { EntryStatus } from '../proto/batch-entry-writer.ts';
import type { BatchReadAnswer, BatchReadQuery } from '../proto/batch-read-codec.ts';
import type { BatchUpdateAnswer, BatchUpdateItem, BatchUpdateQuery } from '../proto/batch-update-codec.ts';
import type { FindMissingAnswer, FindMissingQuery } from '../proto/find-missing-codec.ts';
import { Compressor_Value, ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { GetTreeRequest } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ReceivedDigests } from '../proto/packed-digests.ts';
import type { ServiceLimits } from './limits.ts';
import { batchDigestFunction, requestDigest } from './request-digest.ts';
import { treePages } from './tree-pages.ts';

export interface ContentAddressableStorageDependencies {
  readonly blobs: BlobStore;
  readonly authorizer: Authorizer;
  readonly limits: ServiceLimits;
  readonly walkLimits: WalkLimits;
  /** Lets others have their turn while a large tree is read. */
  readonly nextTurn: NextTurn;
  /** What a listing of a tree holds is counted here; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
  readonly usage: CacheUsage;
  readonly log: Log;
}

/** What a digest takes in an answer beside its hash: its size, and tags and lengths of three fields. */
const digestOverheadBytes = 16;
/** The same with the status (but for its text) and the framing of the data of an entry, rounded up. */
const entryOverheadBytes = 40;
/** The longest text in the status of an entry. Of thousands of entries each has as much as leaves room for all. */
const entryTextCharsMax = 300;
/** Of the details of an entry: stores give a kind and a delay, some 60 each as ErrorInfo and RetryInfo of google.rpc (ERR-2). */
const detailsBytesMax = 150;
/** Per UTF-16 code unit of a text. */
const utf8BytesMax = 3;

/** The one that a hash of 64 digits means by itself (DG-3). */
const ofSixtyFourDigits = resolveDigestFunction(0, sha256.emptyHash);

const identity: number = Compressor_Value.IDENTITY;
const absentText = 'not in the cache';

export function createContentAddressableStorageService(dependencies: ContentAddressableStorageDependencies): ServiceImplementation {
  const service = new ContentAddressableStorageService(dependencies);
  const handlers: Handlers<typeof ContentAddressableStorage> = {
    findMissingBlobs: (request, context) => service.findMissing(request, context),
    batchUpdateBlobs: (request, context) => service.batchUpdate(request, context),
    batchReadBlobs: (request, context) => service.batchRead(request, context),
    getTree: (request, context) => service.getTree(request, context),
  };
  return implementService(ContentAddressableStorage, handlers);
}

class ContentAddressableStorageService {
  readonly #blobs: BlobStore;
  readonly #authorizer: Authorizer;
  readonly #limits: ServiceLimits;
  readonly #walkLimits: WalkLimits;
  readonly #nextTurn: NextTurn;
  readonly #budget: ByteBudget;
  readonly #usage: CacheUsage;
  readonly #log: Log;

  constructor({ blobs, authorizer, limits, walkLimits, nextTurn, budget, usage, log }: ContentAddressableStorageDependencies) {
    this.#blobs = blobs;
    this.#authorizer = authorizer;
    this.#limits = limits;
    this.#walkLimits = walkLimits;
    this.#nextTurn = nextTurn;
    this.#budget = budget ?? unboundedByteBudget();
    this.#usage = usage;
    this.#log = log;
  }

  /** Answers in the same turn of the loop when the store does. */
  findMissing(request: FindMissingQuery, context: CallContext): MaybePromise<FindMissingAnswer> {
    this.#require('read', request.instanceName, context);
    const { digests } = request;
    const asked = DigestList.check(functionOf(request.digestFunction, digests), digests);
    // The context is its own options: a signal is only made when a store asks for it.
    const missing = this.#blobs.findMissing(asked, context);
    const { finds } = this.#usage.of(context.tool, request.instanceName);
    if (isPromise(missing)) {
      return missing.then((list) => {
        finds.add(asked.length - list.length, list.length);
        return this.#missingAnswer(list);
      });
    }
    finds.add(asked.length - missing.length, missing.length);
    return this.#missingAnswer(missing);
  }

  #missingAnswer(missing: DigestList): FindMissingAnswer {
    const digestBytes = missing.function.hexLength + digestOverheadBytes;
    if (missing.length * digestBytes > this.#limits.answerBytesMax) {
      const most = Math.floor(this.#limits.answerBytesMax / digestBytes);
      throw new CacheError('invalid_argument', `${missing.length} blobs are missing, too many for one answer; ask for at most ${most} at a time`);
    }
    return { missing };
  }

  async batchUpdate(request: BatchUpdateQuery, context: CallContext): Promise<BatchUpdateAnswer> {
    this.#require('write', request.instanceName, context);
    const { digests, requests } = request;
    const digestFunction = batchFunctionOf(request.digestFunction, digests);
    this.#checkBatch(requests.reduce((sum, { dataBytes }) => sum + dataBytes, 0), 'write large blobs by ByteStream');
    const textCharsMax = this.#entryTextCharsMax(requests.length, digests, 0);
    const checked = checkEach(digestFunction, digests);
    const outcomes = requests.map((entry): BlobBytes | CacheError => {
      if (entry.compressor !== identity) return compressed(entry);
      if (entry.digestIndex < 0) return new CacheError('invalid_argument', 'digest is not set');
      return checked.blob(entry.digestIndex, entry);
    });
    const accepted = outcomes.filter((outcome): outcome is BlobBytes => !(outcome instanceof CacheError));
    const results = accepted.length === 0 ? [] : await this.#blobs.putMany(accepted, context);
    let next = 0;
    return {
      // The client's own digests, so that it finds its entry whatever is wrong with it.
      digests,
      digestIndexes: requests.map(({ digestIndex }) => digestIndex),
      outcomes: outcomes.map((outcome) => {
        const failure: PutResult = outcome instanceof CacheError ? outcome : results[next++];
        return failure === undefined ? undefined : this.#failedEntry(failure, textCharsMax);
      }),
    };
  }

  batchRead(request: BatchReadQuery, context: CallContext): MaybePromise<BatchReadAnswer> {
    this.#require('read', request.instanceName, context);
    const { digests } = request;
    const { length } = digests.sizes;
    const digestFunction = batchFunctionOf(request.digestFunction, digests);
    this.#entryTextCharsMax(length, digests, 0); // first, since each malformed digest makes an error
    const { asked, refused } = checkEach(digestFunction, digests);
    this.#checkBatch(asked.totalBytes, 'read large blobs by ByteStream');
    const textCharsMax = this.#entryTextCharsMax(length, digests, asked.totalBytes);
    const answer = (found: GetResults): BatchReadAnswer => {
      this.#countReads(found, request.instanceName, context);
      let next = 0;
      const outcomes: (Uint8Array | EntryStatus)[] = [];
      for (let index = 0; index < length; index += 1) {
        const result = (refused.size === 0 ? undefined : refused.get(index)) ?? found[next++];
        outcomes.push(result instanceof Uint8Array ? result : this.#unreadEntry(result, textCharsMax));
      }
      return { digests, outcomes, done: found.done };
    };
    const found = asked.length === 0 ? [] : this.#blobs.getMany(asked, context);
    return isPromise(found) ? found.then(answer) : answer(found);
  }

  async *getTree(request: GetTreeRequest, context: CallContext) {
    this.#require('read', request.instanceName, context);
    const root = requestDigest(request.digestFunction, request.rootDigest, 'root_digest');
    if (request.pageSize < 0) throw new CacheError('invalid_argument', `page_size ${request.pageSize} is negative; 0 means no bound`);
    const budget = this.#budget;
    const walk = walkDirectories({ blobs: this.#blobs, nextTurn: this.#nextTurn, budget }, root, this.#walkLimits, context);
    const directoriesMax = request.pageSize === 0 ? Infinity : request.pageSize;
    yield* treePages(walk, { pageToken: request.pageToken, directoriesMax, limits: this.#limits, budget });
  }

  /** What could not be told is neither a hit nor a miss. */
  #countReads(found: readonly GetResult[], instanceName: string, context: CallContext): void {
    let hits = 0;
    let misses = 0;
    for (const result of found) {
      if (result === undefined) misses += 1;
      else if (result instanceof Uint8Array) hits += 1;
    }
    this.#usage.of(context.tool, instanceName).reads.add(hits, misses);
  }

  #unreadEntry(result: CacheError | undefined, textCharsMax: number): EntryStatus {
    return result === undefined ? { code: grpcStatusOf.not_found, message: shortened(absentText, textCharsMax) } : this.#failedEntry(result, textCharsMax);
  }

  #failedEntry(error: CacheError, textCharsMax: number): EntryStatus {
    const { code, message } = error;
    // The call itself succeeds, so nobody else would hear of it.
    if (code === 'internal') this.#log.error('a blob of a batch failed for a reason that is a fault of this server', error);
    const status = { code: grpcStatusOf[code], message: shortened(message, textCharsMax) };
    const room = utf8BytesMax * (textCharsMax - status.message.length);
    const details = room < detailsBytesMax ? [] : packDetails(error);
    return details.length === 0 ? status : { ...status, details };
  }

  #require(right: 'read' | 'write', instanceName: string, context: CallContext): void {
    this.#authorizer.require(context.caller, right, parseInstanceName(instanceName));
  }

  /** Counts blobs, not messages (CAS-12). @throws CacheError `invalid_argument` above the advertised limit. */
  #checkBatch(blobBytes: number, instead: string): void {
    const { batchBytesMax } = this.#limits;
    if (blobBytes <= batchBytesMax) return;
    throw new CacheError(
      'invalid_argument',
      `the blobs of this batch have ${blobBytes} bytes, and max_batch_total_size_bytes is ${batchBytesMax}; send fewer, and ${instead}`,
    );
  }

  /**
   * How long the text of each entry may be, so that the whole answer stays within its limit (CAS-18): everything is
   * counted, and each entry echoes its digest, a malformed one as long as it came.
   * @throws CacheError `invalid_argument` when the answer would be too large without any text.
   */
  #entryTextCharsMax(count: number, digests: ReceivedDigests, dataBytes: number): number {
    const { answerBytesMax } = this.#limits;
    let boundBytes = dataBytes + count * entryOverheadBytes;
    if (digests.words === undefined) for (const hash of digests.hashes) boundBytes += Buffer.byteLength(hash);
    else boundBytes += digests.sizes.length * hashDigits;
    if (boundBytes <= answerBytesMax) {
      return Math.min(entryTextCharsMax, Math.floor((answerBytesMax - boundBytes) / utf8BytesMax / Math.max(1, count)));
    }
    throw new CacheError(
      'invalid_argument',
      `the answer for ${count} blobs could have ${boundBytes} bytes, and clients take ${answerBytesMax}; send fewer at a time`,
    );
  }
}

function shortened(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, Math.max(0, charsMax - 3))}...`.slice(0, charsMax);
}

function compressed({ compressor }: BatchUpdateItem): CacheError {
  return new CacheError('invalid_argument', `compressor ${compressor} is not among supported_batch_update_compressors; send the bytes as they are`);
}

/** As `resolveDigestFunction`, without making texts of hashes for their length alone. */
function functionOf(wireValue: number, digests: ReceivedDigests): DigestFunction {
  if (wireValue === 0 && digests.words !== undefined && digests.sizes.length > 0) return ofSixtyFourDigits;
  return resolveDigestFunction(wireValue, wireValue === 0 ? digests.hashes[0] : undefined);
}

/** As `batchDigestFunction`, in the same way. */
function batchFunctionOf(wireValue: number, digests: ReceivedDigests): DigestFunction {
  if (wireValue === 0 && digests.words !== undefined) return ofSixtyFourDigits;
  return batchDigestFunction(wireValue, wireValue === 0 ? digests.hashes : []);
}

/** Digests of a batch, which are judged one by one. */
interface CheckedDigests {
  /** Those that are well formed. */
  readonly asked: DigestList;
  /** Why the others are not, by their index. */
  readonly refused: ReadonlyMap<number, CacheError>;
  /** The blob of the digest of that index. */
  blob(index: number, sent: SentBytes): BlobBytes | CacheError;
}

function checkEach(digestFunction: DigestFunction, digests: ReceivedDigests): CheckedDigests {
  const all = settled(() => DigestList.check(digestFunction, digests));
  if (all instanceof DigestList) return { asked: all, refused: new Map(), blob: (index, sent) => new ListedBlob(all, index, sent) }; // nearly always
  const outcomes = digests.hashes.map((hash, index) => settled(() => Digest.parse(digestFunction, hash, digests.sizes[index] ?? 0)));
  const refused = new Map<number, CacheError>();
  for (const [index, outcome] of outcomes.entries()) if (outcome instanceof CacheError) refused.set(index, outcome);
  const asked = DigestList.from(outcomes.filter((outcome): outcome is Digest => !(outcome instanceof CacheError)));
  const blob = (index: number, { data: bytes }: SentBytes): BlobBytes | CacheError => {
    const digest = outcomes[index] ?? all;
    return digest instanceof CacheError ? digest : { digest, bytes };
  };
  return { asked, refused, blob };
}

/** The value, or the CacheError that `compute` threw; anything else is our bug and ends the call. */
function settled<T>(compute: () => T): T | CacheError {
  try {
    return compute();
  } catch (error) {
    if (error instanceof CacheError) return error;
    throw error;
  }
}
