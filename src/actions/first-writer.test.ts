// Which entries are in the way of a writer who may not overwrite: binary results, JSON, and bytes of tools under one key.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { byteSourceOf } from '../base/byte-source.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import type { ValueKey } from '../blob/value-store.ts';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema, NodePropertiesSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { encodeJson } from './action-value.ts';
import { FirstWriter } from './first-writer.ts';
import { sameOutputs } from './same-outputs.ts';
import { StoredActionCache, storedActionCacheLimits } from './stored-action-cache.ts';

const encoded = (init: MessageInitShape<typeof ActionResultSchema>) => EncodedActionResult.of(create(ActionResultSchema, init));
const wire = (text: string) => ({ hash: Digest.of(Buffer.from(text)).hash, sizeBytes: BigInt(text.length) });

/** The same outputs, made by somebody at some time. */
const outputsMade = (worker: string, second: bigint, content = 'content') =>
  encoded({
    outputFiles: [{ path: 'out', digest: wire(content), nodeProperties: { unixMode: 0o644, mtime: { seconds: second } } }],
    outputSymlinks: [{ path: 'link', target: 'out', nodeProperties: { mtime: { seconds: second } } }],
    executionMetadata: { worker, executionStartTimestamp: { seconds: second } },
  });

const digest = Digest.of(Buffer.from('action'));
const key = { instance: parseInstanceName('main'), actionDigest: digest };
const opaque: ValueKey = { kind: 'opaque', instance: 'main', digestFunction: sha256, hash: digest.hash };

function setUp() {
  const values = new MemoryValueStore();
  return { values, cache: new StoredActionCache(values, storedActionCacheLimits, new RecordedLog()) };
}

/** Puts bytes of a tool, or a result as JSON, as HTTP does for who may not overwrite. */
async function putOpaque(values: MemoryValueStore, bytes: Uint8Array, result?: EncodedActionResult): Promise<string> {
  const writer = new FirstWriter({ kind: 'opaque', digestFunction: sha256, result }, { resultBytesMax: 1_000_000, isStanding: () => true });
  if (await values.putFirst(opaque, byteSourceOf(bytes), writer.stands)) return 'stored';
  return writer.metSame ? 'same' : 'kept';
}

describe('sameOutputs', () => {
  it('CT-9: looks past who made them and when, and past nothing else', () => {
    const one = outputsMade('a', 1n);
    assert.ok(sameOutputs(one, outputsMade('b', 2n)));
    assert.ok(sameOutputs(one, EncodedActionResult.parse(outputsMade('b', 2n).bytes)));
    const { message } = outputsMade('b', 2n);
    for (const other of [
      outputsMade('a', 1n, 'changed'),
      encoded({ ...message, exitCode: 1 }),
      encoded({ ...message, stdoutRaw: Buffer.from('x') }),
      encoded({ ...message, outputSymlinks: [] }),
      encoded({ ...message, outputFiles: message.outputFiles.map((file) => ({ ...file, isExecutable: true })) }),
      encoded({ ...message, outputFiles: message.outputFiles.map((file) => ({ ...file, nodeProperties: create(NodePropertiesSchema, { unixMode: 0o755 }) })) }),
    ]) {
      assert.ok(!sameOutputs(one, other), JSON.stringify(other.message, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
    }
  });
});

describe('StoredActionCache.putFirst', () => {
  it('CT-9: keeps the first result, and is content with one that gives a build the same', async () => {
    const { cache } = setUp();
    assert.equal(await cache.putFirst(key, outputsMade('a', 1n)), 'stored');
    assert.equal(await cache.putFirst(key, outputsMade('a', 1n)), 'stored', 'the very same bytes');
    assert.equal(await cache.putFirst(key, outputsMade('b', 2n)), 'same');
    assert.equal(await cache.putFirst(key, outputsMade('a', 1n, 'poison')), 'kept');
    assert.equal((await cache.get(key))?.message.executionMetadata?.worker, 'a');
    await cache.put(key, outputsMade('c', 3n, 'repaired'));
    assert.equal((await cache.get(key))?.message.executionMetadata?.worker, 'c');
  });

  it('CT-9, AC-9: a result for another size of the action is in the way, since readers without a size get it', async () => {
    const { cache } = setUp();
    const withSize = (sizeBytes: number | undefined) => ({ ...key, actionDigest: { function: sha256, hash: digest.hash, sizeBytes } });
    await cache.put(key, outputsMade('a', 1n));
    assert.equal(await cache.putFirst(withSize(1), outputsMade('b', 2n)), 'kept', 'with that size nothing is found');
    assert.equal(await cache.putFirst(withSize(undefined), outputsMade('b', 2n)), 'same');
    for (const size of [1, undefined]) assert.equal(await cache.putFirst(withSize(size), outputsMade('a', 1n, 'poison')), 'kept');
    assert.ok(await cache.get(key));
  });

  it('CT-9: a result that does not decode, or is too large to be served, is in nobody\'s way', async () => {
    const { cache, values } = setUp();
    const stored: ValueKey = { ...opaque, kind: 'action_result' };
    await values.put(stored, byteSourceOf(Buffer.from('of another program')));
    assert.equal(await cache.putFirst(key, outputsMade('a', 1n)), 'stored');
    const lowered = new StoredActionCache(values, { actionResultBytesMax: 20 }, new RecordedLog());
    assert.equal(await lowered.putFirst(key, encoded({ exitCode: 3 })), 'stored');
  });

  it('refuses what put refuses', async () => {
    const cache = new StoredActionCache(new MemoryValueStore(), { actionResultBytesMax: 20 }, new RecordedLog());
    await assert.rejects(cache.putFirst(key, outputsMade('a', 1n)), { code: 'invalid_argument' });
  });
});

describe('entries of both kinds under one key', () => {
  it('CT-9: bytes of a tool keep a result out, and a result keeps them out', async () => {
    const bytesFirst = setUp();
    assert.equal(await putOpaque(bytesFirst.values, Buffer.from([0xcc, 0xac])), 'stored');
    assert.equal(await bytesFirst.cache.putFirst(key, outputsMade('a', 1n)), 'kept');
    assert.equal(await bytesFirst.cache.get(key), undefined);
    const resultFirst = setUp();
    assert.equal(await resultFirst.cache.putFirst(key, outputsMade('a', 1n)), 'stored');
    assert.equal(await putOpaque(resultFirst.values, Buffer.from([0xcc, 0xac])), 'kept');
    assert.equal(resultFirst.values.get(opaque), undefined);
  });

  it('CT-9: a binary result may be put beside JSON that says the same, and another one may not', async () => {
    const { cache, values } = setUp();
    const [mine, others, poison] = [outputsMade('a', 1n), outputsMade('b', 2n), outputsMade('a', 1n, 'poison')];
    assert.equal(await putOpaque(values, encodeJson(mine.message), mine), 'stored');
    assert.equal(await putOpaque(values, encodeJson(others.message), others), 'same');
    assert.equal(await cache.putFirst(key, poison), 'kept');
    assert.equal(await cache.putFirst(key, others), 'stored');
    assert.equal(await putOpaque(values, encodeJson(poison.message), poison), 'kept');
    assert.equal((await cache.get(key))?.message.executionMetadata?.worker, 'b');
  });

  it('CT-9: JSON that says the same goes well, and is not put before the binary result, which is served as JSON too', async () => {
    const { cache, values } = setUp();
    assert.equal(await cache.putFirst(key, outputsMade('a', 1n)), 'stored');
    const others = outputsMade('b', 2n);
    const withMore = Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(encodeJson(others.message)).toString()) as object), ofANewerTool: 'poison' }));
    assert.equal(await putOpaque(values, withMore, others), 'same');
    assert.equal(values.get(opaque), undefined);
  });
});
