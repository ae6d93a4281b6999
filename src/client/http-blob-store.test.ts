// Blobs of a served store: the contract over real connections, bare and under the decorators of the client library.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { EmptyAwareBlobStore } from '../blob/empty-aware-blob-store.ts';
import { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { sha256 } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { blobStoreConformance } from '../testing/blob-store-conformance.ts';
import { serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';
import { callsTo, openRemoteBlobs, quickRetries } from '../testing/remote-blobs.ts';
import { HttpBlobStore } from './http-blob-store.ts';
import { RetryingBlobStore } from './retrying-blob-store.ts';
import { VerifyingBlobStore } from './verifying-blob-store.ts';

blobStoreConformance('over HTTP', openRemoteBlobs);

blobStoreConformance('over HTTP, as openCache stacks it', async () => {
  const remote = await openRemoteBlobs();
  const store = new EmptyAwareBlobStore(new VerifyingBlobStore(new RetryingBlobStore(remote.store, quickRetries())));
  return { store, [Symbol.asyncDispose]: () => remote[Symbol.asyncDispose]() };
});

describe('a server in a process of its own', () => {
  const ends: (() => unknown)[] = [];
  let server: KilnProcess;
  before(async () => {
    const lifetime = { after: (end: () => unknown) => void ends.unshift(end) };
    server = await serveKiln(lifetime, ['--listen', '127.0.0.1:0', '--data', await temporaryDirectory(lifetime)]);
  });
  after(async () => {
    for (const end of ends) await end();
  });

  // One server for all: each test makes bytes of its own, so the store is as good as empty to it.
  blobStoreConformance('on its disk', async () => {
    const { calls, ...client } = callsTo(server.port);
    const store = new HttpBlobStore(calls, { instance: parseInstanceName(''), requestsMax: 8 });
    return { store: new EmptyAwareBlobStore(new VerifyingBlobStore(new RetryingBlobStore(store, quickRetries()))), ...client };
  });
});

describe('HttpBlobStore', () => {
  it('asks before it sends a large blob, and leaves the source alone when it is there', async () => {
    await using remote = await openRemoteBlobs();
    const bytes = Buffer.alloc(300_000, 7);
    const digest = Digest.of(bytes);
    await remote.store.put(digest, byteSourceOf(bytes));
    await remote.store.put(digest, {
      [Symbol.asyncIterator]() {
        throw new Error('the source was taken');
      },
    });
  });

  it('stops reading when the stream is disposed, and has its connections back', async () => {
    await using remote = await openRemoteBlobs();
    const bytes = Buffer.alloc(3_000_000, 8);
    const digest = Digest.of(bytes);
    await remote.store.put(digest, byteSourceOf(bytes));
    for (let round = 0; round < 30; round += 1) {
      const source = await remote.store.get(digest);
      assert.ok(source);
      if (round % 2 === 0) await source[Symbol.asyncDispose]();
      else {
        for await (const _ of source) break;
      }
    }
    assert.equal((await remote.store.findMissing(DigestList.of(digest))).length, 0);
  });

  it('says what the server says, with its code and when to come again', async () => {
    await using remote = await openRemoteBlobs({ limits: { unsizedBodyBytesMax: 1 } });
    const digest = Digest.parse(sha256, 'ab'.repeat(32), 100);
    await assert.rejects(remote.store.put(digest, byteSourceOf(Buffer.alloc(100))), (thrown: Error) => {
      assert.match(thrown.message, /the 100 bytes sent do not have digest sha256\/abab.* \(status 400 from 127\.0\.0\.1:\d+\)/);
      return true;
    });
  });
});
