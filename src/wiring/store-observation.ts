// The decorators that watch the stores: where time goes, reports of what hangs, and spans of traced requests.
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { LoggedBlobStore } from '../blob/logged-blob-store.ts';
import { OperationWatch } from '../blob/operation-watch.ts';
import { StallReportingBlobStore } from '../blob/stall-reporting-blob-store.ts';
import { StallReportingValueStore } from '../blob/stall-reporting-value-store.ts';
import { StoreJournal } from '../blob/store-journal.ts';
import { TimedBlobStore } from '../blob/timed-blob-store.ts';
import { TimedValueStore } from '../blob/timed-value-store.ts';
import { TracedBlobStore } from '../blob/traced-blob-store.ts';
import { TracedValueStore } from '../blob/traced-value-store.ts';
import type { ValueStore } from '../blob/value-store.ts';
import { monotonicClock, timers } from '../platform/clocks.ts';
import type { OpenStores } from './open-stores.ts';

export interface StoreObservation {
  /** How long an operation may take before it is reported; 0: whatever it takes. */
  readonly stallMs: number;
  readonly traced: boolean;
}

/** `stores` with the times of writes, and what is switched on, around them. */
export function watchedStores(stores: OpenStores, { stallMs, traced }: StoreObservation, ports: { readonly log: Log; readonly meter: Meter }): OpenStores {
  const journal = new StoreJournal({ clock: monotonicClock, ...ports });
  // Innermost, so that what others do around the store is not taken for its time.
  let blobs: BlobStore = new TimedBlobStore(stores.blobs, journal, monotonicClock);
  let values: ValueStore = new TimedValueStore(stores.values, journal, monotonicClock);
  if (stallMs > 0) {
    const watch = new OperationWatch(stallMs, { clock: monotonicClock, timers, ...ports });
    blobs = new StallReportingBlobStore(blobs, watch);
    values = new StallReportingValueStore(values, watch);
  }
  if (traced) {
    // Outside, so that a report of what hangs names the trace, and the spans end when the callers have their answers.
    blobs = new TracedBlobStore(blobs);
    values = new TracedValueStore(values);
  }
  return withStores(stores, { blobs, values });
}

/** `stores` with a line of the log for each operation, at debug. */
export function loggedStores(stores: OpenStores, log: Log): OpenStores {
  return withStores(stores, { blobs: new LoggedBlobStore(stores.blobs, log), values: stores.values });
}

function withStores(stores: OpenStores, { blobs, values }: Pick<OpenStores, 'blobs' | 'values'>): OpenStores {
  return {
    blobs,
    values,
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
