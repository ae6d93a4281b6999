// Everything that is served over HTTP, found by its path. The only place that answers failures.
import type { Authorizer } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { ActionRoute } from './action-route.ts';
import type { ActionRouteDependencies, ActionRouteLimits } from './action-route.ts';
import { errorAnswer, jsonAnswer, methodNotAllowed, textAnswer } from './answer.ts';
import type { HttpAnswer } from './answer.ts';
import { BlobRoute } from './blob-route.ts';
import type { BlobRouteLimits } from './blob-route.ts';
import { BuildCache } from './build-cache.ts';
import { parseBuildCachePath } from './build-cache-path.ts';
import { BodyMemory } from './held-body.ts';
import { parseTarget, targetCharsMax } from './request-target.ts';

export interface HttpLimits extends BlobRouteLimits, ActionRouteLimits {
  /** Request bodies in memory at a time, over all connections: those without a length, and those under `/ac/`. */
  readonly heldBodyBytesMax: number;
}

export const httpLimits: HttpLimits = {
  // Far above what tools send without a length, which is nothing at all.
  unsizedBodyBytesMax: 8 * 1024 * 1024,
  actionResultBytesMax: 4 * 1024 * 1024 - 64 * 1024,
  opaqueValues: true,
  heldBodyBytesMax: 256 * 1024 * 1024,
};

export interface HttpDependencies extends Omit<ActionRouteDependencies, 'memory'> {
  readonly authorizer: Authorizer;
  readonly log: Log;
  readonly limits: HttpLimits;
  readonly server: {
    readonly version: string;
    /** True from the moment the server should get no new work. */
    readonly isDraining: () => boolean;
  };
}

type Page = (server: HttpDependencies['server']) => HttpAnswer;

const routesText = 'served here: /{instance/}ac/{hash}, /{instance/}cas/{hash}, /status, /healthz';

/** Pages by path. */
const pages: ReadonlyMap<string, Page> = new Map<string, Page>([
  ['', ({ version }) => textAnswer(200, `Kiln ${version}, a build cache: gRPC (Remote Execution API v2) and HTTP on one port\n${routesText}`)],
  // Any 2xx and JSON make moon use the server (CT-10).
  ['status', ({ version, isDraining }) => jsonAnswer({ status: isDraining() ? 'draining' : 'ok', name: 'kiln', version })],
  ['healthz', ({ isDraining }) => (isDraining() ? textAnswer(503, 'draining') : textAnswer(200, 'ok'))],
]);

/** The handler answers every failure itself and throws nothing but bugs. */
export function createHttpHandler(deps: HttpDependencies): HttpHandler {
  const { blobs, limits, log } = deps;
  const memory = new BodyMemory(limits.heldBodyBytesMax);
  const buildCache = new BuildCache(new BlobRoute(blobs, memory, limits), new ActionRoute({ ...deps, memory }, limits), deps.authorizer);

  async function route(exchange: HttpExchange): Promise<HttpAnswer> {
    if (exchange.target.length > targetCharsMax) return textAnswer(414, `the URL is longer than ${targetCharsMax} characters`);
    const segments = parseTarget(exchange.target);
    const page = segments.length < 2 ? pages.get(segments[0] ?? '') : undefined;
    if (page !== undefined) {
      const readable = exchange.method === 'GET' || exchange.method === 'HEAD';
      return readable ? page(deps.server) : methodNotAllowed(exchange.method, ['GET', 'HEAD']);
    }
    const path = parseBuildCachePath(segments);
    return path === undefined ? textAnswer(404, `nothing here; ${routesText}`) : buildCache.answer(exchange, path);
  }

  return async (exchange) => {
    const answer = await route(exchange).catch((thrown: unknown) => failed(exchange, CacheError.from(thrown), log));
    try {
      await exchange.respond(answer.status, answer.headers, answer.body);
    } catch (thrown) {
      failed(exchange, CacheError.from(thrown), log);
    }
  };
}

/** The answer to a failure. Reports what an operator must look at, but not what a client that left has caused. */
function failed(exchange: HttpExchange, error: CacheError, log: Log): HttpAnswer {
  if (!exchange.signal.aborted && isOurFault(error)) log.error('an HTTP request failed', error, { method: exchange.method, target: exchange.target.slice(0, 200) });
  return errorAnswer(error);
}

function isOurFault({ code }: CacheError): boolean {
  return code === 'internal' || code === 'data_loss';
}
