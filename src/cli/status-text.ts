// What `kiln status` prints for a person.
import { assertNever } from '../base/assert.ts';
import { formatByteSize, formatDuration } from '../base/units.ts';
import type { GrpcHealth } from '../client/grpc-health.ts';
import type { ServerStatus } from '../client/server-status.ts';

export interface StatusFacts {
  readonly url: string;
  readonly instance: string;
  readonly status: ServerStatus;
  readonly grpc: GrpcHealth;
  /** Since the Unix epoch. */
  readonly nowMs: number;
}

/** One line that says it all, then one line per subject; ends with a line break. */
export function statusText({ url, instance, status, grpc, nowMs }: StatusFacts): string {
  const { version, metrics, rights } = status;
  const state = status.status === 'ok' ? 'is up' : 'is draining: it ends what it has begun and takes nothing new';
  const allowed = (['read', 'write'] as const).filter((right) => rights[right]);
  const place = instance === '' ? '' : ` in instance ${JSON.stringify(instance)}`;
  const lines = [['rights', `${allowed.length === 0 ? 'you may neither read nor write' : `you may ${allowed.join(' and ')}`}${place}`]];
  lines.push(['gRPC', grpcLine(grpc)]);
  if (metrics === undefined) lines.push(['more', 'not shown: metrics are switched off, or you may not read them']);
  else lines.push(...metricLines(metrics, nowMs));
  const width = Math.max(...lines.map(([label = '']) => label.length));
  return [`kiln ${version} at ${url} ${state}`, ...lines.map(([label = '', text = '']) => `  ${label.padEnd(width)}  ${text}`), ''].join('\n');
}

function grpcLine(grpc: GrpcHealth): string {
  switch (grpc.state) {
    case 'serving':
      return 'gets through';
    case 'not_serving':
      return 'gets through, and no calls are taken at the moment';
    case 'unknown':
      return `does not get through, so Bazel and other tools that speak it cannot use this address: ${grpc.reason}`;
    default:
      return assertNever(grpc);
  }
}

function metricLines(metrics: ReadonlyMap<string, number>, nowMs: number): string[][] {
  const get = (name: string): number => metrics.get(name) ?? 0;
  const lines: string[][] = [];
  const startedAt = metrics.get('process_start_time_seconds');
  if (startedAt !== undefined) lines.push(['uptime', formatDuration(Math.max(0, nowMs - startedAt * 1000))]);
  const [used, most] = [get('kiln_store_bytes'), get('kiln_store_max_bytes')];
  if (most > 0) {
    const share = ((used / most) * 100).toFixed(used / most < 0.1 ? 1 : 0);
    lines.push(['store', `${formatByteSize(used)} of ${formatByteSize(most)} used (${share} %), ${count(get('kiln_store_blobs'), 'blob')}, ${count(get('kiln_store_values'), 'action result or other value', 'action results and other values')}`]);
  }
  const evictions = get('kiln_store_evictions_total');
  if (evictions > 0) lines.push(['evicted', `${count(evictions, 'file')} since the start, ${formatByteSize(get('kiln_store_evicted_bytes_total'))}`]);
  const memory = metrics.get('process_resident_memory_bytes');
  if (memory !== undefined) lines.push(['memory', formatByteSize(memory)]);
  for (const [name, text] of troubles) {
    if (get(name) > 0) lines.push(['trouble', `${String(get(name))} ${text}`]);
  }
  return lines;
}

/** What an operator should look at; docs/troubleshooting.md says what it means. */
const troubles: readonly (readonly [metric: string, text: string])[] = [
  ['kiln_store_corrupt_total', 'files were found damaged since the start'],
  ['kiln_store_stalled_operations', 'store operations hang: is the disk all right?'],
  ['kiln_log_lines_dropped_total', 'lines of the log were dropped: who reads it is too slow'],
];

function count(amount: number, one: string, many: string = `${one}s`): string {
  return `${amount.toLocaleString('en')} ${amount === 1 ? one : many}`;
}
