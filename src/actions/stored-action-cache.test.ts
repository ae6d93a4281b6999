// What is kept, what counts as another action, and what becomes of damaged values.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import type { ValueKey, ValueStore } from '../blob/value-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, sha256 } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionResultSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import type { ActionKey } from './action-cache.ts';
import { StoredActionCache, storedActionCacheLimits } from './stored-action-cache.ts';
import { decodeStoredActionResult, encodeStoredActionResult } from './stored-action-result.ts';

const action = Digest.of(Buffer.from('the action'));
const key: ActionKey = { instance: parseInstanceName('main'), actionDigest: action };
const encoded = (fields: MessageInitShape<typeof ActionResultSchema>) => EncodedActionResult.of(create(ActionResultSchema, fields));
const result = encoded({ exitCode: 7 });

function setUp(values: ValueStore = new MemoryValueStore(), actionResultBytesMax = storedActionCacheLimits.actionResultBytesMax) {
  const log = new RecordedLog();
  return { log, values, cache: new StoredActionCache(values, { actionResultBytesMax }, log) };
}

/** The same, but every value comes as a stream. */
function streaming(inner: ValueStore): ValueStore {
  return {
    capabilities: inner.capabilities,
    put: (...put) => inner.put(...put),
    putFirst: (...put) => inner.putFirst(...put),
    async get(asked): Promise<ByteSource | undefined> {
      const source = await inner.get(asked);
      if (source?.inMemory === undefined) return undefined;
      const bytes = source.inMemory;
      return {
        sizeBytes: bytes.byteLength,
        async *[Symbol.asyncIterator]() {
          for (const byte of bytes) yield Uint8Array.of(byte);
        },
        async [Symbol.asyncDispose]() {},
      };
    },
  };
}

const valueKey: ValueKey = { kind: 'action_result', instance: 'main', digestFunction: sha256, hash: action.hash };

describe('StoredActionCache', () => {
  it('AC-9: gives back what was put, at once when the value is in memory', async () => {
    const { cache } = setUp();
    assert.equal(cache.get(key), undefined);
    await cache.put(key, result);
    const found = cache.get(key);
    assert.ok(!(found instanceof Promise));
    assert.equal(found?.message.exitCode, 7);
    const streamed = setUp(streaming(new MemoryValueStore()));
    await streamed.cache.put(key, result);
    assert.equal((await streamed.cache.get(key))?.message.exitCode, 7);
  });

  it('AC-9: keys by instance, function and hash; another size finds nothing, no size finds any', async () => {
    const { cache } = setUp();
    await cache.put(key, result);
    const ask = (actionDigest: ActionKey['actionDigest'], instance = 'main') => cache.get({ instance: parseInstanceName(instance), actionDigest });
    assert.equal(ask(action, 'other'), undefined);
    assert.equal(ask(Digest.of(Buffer.from('another'))), undefined);
    assert.equal(ask({ function: blake3, hash: action.hash, sizeBytes: action.sizeBytes }), undefined);
    assert.equal(ask({ function: sha256, hash: action.hash, sizeBytes: action.sizeBytes + 1 }), undefined);
    assert.notEqual(ask({ function: sha256, hash: action.hash, sizeBytes: undefined }), undefined);
    await cache.put({ ...key, actionDigest: { function: sha256, hash: action.hash, sizeBytes: undefined } }, result);
    assert.notEqual(ask(action), undefined);
  });

  it('AC-9: keeps fields that are not known here', async () => {
    const { cache } = setUp();
    const bytes = Buffer.concat([result.bytes, Buffer.from([0xfa, 0x06, 0x03, 0x61, 0x62, 0x63])]); // field 111: "abc"
    await cache.put(key, EncodedActionResult.parse(bytes));
    const found = await cache.get(key);
    assert.ok(found);
    assert.deepEqual(Buffer.from(found.bytes), bytes);
  });

  it('AC-8: never keeps an empty message', async () => {
    const { cache } = setUp();
    await cache.put(key, encoded({}));
    const found = await cache.get(key);
    assert.equal(found?.message.executionMetadata?.worker, 'kiln');
  });

  it('AC-10: the last put wins', async () => {
    const { cache } = setUp();
    await cache.put(key, result);
    await cache.put(key, encoded({ exitCode: 8 }));
    assert.equal((await cache.get(key))?.message.exitCode, 8);
  });

  it('refuses a result above the limit, names it, and keeps the one before', async () => {
    const { cache } = setUp(new MemoryValueStore(), 100);
    await cache.put(key, result);
    const large = encoded({ stdoutRaw: Buffer.alloc(200) });
    await assert.rejects(cache.put(key, large), (error: CacheError) => error.code === 'invalid_argument' && /203 bytes; at most 100/.test(error.message));
    assert.equal((await cache.get(key))?.message.exitCode, 7);
  });

  it('does not serve what a lowered limit forbids, and says so', async () => {
    const { values, cache } = setUp();
    await cache.put(key, encoded({ stdoutRaw: Buffer.alloc(200) }));
    const lowered = setUp(values, 100);
    assert.equal(await lowered.cache.get(key), undefined);
    assert.match(lowered.log.lines.join(), /warn .*size limit/);
  });

  const damaged: readonly (readonly [string, Uint8Array])[] = [
    ['is empty', new Uint8Array(0)],
    ['is a header only', encodeStoredActionResult({ actionSizeBytes: 1, result }).subarray(0, 9)],
    ['has another version', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 7)],
    ['has an impossible size', Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x20, 7)],
    ['does not decode', Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0xff)],
  ];
  for (const [how, bytes] of damaged) {
    it(`counts a value that ${how} as absent, and reports it`, async () => {
      const { values, cache, log } = setUp();
      await values.put(valueKey, byteSourceOf(bytes));
      assert.equal(await cache.get(key), undefined);
      assert.match(log.lines.join(), /^warn .*does not decode.*"hash":"/);
    });
  }

  it('passes on what the store throws', async () => {
    const failing: ValueStore = {
      capabilities: { survives: 'nothing', valueBytesMax: 1000 },
      get: () => {
        throw new CacheError('unavailable', 'the disk is gone');
      },
      put: () => Promise.reject(new CacheError('resource_exhausted', 'full')),
      putFirst: () => Promise.reject(new CacheError('resource_exhausted', 'full')),
    };
    const { cache } = setUp(failing);
    assert.throws(() => cache.get(key), { code: 'unavailable' });
    await assert.rejects(cache.put(key, result), { code: 'resource_exhausted' });
  });
});

describe('the format of stored action results', () => {
  it('is that of the example in docs/formats/action-result.md', () => {
    const page = readFileSync(new URL('../../docs/formats/action-result.md', import.meta.url), 'utf8');
    const example = /```\n((?:[0-9a-f]{2} ?)+)\n```/.exec(page)?.[1];
    assert.ok(example);
    const bytes = Buffer.from(example.replaceAll(' ', ''), 'hex');
    const decoded = decodeStoredActionResult(bytes);
    assert.equal(decoded?.actionSizeBytes, 142);
    assert.equal(decoded?.result.message.exitCode, 7);
    assert.deepEqual(Buffer.from(encodeStoredActionResult({ actionSizeBytes: 142, result })), bytes);
  });
});
