// Action results of a Kiln server over its HTTP build cache, in the binary form that its gRPC clients share.
import type { ActionCache, ActionKey } from '../actions/action-cache.ts';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import type { HttpCalls } from './http-calls.ts';
import { cachePath } from './http-paths.ts';

export interface HttpActionCacheLimits {
  /** Longer results are refused, and found ones not taken. */
  readonly resultBytesMax: number;
}

/** Field 4 (exit_code), written out as 0: says no more than no bytes do, but an empty body is refused. */
const zeroExitCode = Uint8Array.of(0x20, 0x00);

/**
 * The server keeps a result that refers to no file as bytes that it does not look into, since the protocol does not
 * say what they are: such a result is found again over HTTP, and not over gRPC. No ValueStore is made of these
 * paths: action results and opaque values share them, where that contract keeps them apart.
 */
export class HttpActionCache implements ActionCache {
  readonly #calls: HttpCalls;
  readonly #limits: HttpActionCacheLimits;

  constructor(calls: HttpCalls, limits: HttpActionCacheLimits) {
    this.#calls = calls;
    this.#limits = limits;
  }

  /** What another tool has put under the key in a form of its own is no result: absent. */
  async get(key: ActionKey, options?: CallOptions): Promise<EncodedActionResult | undefined> {
    await using reply = await this.#calls.send({ method: 'GET', target: pathOf(key), headers: { accept: 'application/octet-stream' } }, options);
    if (reply.status === 404 || (reply.contentLength ?? 0) > this.#limits.resultBytesMax) return undefined;
    const bytes = await collect(reply.body, this.#limits.resultBytesMax, options);
    try {
      return EncodedActionResult.parse(bytes);
    } catch {
      return undefined;
    }
  }

  async put(key: ActionKey, result: EncodedActionResult, options?: CallOptions): Promise<void> {
    const bytes = result.bytes.byteLength === 0 ? zeroExitCode : result.bytes;
    if (bytes.byteLength > this.#limits.resultBytesMax) {
      throw new CacheError('invalid_argument', `the action result has ${bytes.byteLength} bytes; at most ${this.#limits.resultBytesMax} are stored`);
    }
    const body = { sizeBytes: bytes.byteLength, bytes: byteSourceOf(bytes) };
    await using reply = await this.#calls.send({ method: 'PUT', target: pathOf(key), headers: {}, body }, options);
    for await (const _ of reply.body);
  }
}

function pathOf({ instance, actionDigest }: ActionKey): string {
  return cachePath(instance, 'ac', actionDigest.function, actionDigest.hash);
}
