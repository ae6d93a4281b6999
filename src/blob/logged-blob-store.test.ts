// The contract through the decorator at debug and above, and what its lines say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { DigestList } from '../digest/digest-list.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { blobStoreWith } from '../testing/blob-store-with.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { LoggedBlobStore } from './logged-blob-store.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';

for (const debugEnabled of [true, false]) {
  blobStoreConformance(`logged over memory, ${debugEnabled ? 'at debug' : 'at info'}`, async () => {
    const log = new RecordedLog();
    log.debugEnabled = debugEnabled;
    return { store: new LoggedBlobStore(new MemoryBlobStore(), log), async [Symbol.asyncDispose]() {} };
  });
}

const bytes = Buffer.from('hello');
const digest = Digest.of(bytes, sha256);
const absent = Digest.of(Buffer.from('absent'), sha256);

/** Every verb once or twice. */
async function useAll(store: LoggedBlobStore): Promise<void> {
  await store.put(digest, byteSourceOf(bytes));
  await store.putMany([{ digest, bytes }]);
  await store.findMissing(DigestList.of(digest, absent));
  await store.resolve(sha256, digest.hash);
  await store.get(digest, { range: { offset: 1, length: 2 } });
  await store.get(absent);
  await store.getMany(DigestList.of(absent, digest));
}

describe('logged blob store', () => {
  it('K11-07: makes no line while debug is off, and nothing else either', async () => {
    const log = new RecordedLog();
    log.debugEnabled = false;
    const inner = new MemoryBlobStore();
    const store = new LoggedBlobStore(inner, log);
    await useAll(store);
    assert.deepEqual(log.lines, []);
    const found = DigestList.empty;
    const answering = new LoggedBlobStore(blobStoreWith(inner, { findMissing: () => found }), log);
    assert.equal(answering.findMissing(DigestList.of(digest)), found, 'the very answer, without a promise');
  });

  it('K11-08: has one line per operation at debug, with digests and outcome', async () => {
    const log = new RecordedLog();
    const store = new LoggedBlobStore(new MemoryBlobStore(), log);
    await useAll(store);
    const [id, other] = [`${digest.hash}/5`, `${absent.hash}/6`];
    assert.deepEqual(
      log.lines.map((line) => line.replace(/^debug /, '')),
      [
        `put {"digest":"${digest.toString()}"}`,
        `put many {"blobs":1,"failed":0,"digests":"${digest.toString()}"}`,
        `find missing {"requested":2,"missing":1,"function":"sha256","digests":"${id},${other}","missingDigests":"${other}"}`,
        `resolve {"function":"sha256","hash":"${digest.hash}","sizeBytes":5,"found":true}`,
        `get {"digest":"${digest.toString()}","offset":1,"length":2,"found":true,"inMemory":true}`,
        `get {"digest":"${absent.toString()}","found":false,"inMemory":false}`,
        `get many {"requested":2,"missing":1,"failed":0,"function":"sha256","digests":"${other},${id}"}`,
      ],
    );
  });

  it('says why a put failed, and lets the failure pass', async () => {
    const log = new RecordedLog();
    const full = new CacheError('resource_exhausted', 'full');
    const store = new LoggedBlobStore(blobStoreWith(new MemoryBlobStore(), { put: async () => Promise.reject(full), putMany: async () => [full] }), log);
    await assert.rejects(store.put(digest, byteSourceOf(bytes)), full);
    assert.deepEqual(await store.putMany([{ digest, bytes }]), [full]);
    assert.match(log.lines[0] ?? '', /put .*"failed":"resource_exhausted"/);
    assert.match(log.lines[1] ?? '', /put many .*"failed":1/);
  });

  it('names the first digests of a long list and counts the others', async () => {
    const log = new RecordedLog();
    const store = new LoggedBlobStore(new MemoryBlobStore(), log);
    const many = Array.from({ length: 10_000 }, (_, index) => Digest.of(Buffer.from(String(index)), sha256));
    await store.findMissing(DigestList.of(...many));
    assert.ok((log.lines[0] ?? '').length < 10_000);
    assert.match(log.lines[0] ?? '', /"requested":10000,"missing":10000,.*,… 9950 more"/);
  });
});
