// The HTTP build cache that Bazel speaks, and with it moon and ccache's bazel layout: docs/protocols/. Checks method
// and rights; blobs and action results have a file each.
import type { Authorizer, Caller } from '../base/authorizer.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import type { ActionRoute } from './action-route.ts';
import { methodNotAllowed, textAnswer } from './answer.ts';
import type { HttpAnswer } from './answer.ts';
import type { BlobRoute } from './blob-route.ts';
import type { BuildCachePath } from './build-cache-path.ts';

const methods = ['GET', 'HEAD', 'PUT'] as const;
type Method = (typeof methods)[number];

export class BuildCache {
  readonly #blobs: BlobRoute;
  readonly #actions: ActionRoute;
  readonly #authorizer: Authorizer;

  constructor(blobs: BlobRoute, actions: ActionRoute, authorizer: Authorizer) {
    this.#blobs = blobs;
    this.#actions = actions;
    this.#authorizer = authorizer;
  }

  /** @throws CacheError as the stores do, and `unauthenticated` or `permission_denied` before the body is taken (CT-5). */
  async answer(exchange: HttpExchange, path: BuildCachePath, caller: Caller): Promise<HttpAnswer> {
    const method = methods.find((known) => known === exchange.method);
    if (method === undefined) return methodNotAllowed(exchange.method, methods);
    this.#authorizer.require(caller, method === 'PUT' ? 'write' : 'read', path.instance);
    const encoding = method === 'PUT' ? exchange.headers['content-encoding'] : undefined;
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      return textAnswer(415, `content-encoding ${encoding.slice(0, 40)} is not accepted here: send the bytes as they are`);
    }
    return path.kind === 'cas' ? this.#blob(exchange, method, path) : this.#action(exchange, method, path, caller);
  }

  #blob(exchange: HttpExchange, method: Method, path: BuildCachePath): Promise<HttpAnswer> {
    switch (method) {
      case 'GET':
        return this.#blobs.get(exchange, path);
      case 'HEAD':
        return this.#blobs.head(exchange, path);
      case 'PUT':
        return this.#blobs.put(exchange, path);
    }
  }

  #action(exchange: HttpExchange, method: Method, path: BuildCachePath, caller: Caller): Promise<HttpAnswer> {
    return method === 'PUT' ? this.#actions.put(exchange, path, caller) : this.#actions.get(exchange, path);
  }
}
