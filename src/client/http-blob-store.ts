// Blobs of a Kiln server over its HTTP build cache. One request per blob: the protocol has no others.
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { HttpReply } from '../base/http-client.ts';
import { mapBounded } from '../base/semaphore.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, PutResult } from '../blob/blob-store.ts';
import { checkRange, wrongSize } from '../blob/known-blob.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestKey } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { InstanceName } from '../digest/instance-name.ts';
import { cut, exactly } from './exact-bytes.ts';
import type { HttpCalls } from './http-calls.ts';
import { cachePath } from './http-paths.ts';
import { rangeHeader, rangeOf } from './http-range.ts';

/** From this size on, asking whether a blob is there and whether it is wanted costs little beside sending it. */
const largeBlobBytes = 256 * 1024;

/**
 * What the protocol cannot tell is not promised: it has no leases, does not say what an answered put survives, and
 * its largest blob is known from refusals only (`invalid_argument`).
 */
const capabilities: BlobStoreCapabilities = { leaseMs: 0, survives: 'nothing', blobBytesMax: Number.MAX_SAFE_INTEGER };

export interface HttpBlobStoreOptions {
  readonly instance: InstanceName;
  /** Requests that one call sends at a time. */
  readonly requestsMax: number;
}

/** The server checks the hash of what is put; what is got is as good as the connection and the server. */
export class HttpBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities = capabilities;
  readonly #calls: HttpCalls;
  readonly #options: HttpBlobStoreOptions;

  constructor(calls: HttpCalls, options: HttpBlobStoreOptions) {
    this.#calls = calls;
    this.#options = options;
  }

  async findMissing(digests: DigestList, options?: CallOptions): Promise<DigestList> {
    const asked = new Map<DigestKey, number>();
    for (let index = 0; index < digests.length; index += 1) {
      const key = digests.keyAt(index);
      const first = asked.get(key);
      if (first === undefined) asked.set(key, index);
    }
    const firsts = [...asked.values()];
    const present = await mapBounded(firsts, this.#options.requestsMax, (index) => this.#isPresent(digests.at(index), options));
    const missing = new Set(firsts.filter((_, position) => present[position] === false));
    return digests.select((index) => missing.has(index));
  }

  async resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): Promise<Digest | undefined> {
    const sizeBytes = await this.#sizeOf(digestFunction, hash, options);
    return sizeBytes === undefined ? undefined : Digest.parse(digestFunction, hash, sizeBytes);
  }

  async get(digest: Digest, options: GetOptions = {}): Promise<ByteSource | undefined> {
    const { signal, range = { offset: 0, length: digest.sizeBytes } } = options;
    checkRange(digest, range);
    // No Range header can ask for nothing.
    if (range.length === 0) return (await this.#isPresent(digest, { signal })) ? byteSourceOf(new Uint8Array(0)) : undefined;
    const isWhole = range.length === digest.sizeBytes;
    const headers = isWhole ? {} : { range: rangeHeader(range) };
    const reply = await this.#calls.send({ method: 'GET', target: this.#path(digest.function, digest.hash), headers }, { signal });
    return sourceOf(reply, digest, range);
  }

  async getMany(digests: DigestList, options?: CallOptions): Promise<readonly GetResult[]> {
    return mapBounded([...digests], this.#options.requestsMax, (digest) => this.#getWhole(digest, options));
  }

  async put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const isLarge = digest.sizeBytes >= largeBlobBytes;
    if (isLarge && (await this.#isPresent(digest, options))) return;
    const body = { sizeBytes: digest.sizeBytes, bytes: exactly(copied(bytes), digest.sizeBytes, (seen) => wrongLength(digest, seen)), expectContinue: isLarge };
    await using reply = await this.#calls.send({ method: 'PUT', target: this.#path(digest.function, digest.hash), headers: {}, body }, options);
    for await (const _ of reply.body);
  }

  async putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    return mapBounded(blobs, this.#options.requestsMax, ({ digest, bytes }) => this.put(digest, byteSourceOf(bytes), options).then(() => undefined, classified));
  }

  async #getWhole(digest: Digest, options: CallOptions | undefined): Promise<GetResult> {
    try {
      const source = await this.get(digest, options);
      return source && (await collect(source, digest.sizeBytes, options));
    } catch (thrown) {
      return classified(thrown);
    }
  }

  async #isPresent(digest: Digest, options: CallOptions | undefined): Promise<boolean> {
    const sizeBytes = await this.#sizeOf(digest.function, digest.hash, options);
    if (sizeBytes !== undefined && sizeBytes !== digest.sizeBytes) throw wrongSize(digest, sizeBytes);
    return sizeBytes !== undefined;
  }

  /** @throws CacheError `unavailable` when the server does not say the size: it is then no server of this protocol. */
  async #sizeOf(digestFunction: DigestFunction, hash: string, options: CallOptions | undefined): Promise<number | undefined> {
    await using reply = await this.#calls.send({ method: 'HEAD', target: this.#path(digestFunction, hash), headers: {} }, options);
    if (reply.status === 404) return undefined;
    if (reply.contentLength === undefined) throw new CacheError('unavailable', `${this.#calls.serverName} does not say how long a blob is`);
    return reply.contentLength;
  }

  #path(digestFunction: DigestFunction, hash: string): string {
    return cachePath(this.#options.instance, 'cas', digestFunction, hash);
  }
}

/** What is sent leaves when the connection takes it, and a chunk is its owner's again by then. */
async function* copied(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) yield new Uint8Array(chunk);
}

/** The body of a reply as the bytes asked for; undefined when there is no such blob. Takes over `reply`. */
async function sourceOf(reply: HttpReply, digest: Digest, range: { readonly offset: number; readonly length: number }): Promise<ByteSource | undefined> {
  await using held = new AsyncDisposableStack();
  held.use(reply);
  if (reply.status === 404) return undefined;
  const sent = rangeOf(reply, range.offset);
  if (sent.totalBytes !== undefined && sent.totalBytes !== digest.sizeBytes) throw wrongSize(digest, sent.totalBytes);
  const bytes = exactly(cut(reply.body, range.offset - sent.offset, range.length), range.length, (seen) => {
    return new CacheError('data_loss', `${seen} bytes came of blob ${digest.toString()} where ${range.length} were announced`);
  });
  held.move();
  return { sizeBytes: range.length, [Symbol.asyncIterator]: () => bytes, [Symbol.asyncDispose]: () => reply[Symbol.asyncDispose]() };
}

function wrongLength(digest: Digest, seenBytes: number): CacheError {
  const amount = seenBytes > digest.sizeBytes ? `more than the ${digest.sizeBytes}` : `${seenBytes}`;
  return new CacheError('invalid_argument', `${amount} bytes were given for digest ${digest.toString()}, whose size is ${digest.sizeBytes}`);
}

function classified(thrown: unknown): CacheError {
  if (thrown instanceof CacheError) return thrown;
  throw thrown;
}
