// A decorator that shows in the trace of a request what the store did for it.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { traced } from '../base/tracer.ts';
import type { Span, SpanAttributes } from '../base/tracer.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResult, PutResult } from './blob-store.ts';
import { observedSource } from './observed-byte-source.ts';

/** Calls that carry no span pass as they are. */
export class TracedBlobStore implements BlobStore {
  readonly capabilities: BlobStoreCapabilities;
  readonly #inner: BlobStore;

  constructor(inner: BlobStore) {
    this.capabilities = inner.capabilities;
    this.#inner = inner;
  }

  findMissing(digests: DigestList, options?: CallOptions): MaybePromise<DigestList> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.findMissing(digests, options);
    const span = trace.child('blob.find_missing', listAttributes(digests));
    return traced(span, () => this.#inner.findMissing(digests, within(span, options)), ({ length }) => ({ 'kiln.missing.count': length }));
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.resolve(digestFunction, hash, options);
    const span = trace.child('blob.resolve', { 'kiln.digest': `${digestFunction.name}/${hash}` });
    return traced(span, () => this.#inner.resolve(digestFunction, hash, within(span, options)), (digest) => ({
      'kiln.hit': digest !== undefined,
      'kiln.bytes': digest?.sizeBytes,
    }));
  }

  /** The span of a stream lasts until the stream ends. */
  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.get(digest, options);
    const range = options?.range;
    const span = trace.child('blob.get', { ...digestAttributes(digest), 'kiln.range.offset': range?.offset, 'kiln.range.length': range?.length });
    try {
      const source = this.#inner.get(digest, { ...within(span, options), range });
      return isPromise(source) ? sourceLater(span, source) : tracedSource(span, source);
    } catch (thrown) {
      span.end(String(thrown));
      throw thrown;
    }
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<readonly GetResult[]> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.getMany(digests, options);
    const span = trace.child('blob.get_many', listAttributes(digests));
    return traced(span, () => this.#inner.getMany(digests, within(span, options)), (results) => ({
      'kiln.missing.count': results.filter((result) => result === undefined).length,
      'kiln.failed.count': results.filter((result) => result instanceof Error).length,
    }));
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.put(digest, bytes, options);
    const span = trace.child('blob.put', digestAttributes(digest));
    return Promise.resolve(traced(span, () => this.#inner.put(digest, bytes, within(span, options))));
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.putMany(blobs, options);
    const bytes = blobs.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
    const span = trace.child('blob.put_many', { 'kiln.blobs.count': blobs.length, 'kiln.bytes': bytes });
    const put = (): Promise<readonly PutResult[]> => this.#inner.putMany(blobs, within(span, options));
    return Promise.resolve(traced(span, put, (results) => ({ 'kiln.failed.count': results.filter((result) => result !== undefined).length })));
  }
}

/** The options of a call that is part of `span`; what the engine does next becomes an event. Not spread: a getter would be lost. */
export function within(span: Span, options: CallOptions | undefined): CallOptions {
  const seen = new Set<string>();
  return {
    signal: options?.signal,
    trace: span,
    onStep: (step) => {
      if (seen.size < seen.add(step).size) span.event(step); // steps that take turns a thousand times show once
      options?.onStep?.(step);
    },
  };
}

/** `source` with the span that ends with it; a miss ends it now. */
export function tracedSource(span: Span, source: ByteSource | undefined): ByteSource | undefined {
  span.set({ 'kiln.hit': source !== undefined, 'kiln.in_memory': source && source.inMemory !== undefined });
  if (source === undefined) {
    span.end();
    return undefined;
  }
  return observedSource(source, {
    pulled: (piece) => piece,
    ended: (failure) => span.end(failure && String(failure)),
  });
}

/** As `tracedSource`, once it is there. */
export async function sourceLater(span: Span, source: Promise<ByteSource | undefined>): Promise<ByteSource | undefined> {
  try {
    return tracedSource(span, await source);
  } catch (thrown) {
    span.end(String(thrown));
    throw thrown;
  }
}

function digestAttributes(digest: Digest): SpanAttributes {
  return { 'kiln.digest': `${digest.function.name}/${digest.hash}`, 'kiln.bytes': digest.sizeBytes };
}

/** The first digest stands for the call; a request may have thousands. */
function listAttributes(digests: DigestList): SpanAttributes {
  return {
    'kiln.blobs.count': digests.length,
    'kiln.digest': digests.length === 0 ? undefined : `${digests.function.name}/${digests.hashAt(0)}`,
  };
}
