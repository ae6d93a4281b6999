// K11-02: what hangs is reported, with what it is, for how long, where, and who waits for it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { RecordedSpan } from '../testing/recorded-tracer.ts';
import { temporaryEngineStore } from '../testing/temporary-engine-store.ts';
import { valueStoreConformance } from '../testing/value-store-conformance.ts';
import type { BlobStore } from './blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';
import { MemoryValueStore } from './memory-value-store.ts';
import { OperationWatch } from './operation-watch.ts';
import { StallReportingBlobStore } from './stall-reporting-blob-store.ts';
import { StallReportingValueStore } from './stall-reporting-value-store.ts';

const limitMs = 10_000;
const content = Buffer.from('content of a blob');
const digest = Digest.of(content);
const name = `sha256/${digest.hash}`;

class Watched {
  readonly clock = new ManualClock();
  readonly log = new RecordedLog();
  readonly meter = new RecordedMeter();
  readonly watch = new OperationWatch(limitMs, { clock: this.clock, timers: this.clock, log: this.log, meter: this.meter });
  readonly store: BlobStore;

  constructor(replaced: Partial<BlobStore> = {}) {
    this.store = new StallReportingBlobStore(blobStoreWith(new MemoryBlobStore(), replaced), this.watch);
  }

  /** Lets time pass, and reports be written. */
  async pass(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await turn();
  }

  get stalled(): number | undefined {
    return this.meter.value('kiln_store_stalled_operations');
  }
}

/** Lets everything run that waits for nothing but promises. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The fields of a line of the log. */
function fields(line: string | undefined): Record<string, unknown> {
  return JSON.parse(line?.slice(line.indexOf('{')) ?? '{}') as Record<string, unknown>;
}

blobStoreConformance('stall reporting over files', async () => {
  const files = await temporaryEngineStore();
  const { watch } = new Watched();
  return { store: new StallReportingBlobStore(files.store.blobs, watch), [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() };
});
valueStoreConformance('stall reporting over files', async () => {
  const files = await temporaryEngineStore();
  const { watch } = new Watched();
  return { store: new StallReportingValueStore(files.store.values, watch), [Symbol.asyncDispose]: () => files[Symbol.asyncDispose]() };
});

describe('StallReportingBlobStore', () => {
  it('K11-02: reports a put that hangs once, with digest, size, step, time, trace and the stack of who waits, and its end', async () => {
    const hangs = Promise.withResolvers<void>();
    const watched = new Watched({
      async put(_digest, bytes, options) {
        await collect(bytes, 1_000);
        options?.onStep?.('sync');
        await hangs.promise;
      },
    });
    const trace = new RecordedSpan('request');
    const steps: string[] = [];
    async function uploadOfTheTest(): Promise<void> {
      await watched.store.put(digest, byteSourceOf(content), { trace, onStep: (step) => steps.push(step) });
    }
    const put = uploadOfTheTest();
    await turn();
    await watched.pass(limitMs - 1);
    assert.deepEqual([watched.log.lines, watched.stalled], [[], 0]);
    await watched.pass(limitMs / 10 + 1);
    assert.equal(watched.log.lines.length, 1);
    assert.match(watched.log.lines[0] ?? '', /^warn a store operation hangs: no end after 10000 ms/);
    const { stack, tookMs, ...told } = fields(watched.log.lines[0]);
    assert.deepEqual(told, { operation: 'put', digest: name, sizeBytes: content.byteLength, step: 'sync', receivedBytes: content.byteLength, trace: trace.traceId });
    assert.match(String(stack), /at async uploadOfTheTest \(.*stall-reporting-blob-store\.test\.ts/);
    assert.ok(Number(tookMs) >= limitMs && Number(tookMs) <= 1.1 * limitMs);
    await watched.pass(10 * limitMs);
    assert.equal(watched.log.lines.length, 1, 'once');
    assert.deepEqual([watched.stalled, watched.meter.value('kiln_store_stalls_total{operation="put"}')], [1, 1]);

    hangs.resolve();
    await put;
    assert.match(watched.log.lines[1] ?? '', /^info a store operation that hung has ended/);
    assert.deepEqual([fields(watched.log.lines[1])['outcome'], fields(watched.log.lines[1])['digest']], ['finished', name]);
    assert.deepEqual([watched.log.lines.length, watched.stalled, steps], [2, 0, ['sync']]);
  });

  it('K11-02: names each verb, how many blobs and which first', async () => {
    const never = (): Promise<never> => new Promise(() => {});
    const watched = new Watched({ findMissing: never, resolve: never, get: never, getMany: never, put: never, putMany: never });
    const { store } = watched;
    const list = DigestList.of(digest, Digest.of(Buffer.from('another')));
    void store.findMissing(list);
    void store.resolve(sha256, digest.hash);
    void store.get(digest);
    void store.getMany(list);
    void store.put(digest, byteSourceOf(content));
    void store.putMany([{ digest, bytes: content }]);
    await watched.pass(2 * limitMs);
    const told = watched.log.lines.map(fields).map(({ operation, digest: of, sizeBytes, blobs }) => [operation, of, sizeBytes, blobs]);
    assert.deepEqual(told, [
      ['find_missing', name, content.byteLength + 7, 2],
      ['resolve', name, undefined, undefined],
      ['get', name, content.byteLength, undefined],
      ['get_many', name, content.byteLength + 7, 2],
      ['put', name, content.byteLength, undefined],
      ['put_many', name, content.byteLength, 1],
    ]);
  });

  it('does not blame the store for a client that sends slowly', async () => {
    const watched = new Watched();
    const gate = Promise.withResolvers<void>();
    const put = watched.store.put(digest, (async function* () {
      yield content.subarray(0, 5);
      await gate.promise;
      yield content.subarray(5);
    })());
    await turn();
    await watched.pass(100 * limitMs);
    gate.resolve();
    await put;
    assert.deepEqual(watched.log.lines, []);
  });

  it('does not take a large blob for one that hangs, as long as its pieces are written', async () => {
    const watched = new Watched({
      async put(_digest, bytes) {
        for await (const _piece of bytes) {
          const written = Promise.withResolvers<void>();
          watched.clock.after(limitMs / 2, written.resolve);
          await written.promise;
        }
      },
    });
    const put = watched.store.put(digest, (async function* () {
      for (let piece = 0; piece < 10; piece += 1) yield content;
    })());
    await turn();
    for (let piece = 0; piece < 10; piece += 1) await watched.pass(limitMs / 2);
    await put;
    assert.deepEqual(watched.log.lines, []);
  });

  it('watches each piece of a stream while it is read from the disk, and not while its reader takes its time', async () => {
    const pieces = [Promise.withResolvers<Uint8Array>(), Promise.withResolvers<Uint8Array>()];
    const source: ByteSource = {
      sizeBytes: content.byteLength,
      async *[Symbol.asyncIterator]() {
        for (const { promise } of pieces) yield await promise;
      },
      async [Symbol.asyncDispose]() {},
    };
    const watched = new Watched({ get: async () => source });
    const got = await watched.store.get(digest);
    const reader = got?.[Symbol.asyncIterator]();
    pieces[0]?.resolve(content.subarray(0, 5));
    await reader?.next();
    await watched.pass(100 * limitMs);
    assert.deepEqual(watched.log.lines, []);
    const second = reader?.next();
    await watched.pass(2 * limitMs);
    assert.deepEqual([fields(watched.log.lines[0])['operation'], fields(watched.log.lines[0])['digest']], ['read', name]);
    pieces[1]?.resolve(content.subarray(5));
    await second;
    assert.equal((await reader?.next())?.done, true);
  });

  it('reports ten of a thousand, counts the others, and says of failures that they are', async () => {
    const ends: PromiseWithResolvers<never>[] = [];
    const watched = new Watched({
      get: () => {
        const end = Promise.withResolvers<never>();
        ends.push(end);
        return end.promise;
      },
    });
    const gets = Array.from({ length: 1_000 }, async () => watched.store.get(digest));
    await watched.pass(2 * limitMs);
    assert.equal(watched.log.lines.filter((line) => line.includes('hangs')).length, 10);
    assert.ok(watched.log.lines.includes('warn more store operations hang {"operations":990,"stalled":1000}'));
    assert.equal(watched.stalled, 1_000);
    for (const end of ends) end.reject(new CacheError('unavailable', 'gone'));
    assert.ok((await Promise.allSettled(gets)).every(({ status }) => status === 'rejected'));
    assert.equal(watched.log.lines.filter((line) => line.includes('"outcome":"failed"')).length, 10);
    assert.equal(watched.stalled, 0);
  });

  it('has no timer when nothing waits, and gives answers from memory as they are', async () => {
    const watched = new Watched();
    await watched.store.put(digest, byteSourceOf(content));
    const { store, clock } = watched;
    clock.advance(limitMs);
    assert.equal(clock.pendingTimers, 0);
    assert.equal(store.findMissing(DigestList.of(digest)) instanceof Promise, false);
    assert.equal(store.resolve(sha256, digest.hash) instanceof Promise, false);
    assert.equal(store.get(digest) instanceof Promise, false);
    assert.equal(clock.pendingTimers, 0);
  });
});

describe('StallReportingValueStore', () => {
  it('K11-02: names the value, and what was received of it', async () => {
    const { watch, clock, log } = new Watched();
    const inner = new MemoryValueStore();
    const store = new StallReportingValueStore(
      {
        capabilities: inner.capabilities,
        get: () => new Promise(() => {}),
        async put(_key, bytes) {
          await collect(bytes, 1_000);
          await new Promise(() => {});
        },
        putFirst: (...put) => inner.putFirst(...put),
      },
      watch,
    );
    const key = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: digest.hash } as const;
    void store.get(key);
    void store.put(key, byteSourceOf(content));
    await turn();
    clock.advance(2 * limitMs);
    await turn();
    const told = log.lines.map(fields).map(({ stack: _stack, tookMs: _took, ...rest }) => rest);
    const common = { kind: 'action_result', instance: 'main', digest: name };
    assert.deepEqual(told, [{ operation: 'get_value', ...common }, { operation: 'put_value', ...common, receivedBytes: content.byteLength }]);
  });
});
