// Everything that is served over HTTP, found by its path. The only place that answers failures.
import type { Authenticator, Authorizer, Caller } from '../base/authorizer.ts';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import { ActionRoute } from './action-route.ts';
import type { ActionRouteDependencies, ActionRouteLimits } from './action-route.ts';
import { errorAnswer, jsonAnswer, methodNotAllowed, textAnswer } from './answer.ts';
import type { HttpAnswer } from './answer.ts';
import { BlobRoute } from './blob-route.ts';
import type { BlobRouteLimits } from './blob-route.ts';
import { BuildCache } from './build-cache.ts';
import { parseBuildCachePath } from './build-cache-path.ts';
import { BodyMemory } from './held-body.ts';
import { metricsPage } from './metrics-page.ts';
import type { Scrape } from './metrics-page.ts';
import { readingMethods } from './page.ts';
import type { Page } from './page.ts';
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
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  /** What is served beside the build cache; paths differ. */
  readonly pages: readonly Page[];
  readonly log: Log;
  readonly limits: HttpLimits;
  /** Of what waits in memory; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
  readonly meter: Meter;
}

export interface PageSources {
  readonly version: string;
  /** True from the moment the server should get no new work. */
  readonly isDraining: () => boolean;
  /** What /metrics shows; undefined where metrics are switched off. */
  readonly scrape: Scrape | undefined;
}

const routesText = 'served here: /{instance/}ac/{hash}, /{instance/}cas/{hash}, /status, /readyz, /livez, /metrics';

/** The pages of every server. Those for everyone tell that something is here and whether it takes requests, no more. */
export function standingPages({ version, isDraining, scrape }: PageSources): readonly Page[] {
  const forEveryone = { access: 'everyone', methods: readingMethods, linkable: true } as const;
  const readiness = (): HttpAnswer => (isDraining() ? textAnswer(503, 'draining') : textAnswer(200, 'ok'));
  const greeting = `Kiln ${version}, a build cache: gRPC (Remote Execution API v2) and HTTP on one port\n${routesText}`;
  return [
    { ...forEveryone, path: '/', answer: () => textAnswer(200, greeting) },
    // Any 2xx and JSON make moon use the server (CT-10), and it asks without credentials.
    { ...forEveryone, path: '/status', answer: () => jsonAnswer({ status: isDraining() ? 'draining' : 'ok', name: 'kiln', version }) },
    // Whether to send requests here, under the name that most expect and under the one that Kubernetes has taken to.
    { ...forEveryone, path: '/healthz', answer: readiness },
    { ...forEveryone, path: '/readyz', answer: readiness },
    // Whether the process still answers, which it does while it drains: whoever ends those that do not must let it.
    { ...forEveryone, path: '/livez', answer: () => textAnswer(200, 'ok') },
    { path: '/metrics', access: 'read', methods: readingMethods, linkable: true, answer: (exchange) => metricsPage(scrape, exchange) },
  ];
}

/** The handler answers every failure itself and throws nothing but bugs. */
export function createHttpHandler(deps: HttpDependencies): HttpHandler {
  const { blobs, limits, log, authenticator, authorizer } = deps;
  const memory = new BodyMemory(limits.heldBodyBytesMax, deps.budget ?? unboundedByteBudget());
  meterMemory(memory, deps);
  const buildCache = new BuildCache(new BlobRoute(blobs, memory, limits), new ActionRoute({ ...deps, memory }, limits), authorizer);
  const pages = new Map(deps.pages.map((page) => [page.path, page]));

  async function route(exchange: HttpExchange): Promise<HttpAnswer> {
    if (exchange.target.length > targetCharsMax) return textAnswer(414, `the URL is longer than ${targetCharsMax} characters`);
    const segments = parseTarget(exchange.target);
    const page = pages.get(`/${segments.join('/')}`);
    if (page !== undefined) return open(exchange, page);
    const path = parseBuildCachePath(segments);
    if (path === undefined) return textAnswer(404, `nothing here; ${routesText}`);
    return buildCache.answer(exchange, path, await callerOf(exchange));
  }

  async function open(exchange: HttpExchange, page: Page): Promise<HttpAnswer> {
    if (page.access !== 'everyone') authorizer.requireSomewhere(await callerOf(exchange), page.access);
    const isServed = page.methods.some((method) => method === exchange.method);
    return isServed ? page.answer(exchange) : methodNotAllowed(exchange.method, page.methods);
  }

  /** Wrong credentials are refused even where none would have done: who shows some relies on them. */
  async function callerOf({ headers, credentials }: HttpExchange): Promise<Caller> {
    return authenticator.identify(headers['authorization'], credentials);
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

function meterMemory(memory: BodyMemory, { meter, limits }: HttpDependencies): void {
  meter.gauge({ name: 'kiln_http_held_body_bytes', help: 'Bytes of HTTP request bodies that are held in memory.' }, () => memory.heldBytes);
  meter.gauge({ name: 'kiln_http_held_body_max_bytes', help: 'The bound of kiln_http_held_body_bytes.' }, () => limits.heldBodyBytesMax);
}

/** The answer to a failure. Reports what an operator must look at, but not what a client that left has caused. */
function failed(exchange: HttpExchange, error: CacheError, log: Log): HttpAnswer {
  if (!exchange.signal.aborted && isOurFault(error)) log.error('an HTTP request failed', error, { method: exchange.method, target: exchange.target.slice(0, 200) });
  return errorAnswer(error);
}

function isOurFault({ code }: CacheError): boolean {
  return code === 'internal' || code === 'data_loss';
}
