// A decorator that shows in the trace of a request which values were read and written for it.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { tracedWork } from '../base/tracer.ts';
import type { SpanAttributes } from '../base/tracer.ts';
import { tracedSource, within } from './traced-blob-store.ts';
import type { Stands, ValueKey, ValueStore } from './value-store.ts';

/** Calls that carry no span pass as they are. */
export class TracedValueStore implements ValueStore {
  readonly capabilities: ValueStore['capabilities'];
  readonly #inner: ValueStore;

  constructor(inner: ValueStore) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
  }

  get(key: ValueKey, options?: CallOptions): MaybePromise<ByteSource | undefined> {
    const source = this.#inner.get(key, options);
    const trace = options?.trace;
    return trace === undefined ? source : tracedSource(trace, 'value.get', source, keyAttributes(key));
  }

  put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.put(key, bytes, options);
    const span = trace.child('value.put', keyAttributes(key));
    return tracedWork(span, this.#inner.put(key, bytes, within(span, options)));
  }

  putFirst(key: ValueKey, bytes: AsyncIterable<Uint8Array>, stands: Stands, options?: CallOptions): Promise<boolean> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.putFirst(key, bytes, stands, options);
    const span = trace.child('value.put_first', keyAttributes(key));
    return tracedWork(span, this.#inner.putFirst(key, bytes, stands, within(span, options)));
  }
}

function keyAttributes({ kind, instance, digestFunction, hash }: ValueKey): SpanAttributes {
  return { 'kiln.value.kind': kind, 'kiln.digest': `${digestFunction.name}/${hash}`, 'reapi.instance': instance };
}
