// Metrics of one server: where they are counted, who counts them, and how they are read.
import type { CacheUsage } from '../base/cache-usage.ts';
import { noCacheUsage } from '../base/cache-usage.ts';
import type { HttpHandler } from '../base/http-exchange.ts';
import type { LoopTurns } from '../base/loop-turns.ts';
import { noMeter } from '../base/metrics.ts';
import type { Meter } from '../base/metrics.ts';
import { MeteredBlobStore } from '../blob/metered-blob-store.ts';
import { CallMetrics } from '../grpc/call-metrics.ts';
import type { CallObserver } from '../grpc/call-observer.ts';
import { HttpMetrics } from '../http/http-metrics.ts';
import type { Scrape } from '../http/metrics-page.ts';
import { monotonicClock, timers } from '../platform/clocks.ts';
import { meterProcess } from '../platform/process-metrics.ts';
import { MeteredCacheUsage } from '../telemetry/metered-cache-usage.ts';
import { expositionContentTypes, expositionFormatFor, expositionText } from '../telemetry/prometheus-text.ts';
import { MetricReadOut } from '../telemetry/read-out.ts';
import { MetricRegistry } from '../telemetry/registry.ts';
import type { OpenStores } from './open-stores.ts';
import { meterStore } from './store-metrics.ts';

export interface MetricsOptions {
  /** Whether /metrics shows them. */
  readonly shown: boolean;
  /** Whether somebody else reads them, such as the summary in the log. With neither, nothing is counted. */
  readonly readOut: boolean;
  readonly version: string;
  /** What calls are timed by. */
  readonly turns: LoopTurns;
}

/** Disposing it stops what observes the process. */
export interface Metrics extends Disposable {
  readonly meter: Meter;
  readonly usage: CacheUsage;
  /** Undefined where nothing is counted. */
  readonly calls: CallObserver | undefined;
  readonly scrape: Scrape | undefined;
  readonly readOut: MetricReadOut | undefined;
  observedHttp(handler: HttpHandler): HttpHandler;
  observedStores(stores: OpenStores): OpenStores;
}

const nothingCounted: Metrics = {
  meter: noMeter,
  usage: noCacheUsage,
  calls: undefined,
  scrape: undefined,
  readOut: undefined,
  observedHttp: (handler) => handler,
  observedStores: (stores) => stores,
  [Symbol.dispose]() {},
};

export function openMetrics({ shown, readOut, version, turns }: MetricsOptions): Metrics {
  if (!shown && !readOut) return nothingCounted;
  const registry = new MetricRegistry();
  const usage = new MeteredCacheUsage(registry);
  registry.gauge({ name: 'kiln_metrics_unshown_series', help: 'Series that are counted and left out of this page, since their metric has too many.' }, () => registry.unshownCount);
  registry.gauge({ name: 'kiln_build_info', help: 'Always 1; the version is in the label.' }, () => 1, { version });
  const http = new HttpMetrics({ meter: registry, usage, clock: monotonicClock });
  const process = meterProcess(registry, timers);
  return {
    meter: registry,
    usage,
    calls: new CallMetrics(registry, turns),
    scrape: shown ? (accept) => scraped(registry, accept) : undefined,
    readOut: new MetricReadOut(registry),
    observedHttp: (handler) => http.counted(handler),
    observedStores: (stores) => meteredStores(stores, registry),
    [Symbol.dispose]: () => process[Symbol.dispose](),
  };
}

function meteredStores(stores: OpenStores, meter: Meter): OpenStores {
  meterStore(meter, () => stores.usage);
  const blobs = new MeteredBlobStore(stores.blobs, meter, monotonicClock);
  return {
    blobs,
    values: stores.values,
    maxBytes: stores.maxBytes,
    get usedBytes() {
      return stores.usedBytes;
    },
    get usage() {
      return stores.usage;
    },
    announce: (listen) => stores.announce(listen),
    [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose](),
  };
}

function scraped(registry: MetricRegistry, accept: string | undefined): ReturnType<Scrape> {
  const format = expositionFormatFor(accept);
  return { contentType: expositionContentTypes[format], text: expositionText(registry.families(), format) };
}
