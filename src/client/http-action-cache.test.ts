// Action results of a served cache: what comes back, what is no result, and what gRPC clients see of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, equals } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ActionKey } from '../actions/action-cache.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha256 } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { openRemoteBlobs } from '../testing/remote-blobs.ts';
import { HttpActionCache } from './http-action-cache.ts';

const limits = { resultBytesMax: 100_000 };
const hash = 'ab'.repeat(32);
const keyOf = (instance: string, digestFunction: DigestFunction = sha256): ActionKey => ({ instance: parseInstanceName(instance), actionDigest: { function: digestFunction, hash, sizeBytes: 7 } });
const resultOf = (fields: MessageInitShape<typeof ActionResultSchema>) => EncodedActionResult.of(create(ActionResultSchema, fields));

describe('HttpActionCache', () => {
  it('gives a result back as it was put, by instance and function, and the last one', async () => {
    await using remote = await openRemoteBlobs();
    const cache = new HttpActionCache(remote.calls, limits);
    const bytes = Buffer.from('an output');
    const digest = Digest.of(bytes);
    await remote.store.put(digest, byteSourceOf(bytes));
    const file = { path: 'out', digest: { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) } };
    const [first, second] = [resultOf({ exitCode: 1, outputFiles: [file] }), resultOf({ exitCode: 2, outputFiles: [{ ...file, path: 'other' }] })];
    assert.equal(await cache.get(keyOf('a/b')), undefined);
    await cache.put(keyOf('a/b'), first);
    await cache.put(keyOf('a/b', blake3), resultOf({ exitCode: 5 }));
    const found = await cache.get(keyOf('a/b'));
    assert.ok(found !== undefined && equals(ActionResultSchema, found.message, first.message));
    assert.equal(await cache.get(keyOf('a')), undefined);
    assert.equal((await cache.get(keyOf('a/b', blake3)))?.message.exitCode, 5);
    await cache.put(keyOf('a/b'), second);
    assert.equal((await cache.get(keyOf('a/b')))?.message.exitCode, 2);
  });

  it('AC-2: does not give a result whose blobs are gone', async () => {
    await using remote = await openRemoteBlobs();
    const cache = new HttpActionCache(remote.calls, limits);
    await cache.put(keyOf(''), resultOf({ outputFiles: [{ path: 'out', digest: { hash, sizeBytes: 9n } }] }));
    assert.equal(await cache.get(keyOf('')), undefined);
  });

  it('keeps results that refer to nothing, the one that says nothing too', async () => {
    await using remote = await openRemoteBlobs();
    const cache = new HttpActionCache(remote.calls, limits);
    for (const fields of [{}, { exitCode: 3 }, { stdoutRaw: Buffer.from('printed') }]) {
      await cache.put(keyOf(''), resultOf(fields));
      const found = await cache.get(keyOf(''));
      assert.ok(found !== undefined && equals(ActionResultSchema, found.message, resultOf(fields).message), JSON.stringify(fields));
    }
  });

  it('takes what another tool has put under the key for no result', async () => {
    await using remote = await openRemoteBlobs();
    const cache = new HttpActionCache(remote.calls, limits);
    for (const body of [Buffer.from('ccac\u0000\u0001 some bytes'), Buffer.alloc(limits.resultBytesMax + 1)]) {
      await fetchHttp(remote.served.port, `/ac/${hash}`, { method: 'PUT', body });
      assert.equal(await cache.get(keyOf('')), undefined);
    }
  });

  it('refuses a result that is too large, before it is sent', async () => {
    await using remote = await openRemoteBlobs();
    const cache = new HttpActionCache(remote.calls, limits);
    await assert.rejects(cache.put(keyOf(''), resultOf({ stdoutRaw: Buffer.alloc(limits.resultBytesMax) })), { code: 'invalid_argument' });
  });
});
