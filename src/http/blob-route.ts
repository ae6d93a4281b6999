// Blobs over HTTP: /{instance/}cas/{hash}. The path has no size, so a GET resolves it and a PUT takes it from the
// length of the body.
import type { HttpExchange } from '../base/http-exchange.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { absentAnswer, bytesAnswer, headAnswer, partAnswer, storedAnswer, textAnswer } from './answer.ts';
import type { HttpAnswer } from './answer.ts';
import type { BuildCachePath } from './build-cache-path.ts';
import { remaining } from './held-body.ts';
import type { BodyMemory } from './held-body.ts';
import { wantedRange } from './range-header.ts';

export interface BlobRouteLimits {
  /**
   * The longest body without a Content-Length, which has to be held in memory to learn the size that belongs to its
   * digest. Tools send one only for the empty blob (CT-6); above it 411 asks for the length.
   */
  readonly unsizedBodyBytesMax: number;
}

export class BlobRoute {
  readonly #blobs: BlobStore;
  readonly #memory: BodyMemory;
  readonly #limits: BlobRouteLimits;

  constructor(blobs: BlobStore, memory: BodyMemory, limits: BlobRouteLimits) {
    this.#blobs = blobs;
    this.#memory = memory;
    this.#limits = limits;
  }

  async get(exchange: HttpExchange, path: BuildCachePath): Promise<HttpAnswer> {
    const digest = await this.#resolve(exchange, path);
    if (digest === undefined) return absent(path);
    const range = wantedRange(exchange.headers, digest.sizeBytes);
    if (range === 'unsatisfiable') return beyondTheEnd(digest.sizeBytes);
    const { trace } = exchange;
    const options = range === undefined ? exchange : { signal: exchange.signal, trace, range }; // a signal is made for who asks
    const body = await this.#blobs.get(digest, options);
    if (body === undefined) return absent(path);
    return range === undefined ? bytesAnswer(body) : partAnswer(body, range, digest.sizeBytes);
  }

  async head(exchange: HttpExchange, path: BuildCachePath): Promise<HttpAnswer> {
    const digest = await this.#resolve(exchange, path);
    return digest === undefined ? absent(path) : headAnswer(digest.sizeBytes);
  }

  /** Stored only when hash and length are those of the body (BZ-9). */
  async put(exchange: HttpExchange, path: BuildCachePath): Promise<HttpAnswer> {
    const { contentLength } = exchange;
    if (contentLength === undefined) return this.#putUnsized(exchange, path);
    const { blobBytesMax } = this.#blobs.capabilities;
    if (contentLength > blobBytesMax) return tooLarge(contentLength, blobBytesMax);
    const digest = Digest.parse(path.digestFunction, path.hash, contentLength);
    const body = exchange.body()[Symbol.asyncIterator]();
    await this.#blobs.put(digest, remaining(body), exchange);
    // A store that has the blob leaves the body unread. The client sends it all the same and wants to be heard out:
    // an answer before its end is an error to most.
    for await (const _ of remaining(body));
    return storedAnswer;
  }

  async #putUnsized(exchange: HttpExchange, path: BuildCachePath): Promise<HttpAnswer> {
    const bytesMax = Math.min(this.#limits.unsizedBodyBytesMax, this.#blobs.capabilities.blobBytesMax);
    using held = await this.#memory.hold(exchange.body(), bytesMax);
    if (!held.complete) return textAnswer(411, `a body of more than ${bytesMax} bytes needs a Content-Length here`);
    const digest = Digest.parse(path.digestFunction, path.hash, held.bytes.byteLength);
    await this.#blobs.put(digest, held.all(), exchange);
    return storedAnswer;
  }

  async #resolve(exchange: HttpExchange, { digestFunction, hash }: BuildCachePath): Promise<Digest | undefined> {
    return this.#blobs.resolve(digestFunction, hash, exchange);
  }
}

export function tooLarge(length: number, lengthMax: number): HttpAnswer {
  return textAnswer(413, `${length} bytes are too many: at most ${lengthMax} are stored here`);
}

/** RFC 9110 §15.5.17. */
function beyondTheEnd(sizeBytes: number): HttpAnswer {
  return textAnswer(416, `the range begins behind the end of the blob, which has ${sizeBytes} bytes`, { 'content-range': `bytes */${sizeBytes}` });
}

function absent({ digestFunction, hash }: BuildCachePath): HttpAnswer {
  return absentAnswer(`no blob ${digestFunction.name}/${hash} in the cache`);
}
