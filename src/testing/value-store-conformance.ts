// The contract of ValueStore as tests. Runs on every store and on the fakes that stand in for them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { PresentValue, ValueKey, ValueStore } from '../blob/value-store.ts';
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

    it('CT-9: the first value stays, and later writers are told', async () => {
      await using opened = await open();
      assert.equal(await first(opened.store, key, 'first'), true);
      assert.equal(await first(opened.store, key, 'second, and longer'), false);
      assert.equal(await first(opened.store, key, 'first'), true, 'the very same is there, so it went well');
      assert.equal(String(await read(opened.store, key)), 'first');
      await opened.store.put(key, byteSourceOf(Buffer.from('by who may')));
      assert.equal(await first(opened.store, key, 'first'), false);
      assert.equal(String(await read(opened.store, key)), 'by who may');
    });

    it('CT-9: shows what is there under the key, of both kinds, and replaces what does not stand', async () => {
      await using opened = await open();
      const beside: ValueKey = { ...key, kind: 'opaque' };
      for (const other of [{ ...key, instance: 'main' }, { ...key, digestFunction: blake3 }, { ...key, hash: '0b'.repeat(32) }]) {
        await opened.store.put(other, byteSourceOf(Buffer.from('of another key')));
      }
      const seen: string[] = [];
      const show = (standing: (text: string) => boolean) => ({ kind, bytes }: PresentValue): boolean => {
        seen.push(`${kind}: ${Buffer.from(bytes).toString()}`);
        return standing(Buffer.from(bytes).toString());
      };
      assert.equal(await opened.store.putFirst(beside, byteSourceOf(Buffer.from('opaque')), show(() => true)), true);
      assert.deepEqual(seen, []);
      assert.equal(await opened.store.putFirst(key, byteSourceOf(Buffer.from('result')), show(() => true)), false, 'the other kind stands');
      assert.equal(await opened.store.putFirst(key, byteSourceOf(Buffer.from('result')), show(() => false)), true);
      assert.equal(await opened.store.putFirst(beside, byteSourceOf(Buffer.from('next')), show((text) => text === 'result')), false);
      assert.equal(await opened.store.putFirst(key, byteSourceOf(Buffer.from('next')), show(() => false)), true);
      assert.deepEqual(seen, ['opaque: opaque', 'opaque: opaque', 'opaque: opaque', 'action_result: result', 'action_result: result', 'opaque: opaque']);
      assert.equal(String(await read(opened.store, key)), 'next');
      assert.equal(String(await read(opened.store, beside)), 'opaque');
    });

    it('CT-9: of a hundred writers of one key, of both kinds, one wins', async (t) => {
      const random = seededRandom(t);
      await using opened = await open();
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, async (_, writer) => {
          const own: ValueKey = { ...key, kind: writer % 2 === 0 ? 'action_result' : 'opaque' };
          return { own, text: `writer ${writer}`, won: await opened.store.putFirst(own, chunked(Buffer.from(`writer ${writer}`), random), () => true) };
        }),
      );
      const winners = outcomes.filter(({ won }) => won);
      assert.equal(winners.length, 1);
      const [{ own, text } = { own: key, text: '' }] = winners;
      assert.equal(String(await read(opened.store, own)), text);
      assert.equal(await read(opened.store, { ...own, kind: own.kind === 'opaque' ? 'action_result' : 'opaque' }), undefined);
    });

    it('CT-9: never replaces what was put while it was being decided', async () => {
      await using opened = await open();
      await opened.store.put(key, byteSourceOf(Buffer.from('incomplete')));
      const asked: string[] = [];
      const stands = async ({ bytes }: PresentValue): Promise<boolean> => {
        asked.push(Buffer.from(bytes).toString());
        if (asked.length === 1) await opened.store.put(key, byteSourceOf(Buffer.from('of who may overwrite')));
        return asked.length > 1;
      };
      assert.equal(await opened.store.putFirst(key, byteSourceOf(Buffer.from('late')), stands), false);
      assert.deepEqual(asked, ['incomplete', 'of who may overwrite']);
      assert.equal(String(await read(opened.store, key)), 'of who may overwrite');
    });

    it('CT-9: gives up, to be tried again, when others replace the value each time', async () => {
      await using opened = await open();
      let round = 0;
      const again = () => opened.store.put(key, byteSourceOf(Buffer.from(`round ${(round += 1)}`)));
      await again();
      const stands = async (): Promise<boolean> => (await again(), false);
      await assert.rejects(opened.store.putFirst(key, byteSourceOf(Buffer.from('late')), stands), { kind: 'busy' });
      assert.equal(String(await read(opened.store, key)), `round ${round}`);
    });

    it('CT-9: a first put that fails or is cancelled leaves nothing, and the next one goes on', async () => {
      await using opened = await open();
      const abort = new AbortController();
      const cancelled = (async function* () {
        yield Buffer.from('half');
        abort.abort();
        yield Buffer.from('whole');
      })();
      await assert.rejects(opened.store.putFirst(key, cancelled, () => true, { signal: abort.signal }), { code: 'cancelled' });
      await opened.store.put({ ...key, kind: 'opaque' }, byteSourceOf(Buffer.from('beside')));
      const broken = async (): Promise<boolean> => assert.fail('nobody can tell');
      await assert.rejects(opened.store.putFirst(key, byteSourceOf(Buffer.from('x')), broken), { message: 'nobody can tell' });
      assert.equal(await read(opened.store, key), undefined);
      assert.equal(await opened.store.putFirst(key, byteSourceOf(Buffer.from('y')), () => false), true);
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

function first(store: ValueStore, asked: ValueKey, text: string): Promise<boolean> {
  return store.putFirst(asked, byteSourceOf(Buffer.from(text)), () => true);
}

async function read(store: ValueStore, asked: ValueKey): Promise<Buffer | undefined> {
  const source = await store.get(asked);
  if (source === undefined) return undefined;
  await using owned = source;
  const bytes = await collect(owned, 10_000_000);
  assert.equal(bytes.byteLength, owned.sizeBytes, 'a source has the length it announces');
  return Buffer.from(bytes);
}
