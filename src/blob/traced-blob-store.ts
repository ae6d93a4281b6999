// A decorator that shows in the trace of a request what the store did for it.
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { tracedPart, tracedWork } from '../base/tracer.ts';
import type { Span, SpanAttributes } from '../base/tracer.ts';
import type { Digest } from '../digest/digest.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { DigestList } from '../digest/digest-list.ts';
import type { BlobBytes, BlobStore, BlobStoreCapabilities, GetOptions, GetResults, PutResult } from './blob-store.ts';
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
    const missing = this.#inner.findMissing(digests, options);
    const trace = options?.trace;
    if (trace === undefined) return missing;
    return tracedPart(trace, 'blob.find_missing', missing, ({ length }) => ({ ...listAttributes(digests), 'kiln.missing.count': length }));
  }

  resolve(digestFunction: DigestFunction, hash: string, options?: CallOptions): MaybePromise<Digest | undefined> {
    const digest = this.#inner.resolve(digestFunction, hash, options);
    const trace = options?.trace;
    if (trace === undefined) return digest;
    return tracedPart(trace, 'blob.resolve', digest, (found) => ({
      'kiln.digest': `${digestFunction.name}/${hash}`,
      'kiln.hit': found !== undefined,
      'kiln.bytes': found?.sizeBytes,
    }));
  }

  get(digest: Digest, options?: GetOptions): MaybePromise<ByteSource | undefined> {
    const source = this.#inner.get(digest, options);
    const trace = options?.trace;
    if (trace === undefined) return source;
    const range = options?.range;
    return tracedSource(trace, 'blob.get', source, { ...digestAttributes(digest), 'kiln.range.offset': range?.offset, 'kiln.range.length': range?.length });
  }

  getMany(digests: DigestList, options?: CallOptions): MaybePromise<GetResults> {
    const results = this.#inner.getMany(digests, options);
    const trace = options?.trace;
    if (trace === undefined) return results;
    return tracedPart(trace, 'blob.get_many', results, (found) => ({
      ...listAttributes(digests),
      'kiln.bytes': digests.totalBytes,
      'kiln.missing.count': found.filter((result) => result === undefined).length,
      'kiln.failed.count': found.filter((result) => result instanceof Error).length,
    }));
  }

  put(digest: Digest, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.put(digest, bytes, options);
    const span = trace.child('blob.put', digestAttributes(digest));
    return tracedWork(span, this.#inner.put(digest, bytes, within(span, options)));
  }

  putMany(blobs: readonly BlobBytes[], options?: CallOptions): Promise<readonly PutResult[]> {
    const trace = options?.trace;
    if (trace === undefined) return this.#inner.putMany(blobs, options);
    const bytes = blobs.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
    const span = trace.child('blob.put_many', { 'kiln.blobs.count': blobs.length, 'kiln.bytes': bytes });
    return tracedWork(span, this.#inner.putMany(blobs, within(span, options)), (results) => ({
      'kiln.failed.count': results.filter((result) => result !== undefined).length,
    }));
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

/** As `tracedPart`; the child of a stream lasts until the stream ends. */
export function tracedSource(
  parent: Span,
  name: string,
  source: MaybePromise<ByteSource | undefined>,
  attributes: SpanAttributes,
): MaybePromise<ByteSource | undefined> {
  const describe = (found: ByteSource | undefined): SpanAttributes => ({
    'kiln.hit': found !== undefined,
    'kiln.in_memory': found && found.inMemory !== undefined,
  });
  if (isPromise(source)) return streamLater(parent.child(name, attributes), source, describe);
  if (source === undefined || source.inMemory !== undefined) {
    parent.event(name, { ...attributes, ...describe(source) });
    return source;
  }
  return stream(parent.child(name, { ...attributes, ...describe(source) }), source);
}

async function streamLater(
  span: Span,
  source: Promise<ByteSource | undefined>,
  describe: (found: ByteSource | undefined) => SpanAttributes,
): Promise<ByteSource | undefined> {
  try {
    const found = await source;
    span.set(describe(found));
    if (found !== undefined) return stream(span, found);
    span.end();
    return undefined;
  } catch (thrown) {
    span.end(String(thrown));
    throw thrown;
  }
}

function stream(span: Span, source: ByteSource): ByteSource {
  return observedSource(source, { pulled: (piece) => piece, ended: (failure) => span.end(failure && String(failure)) });
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
