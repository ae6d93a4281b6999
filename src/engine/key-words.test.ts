// Keys from hex, bytes, identities of values and records, beside a plain twin.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blake3, digestFunctions, md5, sha1, sha256, sha384, sha512 } from '../digest/digest-function.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { pageSays } from '../testing/worked-example.ts';
import { KeyWords, blobTag, keyBytes, valueTag } from './key-words.ts';
import type { RecordKind } from './record-codec.ts';
import { valueFileName } from './value-file.ts';

const value = { kind: 'opaque', instance: 'ci', digestFunction: sha256, hash: sha256.hashHex(Buffer.from('key')) } as const;

/** The plain twin: the hash as bytes, cut or with zeros behind. */
function plainKey(hash: string): string {
  return hash.slice(0, 2 * keyBytes).padEnd(2 * keyBytes, '0');
}

describe('KeyWords', () => {
  it('has the bytes of a hash of every function, cut or with zeros behind, from hex and from bytes', (t) => {
    const random = seededRandom(t);
    const [fromHex, fromBytes] = [new KeyWords(), new KeyWords()];
    for (let round = 0; round < 300; round += 1) {
      const { wireValue, hashBytes } = random.pick(digestFunctions);
      const bytes = random.bytes(hashBytes);
      const hash = Buffer.from(bytes).toString('hex');
      assert.ok(fromHex.setHash(blobTag(wireValue), hash));
      fromBytes.setBytes(blobTag(wireValue), bytes);
      assert.equal(fromHex.hex(), plainKey(hash));
      assert.deepEqual(fromBytes.words, fromHex.words);
      assert.equal(fromBytes.tag, fromHex.tag);
    }
  });

  it('has its words in little-endian order, as they stand in touches', () => {
    const key = new KeyWords();
    assert.ok(key.setHash(blobTag(md5.wireValue), '000102030405060708090a0b0c0d0e0f'));
    assert.deepEqual([...key.words], [0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c, 0, 0, 0, 0]);
  });

  it('refuses all that is not lower-case hex, at every place of hashes of every length', () => {
    const key = new KeyWords();
    const characters = [...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)), '\u0130', '\u0161', '\uff11', '\u3130', '\ud83d', '\u6161'];
    const wrong = characters.filter((character) => !/^[0-9a-f]$/.test(character));
    assert.equal(characters.length - wrong.length, 16);
    for (const { wireValue, hexLength } of digestFunctions) {
      const right = '0123456789abcdef'.repeat(hexLength / 16 + 1).slice(0, hexLength);
      assert.ok(key.setHash(blobTag(wireValue), right));
      for (let at = 0; at < hexLength; at += 1) {
        for (const character of wrong) assert.ok(!key.setHash(blobTag(wireValue), right.slice(0, at) + character + right.slice(at + 1)), `${JSON.stringify(character)} at ${at}`);
      }
      for (const length of ['', right.slice(1), `${right}0`, `${right}${right}`]) assert.ok(!key.setHash(blobTag(wireValue), length));
    }
  });

  it('refuses hashes of a function that is not known, and of another one\'s length', () => {
    const key = new KeyWords();
    for (const number of [0, 4, 7, 8, 10, 63]) assert.ok(!key.setHash(blobTag(number), 'ab'.repeat(32)));
    for (const { wireValue } of [sha1, md5, sha384, sha512]) assert.ok(!key.setHash(blobTag(wireValue), 'ab'.repeat(32)));
    assert.ok(key.setHash(blobTag(blake3.wireValue), 'ab'.repeat(32)));
  });

  it('AC-9: a value has the key that the page says, and the name that its file has had', () => {
    const key = new KeyWords();
    key.setValue(value);
    assert.ok(pageSays('segments.md', key.hex()));
    const identities = [value, { ...value, kind: 'action_result' as const }, { ...value, instance: '' }, { ...value, instance: 'größe/€/😀' }, { ...value, digestFunction: sha512, hash: 'ab'.repeat(64) }];
    for (const identity of identities) {
      key.setValue(identity);
      assert.equal(key.hex(), valueFileName(identity));
      assert.equal(key.tag, valueTag(identity.kind, identity.digestFunction.wireValue));
    }
  });

  it('a record has the key of what it is about, and a tombstone that of what it removes', () => {
    const [key, other] = [new KeyWords(), new KeyWords()];
    const record = { functionNumber: sha256.wireValue, instance: 'ci', hash: Buffer.from(value.hash, 'hex') };
    assert.ok(other.setHash(blobTag(sha256.wireValue), value.hash));
    const about: readonly [RecordKind, RecordKind | undefined][] = [['blob', undefined], ['intent', undefined], ['commit', undefined], ['tombstone', 'blob'], ['tombstone', 'intent'], ['tombstone', 'commit']];
    for (const [kind, removed] of about) {
      assert.ok(key.setRecord({ kind, ...record }, removed));
      assert.deepEqual([key.hex(), key.tag], [other.hex(), other.tag], kind);
    }
    for (const [kind, name] of [['actionResult', 'action_result'], ['opaque', 'opaque']] as const) {
      other.setValue({ ...value, kind: name });
      for (const isTombstone of [false, true]) {
        assert.ok(isTombstone ? key.setRecord({ kind: 'tombstone', ...record }, kind) : key.setRecord({ kind, ...record }));
        assert.deepEqual([key.hex(), key.tag], [other.hex(), other.tag], kind);
      }
    }
    for (const kind of ['touches', 'seal', 'tombstone'] as const) assert.ok(!key.setRecord({ kind, ...record }));
  });

  it('tags tell functions and name spaces apart, in a byte', () => {
    const tags = digestFunctions.flatMap(({ wireValue }) => [blobTag(wireValue), valueTag('action_result', wireValue), valueTag('opaque', wireValue)]);
    assert.equal(new Set(tags).size, 3 * digestFunctions.length);
    assert.ok(tags.every((tag) => tag < 256));
  });

  it('goes to bytes and back', (t) => {
    const random = seededRandom(t);
    const [key, again] = [new KeyWords(), new KeyWords()];
    const bytes = Buffer.alloc(40);
    key.setBytes(blobTag(1), random.bytes(32));
    key.writeTo(bytes, 5);
    again.setBytes(key.tag, bytes.subarray(5, 37));
    assert.deepEqual([again.words, again.tag], [key.words, key.tag]);
  });
});
