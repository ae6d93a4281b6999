// The contract of ValueStore as tests. Runs on every store and on the fakes that stand in for them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { ValueKey, ValueStore } from '../blob/value-store.ts';
import { blake3, sha256 } from '../digest/digest-function.ts';
import { chunked, seededRandom } from './seeded-random.ts';

/** A store under test; disposing it ends the store and removes what it left. */
export type OpenedValueStore = { readonly store: ValueStore } & AsyncDisposable;

const key: ValueKey = { kind: 'action_result', instance: '', digestFunction: sha256, hash: '0a'.repeat(32) };

/** Behaviour that every ValueStore owes its callers. `open` gives a fresh, empty store of at least 8 MB and owns its end. */
export function valueStoreConformance(name: string, open: () => Promise<OpenedValueStore>): void {
  describe(`ValueStore contract: ${name}`, () => {
    it('returns what was put, of any length, the empty value too', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      assert.equal(await read(opened.store, key), undefined);
      for (const length of [0, 1, 100, 4_096, 200_000]) {
        const bytes = random.bytes(length);
        await opened.store.put(key, chunked(bytes, random));
        assert.deepEqual(await read(opened.store, key), Buffer.from(bytes));
      }
    });

    it('AC-10: the last put wins', async () => {
      await using opened = await open();
      for (const text of ['first, and a longer one', 'second', 'third one']) {
        await opened.store.put(key, byteSourceOf(Buffer.from(text)));
        assert.equal(String(await read(opened.store, key)), text);
      }
    });

    it('AC-9: keeps values apart by kind, instance, digest function and hash', async () => {
      await using opened = await open();
      const keys: readonly ValueKey[] = [
        key,
        { ...key, kind: 'opaque' },
        { ...key, instance: 'main' },
        { ...key, instance: 'main/0a' },
        { ...key, digestFunction: blake3 },
        { ...key, hash: '0b'.repeat(32) },
      ];
      for (const [index, one] of keys.entries()) await opened.store.put(one, byteSourceOf(Buffer.from(`value ${index}`)));
      for (const [index, one] of keys.entries()) assert.equal(String(await read(opened.store, one)), `value ${index}`);
    });

    it('leaves the value before when a put fails or is cancelled', async () => {
      await using opened = await open();
      await opened.store.put(key, byteSourceOf(Buffer.from('before')));
      const failing = (async function* () {
        yield Buffer.from('aft');
        throw new CacheError('unavailable', 'the source broke');
      })();
      await assert.rejects(opened.store.put(key, failing), { code: 'unavailable' });
      const abort = new AbortController();
      const cancelled = (async function* () {
        yield Buffer.from('aft');
        abort.abort();
        yield Buffer.from('er');
      })();
      await assert.rejects(opened.store.put(key, cancelled, { signal: abort.signal }), { code: 'cancelled' });
      assert.equal(String(await read(opened.store, key)), 'before');
    });

    it('refuses a value over its limit as soon as it is too long', async () => {
      await using opened = await open();
      const { valueBytesMax } = opened.store.capabilities;
      let sentBytes = 0;
      const endless = (async function* () {
        for (;;) {
          sentBytes += 1 << 20;
          yield new Uint8Array(1 << 20);
        }
      })();
      await assert.rejects(opened.store.put(key, endless), { code: 'invalid_argument' });
      assert.ok(sentBytes <= valueBytesMax + (2 << 20), `${sentBytes} bytes were taken`);
      assert.equal(await read(opened.store, key), undefined);
    });

    it('shows one value or another under concurrent puts and gets, never a mixture', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const candidates = Array.from({ length: 8 }, (_, index) => Buffer.alloc(random.integer(1, 30_000), index + 1));
      await Promise.all(
        candidates.flatMap((candidate) => [
          opened.store.put(key, chunked(candidate, random)),
          read(opened.store, key).then((seen) => assert.ok(seen === undefined || candidates.some((one) => one.equals(seen)))),
        ]),
      );
      const last = await read(opened.store, key);
      assert.ok(last !== undefined && candidates.some((one) => one.equals(last)));
    });
  });
}

async function read(store: ValueStore, asked: ValueKey): Promise<Buffer | undefined> {
  const source = await store.get(asked);
  if (source === undefined) return undefined;
  await using owned = source;
  const bytes = await collect(owned, 10_000_000);
  assert.equal(bytes.byteLength, owned.sizeBytes, 'a source has the length it announces');
  return Buffer.from(bytes);
}
