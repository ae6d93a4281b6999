// What observes the server: made before the stores and ended after them, so that nothing that happens is missed.
import type { CacheUsage } from '../base/cache-usage.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Log } from '../base/log.ts';
import { LoopTurns } from '../base/loop-turns.ts';
import type { Meter } from '../base/metrics.ts';
import type { CallObserver } from '../grpc/call-observer.ts';
import { LoggedCalls } from '../grpc/call-log.ts';
import type { Scrape } from '../http/metrics-page.ts';
import { loggedHttp } from '../http/request-log.ts';
import { monotonicClock, timers } from '../platform/clocks.ts';
import { ActivitySummary } from './activity-summary.ts';
import { openMetrics } from './metrics.ts';
import type { OpenStores } from './open-stores.ts';
import type { RunningServer } from './running-server.ts';
import { loggedStores, watchedStores } from './store-observation.ts';
import { openTraces } from './traces.ts';
import type { TraceOptions } from './traces.ts';

/** Disposing it sends what was gathered; it never fails. */
export interface Telemetry extends AsyncDisposable {
  readonly meter: Meter;
  /** Told of hits and misses. */
  readonly usage: CacheUsage;
  /** What /metrics shows; undefined where metrics are switched off. */
  readonly scrape: Scrape | undefined;
  /** Of gRPC calls; undefined when nobody wants to know. */
  readonly calls: CallObserver | undefined;
  /** What `calls` are timed by. */
  readonly turns: LoopTurns;
  /** `stores`, observed. Whoever owned them owns them still. */
  observedStores(stores: OpenStores): OpenStores;
  /** `handler`, observed. */
  observedHttp(handler: HttpHandler): HttpHandler;
  /** Begins to watch what only a whole server has: connections, its process, its event loop. Called once, when it serves. */
  watch(server: RunningServer): void;
}

/** What decides about telemetry. */
export interface TelemetryOptions {
  readonly metrics: { readonly enabled: boolean };
  readonly traces: TraceOptions;
  readonly diagnostics: {
    /** 0: store operations may take whatever they take. */
    readonly storeStallMs: number;
  };
  readonly log: { readonly summaryIntervalMs: number };
}

/** Every part that is switched on, as one. */
export async function openTelemetry(options: TelemetryOptions, { log, version }: { readonly log: Log; readonly version: string }): Promise<Telemetry> {
  const { summaryIntervalMs } = options.log;
  const summary = summaryIntervalMs > 0; // reason enough to count, at any level: a reload may change that
  const turns = new LoopTurns(monotonicClock);
  const counted = openMetrics({ shown: options.metrics.enabled, readOut: summary, version, turns });
  const { meter } = counted;
  const traces = await openTraces(options.traces, { log, meter, version });
  const observation = { stallMs: options.diagnostics.storeStallMs, traced: traces !== undefined };
  const calls = traces === undefined ? counted.calls : traces.observedCalls(counted.calls);
  let activity: Disposable | undefined;
  return {
    meter,
    turns,
    usage: counted.usage,
    scrape: counted.scrape,
    // Where nobody else observes calls, lines for them alone are not worth observing them at every level.
    calls: calls === undefined && !log.debugEnabled ? undefined : new LoggedCalls(calls, log),
    observedStores: (stores) => loggedStores(watchedStores(counted.observedStores(stores), observation, { log, meter }), log),
    // Metrics outside, so that they count what tracing takes as well.
    observedHttp: (handler) => loggedHttp(counted.observedHttp(traces?.observedHttp(handler) ?? handler), log, monotonicClock),
    watch() {
      if (summaryIntervalMs > 0 && counted.readOut !== undefined) activity = new ActivitySummary(counted.readOut, summaryIntervalMs, { log, clock: monotonicClock, timers });
    },
    async [Symbol.asyncDispose]() {
      activity?.[Symbol.dispose]();
      await traces?.[Symbol.asyncDispose]();
      counted[Symbol.dispose]();
    },
  };
}
