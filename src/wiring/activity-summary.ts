// What the server has done lately, as one line of the log from time to time: the answer to "is it used, and does it
// help" for who has no dashboard. Made of the metrics, so that it costs calls nothing and says the same.
import type { MonotonicClock, Timers } from '../base/clock.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { MetricReadOut } from '../telemetry/read-out.ts';
import { repeat } from './repeat.ts';

/** Methods that ask about the server and not about builds: probes come by the minute and say nothing. */
const serverMethods: ReadonlySet<string> = new Set(['Check', 'Watch', 'List', 'GetCapabilities', 'ServerReflectionInfo']);

export interface SummaryParts {
  readonly log: Log;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
}

/** One line per interval in which something happened, and one at the end. */
export class ActivitySummary implements Disposable {
  readonly #metrics: MetricReadOut;
  readonly #parts: SummaryParts;
  readonly #repeated: Disposable;
  #last: Totals;
  #lastMs: number;

  constructor(metrics: MetricReadOut, intervalMs: number, parts: SummaryParts) {
    this.#metrics = metrics;
    this.#parts = parts;
    this.#last = totalsOf(metrics);
    this.#lastMs = parts.clock.nowMs();
    this.#repeated = repeat(intervalMs, () => this.#tell(), parts.timers);
  }

  [Symbol.dispose](): void {
    this.#repeated[Symbol.dispose]();
    this.#tell();
  }

  #tell(): void {
    const [totals, nowMs] = [totalsOf(this.#metrics), this.#parts.clock.nowMs()];
    const happened: Record<string, number> = {};
    for (const [name, total] of totals) {
      const count = total - (this.#last.get(name) ?? 0);
      if (count > 0) happened[name] = count;
    }
    const seconds = Math.round((nowMs - this.#lastMs) / 1_000);
    this.#last = totals;
    this.#lastMs = nowMs;
    if (Object.keys(happened).length === 0) return;
    this.#parts.log.info('activity', { seconds, ...happened, ...this.#state() } satisfies LogFields);
  }

  /** What is as it is, and no count of what happened. */
  #state(): LogFields {
    return { connections: this.#metrics.sum('kiln_connections'), storedBytes: this.#metrics.sum('kiln_store_bytes') };
  }
}

/** By the name of the field. Counts since the start, which only rise. */
type Totals = ReadonlyMap<string, number>;

function totalsOf(metrics: MetricReadOut): Totals {
  const totals = new Map<string, number>();
  for (const [method, count] of metrics.sumBy('kiln_grpc_calls_total', 'method')) {
    if (!serverMethods.has(method)) totals.set(fieldOf(method), count);
  }
  const failed = metrics.sum('kiln_grpc_calls_total') - metrics.sum('kiln_grpc_calls_total', { code: 'OK' }) - metrics.sum('kiln_grpc_calls_total', { code: 'NOT_FOUND' });
  totals.set('failedCalls', failed);
  totals.set('httpRequests', ofBuildCache(metrics, 'kiln_http_requests_total'));
  for (const direction of ['received', 'sent'] as const) {
    totals.set(`${direction}Bytes`, ofBuilds(metrics, `kiln_grpc_${direction}_bytes_total`) + ofBuildCache(metrics, `kiln_http_${direction}_bytes_total`));
  }
  const finds = { operation: 'find' };
  const missing = metrics.sum('kiln_blob_lookups_total', { ...finds, result: 'miss' });
  totals.set('blobsRequested', missing + metrics.sum('kiln_blob_lookups_total', { ...finds, result: 'hit' }));
  totals.set('blobsMissing', missing);
  totals.set('blobReadHits', metrics.sum('kiln_blob_lookups_total', { operation: 'read', result: 'hit' }));
  totals.set('blobReadMisses', metrics.sum('kiln_blob_lookups_total', { operation: 'read', result: 'miss' }));
  totals.set('actionHits', metrics.sum('kiln_action_cache_lookups_total', { result: 'hit' }));
  totals.set('actionMisses', metrics.sum('kiln_action_cache_lookups_total', { result: 'miss' }));
  for (const [field, name] of wholeMetrics) totals.set(field, metrics.sum(name));
  return totals;
}

const wholeMetrics: readonly (readonly [field: string, metric: string])[] = [
  ['evictions', 'kiln_store_evictions_total'],
  ['evictedBytes', 'kiln_store_evicted_bytes_total'],
  ['refusedCallers', 'kiln_auth_refusals_total'],
  ['refusedConnections', 'kiln_connections_refused_total'],
  ['droppedLogLines', 'kiln_log_lines_dropped_total'],
];

/** Of gRPC calls, those that ask about the server left out. */
function ofBuilds(metrics: MetricReadOut, name: string): number {
  let sum = 0;
  for (const [method, count] of metrics.sumBy(name, 'method')) if (!serverMethods.has(method)) sum += count;
  return sum;
}

/** Of HTTP requests, those for blobs and action results. */
function ofBuildCache(metrics: MetricReadOut, name: string): number {
  return metrics.sum(name, { route: 'ac' }) + metrics.sum(name, { route: 'cas' });
}

/** `FindMissingBlobs` as `findMissingBlobs`. */
function fieldOf(method: string): string {
  return method.charAt(0).toLowerCase() + method.slice(1);
}
