// Kiln's cache services over memory stores on a loopback port, with a client that is not ours.
import type { DescMessage, DescMethodClientStreaming, DescMethodServerStreaming, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { ClientWritableStream } from '@grpc/grpc-js';
import { CompletenessCheckingActionCache } from '../actions/completeness-checking-action-cache.ts';
import { CompletenessCheck, completenessLimits } from '../actions/completeness-check.ts';
import { EntryRights } from '../actions/entry-rights.ts';
import { StoredActionCache, storedActionCacheLimits } from '../actions/stored-action-cache.ts';
import { walkLimits } from '../actions/walk-directories.ts';
import type { Authorizer, Right } from '../base/authorizer.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import { noCacheUsage } from '../base/cache-usage.ts';
import type { CacheUsage } from '../base/cache-usage.ts';
import { CacheError } from '../base/cache-error.ts';
import { noMeter } from '../base/metrics.ts';
import type { Meter } from '../base/metrics.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { GrpcLimits } from '../grpc/limits.ts';
import { nextTurn } from '../platform/clocks.ts';
import { createActionCacheService } from '../services/action-cache.ts';
import { createByteStreamService } from '../services/byte-stream.ts';
import { createCapabilitiesService } from '../services/capabilities.ts';
import { createContentAddressableStorageService } from '../services/content-addressable-storage.ts';
import { defaultServiceLimits } from '../services/limits.ts';
import type { ServiceLimits } from '../services/limits.ts';
import { GrpcJsClient } from './grpc-js-client.ts';
import { RecordedLog } from './recorded-log.ts';
import { serveGrpc } from './serve-grpc.ts';
import type { GrpcTestServer } from './serve-grpc.ts';

export interface ServeCacheOptions {
  /** Default: read, write and overwrite. */
  readonly rights?: readonly Right[];
  readonly limits?: Partial<ServiceLimits>;
  readonly grpc?: Partial<GrpcLimits>;
  /** The store under the rule of the empty blob; default: a memory store. */
  readonly blobs?: BlobStore;
  readonly meter?: Meter;
  /** Told of hits and misses; default: nobody is. */
  readonly usage?: CacheUsage;
}

/** A served cache: what it stores, and a client that is connected to it. */
export interface ServedCache extends AsyncDisposable {
  readonly blobs: BlobStore;
  readonly client: CacheClient;
  readonly server: GrpcTestServer;
  /** Of the services and the action cache. */
  readonly log: RecordedLog;
  /** Stores bytes behind the back of the services. */
  keep(bytes: Uint8Array, digestFunction?: DigestFunction): Promise<Digest>;
}

/** Calls that give messages alone and reject with grpc-js's ServiceError (`code`, `details`). */
export class CacheClient implements Disposable {
  readonly grpc: GrpcJsClient;

  /** Takes answers up to 4 MiB, as clients do that were not configured otherwise. */
  constructor(address: string) {
    this.grpc = new GrpcJsClient(address, { 'grpc.max_receive_message_length': 4 * 1024 * 1024 });
  }

  async unary<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, request: MessageInitShape<I>) {
    return (await this.grpc.unary(method, request)).message;
  }

  /** All messages of the answer, in order. */
  async collect<I extends DescMessage, O extends DescMessage>(method: DescMethodServerStreaming<I, O>, request: MessageInitShape<I>) {
    return Array.fromAsync<MessageShape<O>>(this.grpc.serverStream(method, request));
  }

  /** Sends the messages without waiting, ends its side, and gives the answer. */
  upload<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    messages: Iterable<MessageInitShape<I>>,
  ): Promise<MessageShape<O>> {
    const { call, answer } = this.openUpload(method);
    for (const message of messages) call.write(message);
    call.end();
    return answer;
  }

  /** For who wants to send step by step. The answer may be left alone. */
  openUpload<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
  ): { readonly call: ClientWritableStream<MessageInitShape<I>>; readonly answer: Promise<MessageShape<O>> } {
    const { call, outcome } = this.grpc.clientStream(method);
    const answer = outcome.then(({ message }) => message);
    answer.catch(() => undefined);
    call.on('error', () => undefined); // a write after the answer came; the answer tells
    return { call, answer };
  }

  [Symbol.dispose](): void {
    this.grpc[Symbol.dispose]();
  }
}

/** Grants exactly `rights`, to everybody and in every instance. */
export function authorizerOf(rights: readonly Right[]): Authorizer {
  const refuse = (right: Right, where: string): void => {
    if (!rights.includes(right)) throw new CacheError('permission_denied', `no right to ${right} ${where}`);
  };
  return {
    allows: (_caller, right) => rights.includes(right),
    allowsSomewhere: (_caller, right) => rights.includes(right),
    whyNot: (_caller, right, instance) => `no right to ${right} in ${JSON.stringify(instance)}`,
    require: (_caller, right, instance) => refuse(right, `in ${JSON.stringify(instance)}`),
    requireSomewhere: (_caller, right) => refuse(right, 'anywhere'),
  };
}

export async function serveCache(options: ServeCacheOptions = {}): Promise<ServedCache> {
  const blobs = new EmptyAwareBlobStore(options.blobs ?? new MemoryBlobStore());
  const log = new RecordedLog();
  const stored = new StoredActionCache(new MemoryValueStore(), storedActionCacheLimits, log);
  const actions = new CompletenessCheckingActionCache(stored, new CompletenessCheck(blobs, completenessLimits, nextTurn), log);
  const limits = { ...defaultServiceLimits, ...options.limits };
  const authorizer = authorizerOf(options.rights ?? ['read', 'write', 'overwrite']);
  const entryRights = new EntryRights(authorizer, options.meter ?? noMeter, log);
  const dependencies = { blobs, actions, entryRights, authorizer, limits, walkLimits, nextTurn, usage: options.usage ?? noCacheUsage, log };
  const server = await serveGrpc([
    createCapabilitiesService(dependencies),
    createContentAddressableStorageService(dependencies),
    createByteStreamService(dependencies),
    createActionCacheService(dependencies),
  ], { grpc: options.grpc ?? {} });
  const client = new CacheClient(server.address);
  return {
    blobs,
    client,
    server,
    log,
    async keep(bytes, digestFunction = sha256) {
      const digest = Digest.of(bytes, digestFunction);
      await blobs.put(digest, byteSourceOf(bytes));
      return digest;
    },
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
