// A decorator that reports reads and writes of values that do not come to an end. Values are what the action cache and
// ccache's and moon's entries are made of, so an action cache that hangs is seen here, or at its blobs.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { valueFields } from './operation-fields.ts';
import type { OperationSubject, OperationWatch } from './operation-watch.ts';
import { steppedOptions } from './stall-reporting-blob-store.ts';
import type { Stands, ValueKey, ValueStore } from './value-store.ts';

/** Answers that are there at once pass untouched and cost nothing. */
export class StallReportingValueStore implements ValueStore {
  readonly capabilities: ValueStore['capabilities'];
  readonly #inner: ValueStore;
  readonly #watch: OperationWatch;

  constructor(inner: ValueStore, watch: OperationWatch) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
    this.#watch = watch;
  }

  get(key: ValueKey, options?: CallOptions): MaybePromise<ByteSource | undefined> {
    const source = this.#inner.get(key, options);
    return isPromise(source) ? this.#watch.operation(subjectOf('get_value', key, options)).run(source) : source;
  }

  /** No size is known beforehand; a report has what was received. */
  put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const operation = this.#watch.operation(subjectOf('put_value', key, options));
    return operation.run(this.#inner.put(key, operation.received(bytes), steppedOptions(options, operation.onStep)));
  }

  /** What `stands` asks of other stores is reported by these as well. */
  putFirst(key: ValueKey, bytes: AsyncIterable<Uint8Array>, stands: Stands, options?: CallOptions): Promise<boolean> {
    const operation = this.#watch.operation(subjectOf('put_value', key, options));
    return operation.run(this.#inner.putFirst(key, operation.received(bytes), stands, steppedOptions(options, operation.onStep)));
  }
}

function subjectOf(operation: string, key: ValueKey, options: CallOptions | undefined): OperationSubject {
  return { operation, trace: options?.trace, fields: () => valueFields(key) };
}
