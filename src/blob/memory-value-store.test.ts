// Values in memory: the contract, and the bound.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf } from '../base/byte-source.ts';
import { sha256 } from '../digest/digest-function.ts';
import { valueStoreConformance } from '../testing/value-store-conformance.ts';
import { MemoryValueStore } from './memory-value-store.ts';
import type { ValueKey } from './value-store.ts';

valueStoreConformance('memory', async () => ({ store: new MemoryValueStore(), async [Symbol.asyncDispose]() {} }));

describe('MemoryValueStore', () => {
  const key = (digit: string): ValueKey => ({ kind: 'opaque', instance: '', digestFunction: sha256, hash: digit.repeat(64) });

  it('drops what was used longest ago', async () => {
    const store = new MemoryValueStore({ bytesMax: 3_000, valueBytesMax: 10_000 });
    for (const digit of ['a', 'b']) await store.put(key(digit), byteSourceOf(new Uint8Array(1000)));
    store.get(key('a'));
    await store.put(key('c'), byteSourceOf(new Uint8Array(1000)));
    assert.deepEqual(['a', 'b', 'c'].map((digit) => store.get(key(digit)) !== undefined), [true, false, true]);
  });

  it('refuses for good what can never fit', async () => {
    const store = new MemoryValueStore({ bytesMax: 1_000, valueBytesMax: 10_000 });
    await assert.rejects(store.put(key('a'), byteSourceOf(new Uint8Array(1000))), { code: 'resource_exhausted' });
  });
});
