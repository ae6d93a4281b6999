// What is counted of a disk, whoever works on it: bytes, failures, and how long it takes to make things durable.
import type { MonotonicClock } from '../base/clock.ts';
import type { Counter, Histogram, Meter, MetricDefinition } from '../base/metrics.ts';

const syncs: MetricDefinition = { name: 'kiln_disk_sync_duration_seconds', help: 'Time that syncs took, of the content of files and of directories.' };
const readBytes: MetricDefinition = { name: 'kiln_disk_read_bytes_total', help: 'Bytes read from files of the store, by the system from memory or disk.' };
const writtenBytes: MetricDefinition = { name: 'kiln_disk_written_bytes_total', help: 'Bytes written to files of the store.' };
const failures: MetricDefinition = { name: 'kiln_disk_errors_total', help: 'Operations on files that the system refused, by operation.' };

/** What may fail. */
export type DiskOperation = 'create' | 'open' | 'read' | 'write' | 'sync' | 'rename' | 'remove' | 'other';

const operations: readonly DiskOperation[] = ['create', 'open', 'read', 'write', 'sync', 'rename', 'remove', 'other'];

/** The counts of one disk. */
export class DiskMetrics {
  readonly readBytes: Counter;
  readonly writtenBytes: Counter;
  readonly fileSyncs: Histogram;
  readonly directorySyncs: Histogram;
  readonly #failures: Readonly<Record<DiskOperation, Counter>>;
  readonly #clock: MonotonicClock;

  constructor(meter: Meter, clock: MonotonicClock) {
    this.readBytes = meter.counter(readBytes);
    this.writtenBytes = meter.counter(writtenBytes);
    this.fileSyncs = meter.histogram(syncs, { kind: 'file' });
    this.directorySyncs = meter.histogram(syncs, { kind: 'directory' });
    this.#failures = Object.fromEntries(operations.map((operation) => [operation, meter.counter(failures, { operation })])) as Record<DiskOperation, Counter>;
    this.#clock = clock;
  }

  /** @throws what `work` does, counted. */
  async run<T>(operation: DiskOperation, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (thrown) {
      this.#failures[operation].add();
      throw thrown;
    }
  }

  /** For what is done at once, whose caller does as `run` does: no closure for each read of a record. */
  failed(operation: DiskOperation): void {
    this.#failures[operation].add();
  }

  async sync(histogram: Histogram, work: () => Promise<void>): Promise<void> {
    const startedAtMs = this.#clock.nowMs();
    await this.run('sync', work());
    histogram.record((this.#clock.nowMs() - startedAtMs) / 1_000);
  }
}
