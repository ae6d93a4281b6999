// The contract through the decorators, traced and not, and what a trace shows.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { RecordedSpan } from '../testing/recorded-tracer.ts';
import { temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import { valueStoreConformance } from '../testing/value-store-conformance.ts';
import type { BlobStore } from './blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';
import { TracedBlobStore } from './traced-blob-store.ts';
import { TracedValueStore } from './traced-value-store.ts';
import type { ValueKey, ValueStore } from './value-store.ts';

/** `inner` as callers use it whose every call is traced. */
function alwaysTraced(inner: BlobStore): BlobStore {
  const trace = new RecordedSpan('all');
  return {
    capabilities: inner.capabilities,
    findMissing: (digests, options) => inner.findMissing(digests, { ...options, trace }),
    resolve: (digestFunction, hash, options) => inner.resolve(digestFunction, hash, { ...options, trace }),
    get: (digest, options) => inner.get(digest, { ...options, trace }),
    getMany: (digests, options) => inner.getMany(digests, { ...options, trace }),
    put: (digest, bytes, options) => inner.put(digest, bytes, { ...options, trace }),
    putMany: (blobs, options) => inner.putMany(blobs, { ...options, trace }),
  };
}

function alwaysTracedValues(inner: ValueStore): ValueStore {
  const trace = new RecordedSpan('all');
  return {
    capabilities: inner.capabilities,
    get: (key, options) => inner.get(key, { ...options, trace }),
    put: (key, bytes, options) => inner.put(key, bytes, { ...options, trace }),
    putFirst: (key, bytes, stands, options) => inner.putFirst(key, bytes, stands, { ...options, trace }),
  };
}

blobStoreConformance('traced store, nothing traced', async () => ({ store: new TracedBlobStore(new MemoryBlobStore()), async [Symbol.asyncDispose]() {} }));
blobStoreConformance('traced store of segments, everything traced', async () => {
  const files = await temporaryEngineStore();
  return { store: alwaysTraced(new TracedBlobStore(files.store.blobs)), [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() };
});
valueStoreConformance('traced store of segments, everything traced', async () => {
  const files = await temporaryEngineStore();
  return { store: alwaysTracedValues(new TracedValueStore(files.store.values)), [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() };
});

const content = Buffer.alloc(3 << 20, 'kiln');
const digest = Digest.of(content);
const name = `sha256/${digest.hash}`;

describe('TracedBlobStore', () => {
  it('shows a write with the steps of the engine, each once, and a read from disk that lasts until it has been read', async () => {
    await using files = await temporaryEngineStore();
    const store = new TracedBlobStore(files.store.blobs);
    const trace = new RecordedSpan('request');
    await store.put(digest, chunks(content, 64 * 1024), { trace });
    const [put] = trace.children;
    assert.deepEqual(put?.attributes, { 'kiln.digest': name, 'kiln.bytes': content.byteLength });
    assert.deepEqual(put.events.map((event) => event.name), ['permit', 'room', 'create', 'receive', 'directory', 'room in the log', 'sync', 'lock', 'rename', 'directory sync', 'commit']);
    assert.deepEqual([put.ends, put.failure], [1, undefined]);

    const source = await store.get(digest, { trace, range: { offset: 1, length: 2 << 20 } });
    assert.ok(source !== undefined);
    const get = trace.children[1];
    assert.deepEqual([get?.name, get?.ends], ['blob.get', 0]);
    assert.equal((await collect(source, content.byteLength)).byteLength, 2 << 20);
    assert.equal(get?.ends, 1);
    await source[Symbol.asyncDispose]();
    assert.equal(get?.ends, 1);
    assert.deepEqual(get?.attributes, {
      'kiln.digest': name,
      'kiln.bytes': content.byteLength,
      'kiln.range.offset': 1,
      'kiln.range.length': 2 << 20,
      'kiln.hit': true,
      'kiln.in_memory': false,
    });
  });

  it('ends a read that is left in the middle, or never begun', async () => {
    await using files = await temporaryEngineStore();
    const store = new TracedBlobStore(files.store.blobs);
    await store.put(digest, byteSourceOf(content));
    const trace = new RecordedSpan('request');
    const left = await store.get(digest, { trace });
    for await (const _piece of left ?? []) break;
    const unread = await store.get(digest, { trace });
    await unread?.[Symbol.asyncDispose]();
    assert.deepEqual(trace.children.map(({ ends, failure }) => [ends, failure]), [[1, undefined], [1, undefined]]);
    await left?.[Symbol.asyncDispose]();
  });

  it('shows what was in memory as events, which cost no span', async () => {
    const store = new TracedBlobStore(new MemoryBlobStore());
    const small = Digest.of(Buffer.from('small'));
    await store.put(small, byteSourceOf(Buffer.from('small')));
    const trace = new RecordedSpan('request');
    await store.findMissing(DigestList.of(small, digest), { trace });
    await store.resolve(sha256, small.hash, { trace });
    await store.get(small, { trace });
    await store.get(digest, { trace });
    await store.getMany(DigestList.of(digest, small), { trace });
    assert.deepEqual(trace.children, []);
    assert.deepEqual(trace.events, [
      { name: 'blob.find_missing', attributes: { 'kiln.blobs.count': 2, 'kiln.digest': `sha256/${small.hash}`, 'kiln.missing.count': 1 } },
      { name: 'blob.resolve', attributes: { 'kiln.digest': `sha256/${small.hash}`, 'kiln.hit': true, 'kiln.bytes': 5 } },
      { name: 'blob.get', attributes: { 'kiln.digest': `sha256/${small.hash}`, 'kiln.bytes': 5, 'kiln.hit': true, 'kiln.in_memory': true } },
      { name: 'blob.get', attributes: { 'kiln.digest': name, 'kiln.bytes': content.byteLength, 'kiln.hit': false } },
      { name: 'blob.get_many', attributes: { 'kiln.blobs.count': 2, 'kiln.digest': name, 'kiln.bytes': content.byteLength + 5, 'kiln.missing.count': 1, 'kiln.failed.count': 0 } },
    ]);
  });

  it('ends what fails with the reason, and lets the failure through', async () => {
    const failure = new CacheError('unavailable', 'the disk is gone');
    const reject = () => Promise.reject(failure);
    const store = new TracedBlobStore(blobStoreWith(new MemoryBlobStore(), { findMissing: reject, get: reject, getMany: reject, put: reject, putMany: reject, resolve: reject }));
    const trace = new RecordedSpan('request');
    const options = { trace };
    for (const work of [
      async () => store.findMissing(DigestList.of(digest), options),
      async () => store.resolve(sha256, digest.hash, options),
      async () => store.get(digest, options),
      async () => store.getMany(DigestList.of(digest), options),
      () => store.put(digest, byteSourceOf(content), options),
      () => store.putMany([{ digest, bytes: content }], options),
    ]) {
      await assert.rejects(work(), failure);
    }
    assert.deepEqual(trace.children.map(({ ends, failure: why }) => [ends, why]), Array(6).fill([1, 'CacheError: the disk is gone']));
  });
});

describe('TracedValueStore', () => {
  it('names the value and whether it was there', async () => {
    await using files = await temporaryEngineStore();
    const store = new TracedValueStore(files.store.values);
    const key: ValueKey = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: digest.hash };
    const trace = new RecordedSpan('request');
    await store.get(key, { trace });
    await store.put(key, byteSourceOf(content), { trace });
    await store.get(key, { trace });
    assert.deepEqual(trace.events, [{ name: 'value.get', attributes: { 'kiln.value.kind': 'action_result', 'kiln.digest': name, 'reapi.instance': 'main', 'kiln.hit': false } }]);
    assert.deepEqual(trace.children.map((child) => [child.name, child.ends]), [['value.put', 1], ['value.get', 1]]);
    assert.equal(trace.children[1]?.attributes['kiln.hit'], true);
  });
});

async function* chunks(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.byteLength; offset += length) yield bytes.subarray(offset, offset + length);
}
