// The worked examples of docs/formats/ decode, and what is written is what the pages say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { blake3, md5, sha256 } from '../digest/digest-function.ts';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import { recencyBatch } from '../testing/format-one-store.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { pageSays, workedExample } from '../testing/worked-example.ts';
import { ObjectLayout, classifyName, isFileKey, spaces } from './object-layout.ts';
import { batchRecordsMax, readRecencyLog, recencyHeader } from './recency-format.ts';
import { decodeValueFile, encodeValueHeader, valueFileName } from './value-file.ts';
import type { ValueIdentity } from './value-file.ts';

const hello = Buffer.from('hello');
const identity: ValueIdentity = { kind: 'opaque', instance: 'ci', digestFunction: sha256, hash: sha256.hashHex(Buffer.from('key')) };

describe('docs/formats/objects.md', () => {
  it('the example is where and what the page says', () => {
    const layout = new ObjectLayout('');
    assert.ok(workedExample('objects.md').equals(hello));
    assert.ok(pageSays('objects.md', layout.final(Digest.of(hello).key)));
    assert.ok(pageSays('objects.md', layout.final(Digest.of(hello, blake3).key)));
  });

  it('a name is made and understood in one way', () => {
    const layout = new ObjectLayout('/data');
    for (const space of spaces) {
      const name = 'ab'.repeat(space.nameLength / 2);
      const key = space.keyOf(name);
      assert.equal(layout.final(key), `/data/${space.directory}/ab/${name}`);
      assert.ok(isFileKey(key));
      assert.deepEqual(classifyName(space, 'ab', name), { kind: 'stored', key });
      assert.deepEqual(classifyName(space, 'ab', `${name}.7.partial`), { kind: 'partial' });
      for (const foreign of [name.toUpperCase(), name.slice(1), `${name}0`, `cd${name.slice(2)}`, 'x']) {
        assert.deepEqual(classifyName(space, 'ab', foreign), { kind: 'foreign' }, foreign);
      }
    }
    for (const wrong of ['', 'x', '../etc', 'md5/ab', `nope/${'ab'.repeat(32)}`]) assert.ok(!isFileKey(wrong), wrong);
  });
});

describe('docs/formats/value.md', () => {
  it('the example decodes, has its name, and is written byte for byte', () => {
    const file = workedExample('value.md');
    const decoded = decodeValueFile(identity, file);
    assert.ok(decoded.kind === 'value' && Buffer.from(decoded.bytes).toString() === 'tiny');
    assert.ok(Buffer.concat([encodeValueHeader(identity, Buffer.from('tiny')), Buffer.from('tiny')]).equals(file));
    assert.ok(pageSays('value.md', new ObjectLayout('').final(`opaque/${valueFileName(identity)}`)));
  });

  it('is damaged with any bit flipped, any byte cut or added, or under any other identity', (t) => {
    const random = seededRandom(t);
    const value = random.bytes(100);
    const file = Buffer.concat([encodeValueHeader(identity, value), value]);
    for (let bit = 0; bit < file.byteLength * 8; bit += 1) {
      const changed = Buffer.from(file);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      assert.equal(decodeValueFile(identity, changed).kind, 'damaged', `bit ${bit}`);
    }
    for (let length = 0; length < file.byteLength; length += 1) assert.equal(decodeValueFile(identity, file.subarray(0, length)).kind, 'damaged');
    assert.equal(decodeValueFile(identity, Buffer.concat([file, Buffer.alloc(1)])).kind, 'damaged');
    const others: readonly Partial<ValueIdentity>[] = [{ kind: 'action_result' }, { instance: '' }, { instance: 'cj' }, { instance: 'cia' }, { hash: '00'.repeat(32) }, { digestFunction: blake3 }];
    for (const other of others) assert.equal(decodeValueFile({ ...identity, ...other }, file).kind, 'damaged', JSON.stringify(other));
  });

  it('AC-9: different identities have different names', () => {
    const names = [
      identity, { ...identity, kind: 'action_result' as const }, { ...identity, instance: '' }, { ...identity, instance: 'c' },
      { ...identity, hash: `00${identity.hash.slice(2)}` }, { ...identity, digestFunction: blake3 },
      { ...identity, digestFunction: md5, hash: identity.hash.slice(0, 32) },
    ].map(valueFileName);
    assert.equal(new Set(names).size, names.length);
  });
});

describe('docs/formats/recency.md', () => {
  const key = Digest.of(hello, md5).key;

  async function usesIn(bytes: Uint8Array) {
    const disk = new FaultyFileSystem();
    const file = await disk.createExclusive('/log');
    await file.write(bytes);
    return Array.fromAsync(readRecencyLog(file));
  }

  it('the example decodes, and is written byte for byte', async () => {
    const example = workedExample('recency.md');
    const use = { key, usedMs: 1_700_000_000_000 };
    assert.deepEqual(await usesIn(example), [use]);
    assert.ok(Buffer.concat([recencyHeader(), recencyBatch([use])]).equals(example));
  });

  it('a torn or damaged log is read up to there, and never fails', async (t) => {
    const random = seededRandom(t);
    const batches = [3, batchRecordsMax, 2].map((count) => Array.from({ length: count }, (_, index) => ({ key, usedMs: index })));
    const [first, second, third] = batches;
    assert.ok(first && second && third);
    const bytes = Buffer.concat([recencyHeader(), ...batches.map(recencyBatch)]);
    assert.equal((await usesIn(bytes)).length, batchRecordsMax + 5);
    const ends = [16, recencyBatch(first).byteLength, recencyBatch(second).byteLength, recencyBatch(third).byteLength];
    const counts = [0, 3, batchRecordsMax + 3, batchRecordsMax + 5];
    for (let round = 0; round < 60; round += 1) {
      const at = random.integer(0, bytes.byteLength - 1);
      let [whole, end] = [-1, 0];
      for (const length of ends) if ((end += length) <= at) whole += 1;
      assert.equal((await usesIn(bytes.subarray(0, at))).length, counts[whole] ?? 0, `cut at ${at}`);
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(at) ^ 4, at);
      assert.equal((await usesIn(flipped)).length, counts[whole] ?? 0, `flipped at ${at}`);
    }
  });

  it('skips a record whose key could not be a file here', async () => {
    const bytes = Buffer.concat([recencyHeader(), recencyBatch([{ key: '../../etc/passwd', usedMs: 1 }, { key, usedMs: 2 }])]);
    assert.deepEqual(await usesIn(bytes), [{ key, usedMs: 2 }]);
  });
});
