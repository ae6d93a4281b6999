// What observes the server: made before the stores and ended after them, so that nothing that happens is missed.
import type { CacheUsage } from '../base/cache-usage.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { Meter } from '../base/metrics.ts';
import type { CallObserver } from '../grpc/call-observer.ts';
import { combinedObserver } from '../grpc/call-observers.ts';
import type { Scrape } from '../http/metrics-page.ts';
import { openMetrics } from './metrics.ts';
import type { OpenStores } from './open-stores.ts';
import type { RunningServer } from './running-server.ts';

/** Disposing it sends what was gathered; it never fails. */
export interface Telemetry extends AsyncDisposable {
  readonly meter: Meter;
  /** Told of hits and misses. */
  readonly usage: CacheUsage;
  /** What /metrics shows; undefined where metrics are switched off. */
  readonly scrape: Scrape | undefined;
  /** Of gRPC calls; undefined when nobody wants to know. */
  readonly calls: CallObserver | undefined;
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
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly summaryIntervalMs: number };
}

/** Every part that is switched on, as one. */
export function openTelemetry({ metrics, log }: TelemetryOptions, { version }: { readonly version: string }): Telemetry {
  const summary = log.summaryIntervalMs > 0 && (log.level === 'debug' || log.level === 'info');
  const counted = openMetrics({ shown: metrics.enabled, readOut: summary, version });
  return {
    meter: counted.meter,
    usage: counted.usage,
    scrape: counted.scrape,
    calls: combinedObserver(counted.calls === undefined ? [] : [counted.calls]),
    observedStores: (stores) => counted.observedStores(stores),
    observedHttp: (handler) => counted.observedHttp(handler),
    watch() {},
    async [Symbol.asyncDispose]() {
      counted[Symbol.dispose]();
    },
  };
}
