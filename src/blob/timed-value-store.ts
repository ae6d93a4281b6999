// A decorator that tells a journal where the time of writes of values goes.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { valueFields } from './operation-fields.ts';
import { steppedOptions } from './stall-reporting-blob-store.ts';
import { StepTiming, judgeStep, workStep } from './step-timing.ts';
import type { StoreJournal } from './store-journal.ts';
import type { Stands, ValueKey, ValueStore } from './value-store.ts';

export class TimedValueStore implements ValueStore {
  readonly capabilities: ValueStore['capabilities'];
  readonly #inner: ValueStore;
  readonly #journal: StoreJournal;
  readonly #clock: MonotonicClock;

  constructor(inner: ValueStore, journal: StoreJournal, clock: MonotonicClock) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#journal = journal;
    this.#clock = clock;
  }

  get(key: ValueKey, options?: CallOptions): MaybePromise<ByteSource | undefined> {
    return this.#inner.get(key, options);
  }

  put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const timing = new StepTiming(this.#clock);
    return this.#timed(key, timing, this.#inner.put(key, timing.received(bytes), steppedOptions(options, timing.enter)));
  }

  putFirst(key: ValueKey, bytes: AsyncIterable<Uint8Array>, stands: Stands, options?: CallOptions): Promise<boolean> {
    const timing = new StepTiming(this.#clock);
    const judged: Stands = async (present) => {
      timing.enter(judgeStep);
      try {
        return await stands(present);
      } finally {
        timing.enter(workStep);
      }
    };
    return this.#timed(key, timing, this.#inner.putFirst(key, timing.received(bytes), judged, steppedOptions(options, timing.enter)));
  }

  async #timed<T>(key: ValueKey, timing: StepTiming, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      this.#journal.writeEnded(timing.receivedBytes, timing.end(), () => ({ ...valueFields(key), sizeBytes: timing.receivedBytes }));
    }
  }
}
