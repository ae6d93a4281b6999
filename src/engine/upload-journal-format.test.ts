// The worked example of docs/formats/uploads.md, and journals that end early or are not believed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { Digest } from '../digest/digest.ts';
import { sha1, sha256, sha512 } from '../digest/digest-function.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { pageSays, workedBlocks } from '../testing/worked-example.ts';
import { decodeUploadJournal, encodeJournalEntry, encodeJournalHeader, journalEntryBytes, journalHeaderBytes, pieceBytes, uploadKey } from './upload-journal-format.ts';
import type { UploadIdentity, UploadJournal } from './upload-journal-format.ts';

const page = 'uploads.md';
const [example, ...more] = workedBlocks(page);
assert.ok(example !== undefined);
const upload: UploadIdentity = {
  instance: 'ci',
  uploadId: '5bd3c2b6-91b0-4f8e-b8c1-6d1f6ea4f4a1',
  digest: Digest.ofChecked(sha256, sha256.hashHex(Buffer.from('twenty million bytes')), 20_000_000),
};
const key = uploadKey(upload);
const begunMs = 1_700_000_000_000;

function right(bytes: Buffer, name: string): UploadJournal {
  const decoded = decodeUploadJournal(bytes, name);
  assert.ok(decoded.kind === 'journal', decoded.kind === 'wrong' ? decoded.reason : '');
  return decoded.journal;
}

describe('docs/formats/uploads.md', () => {
  it('has no example that is not read here', () => {
    assert.equal(more.length, 0);
  });

  it('the example decodes, has its name, and is written byte for byte', () => {
    assert.ok(pageSays(page, key));
    const pieceCrcs = ['a', 'b'].map((letter) => crc32(Buffer.alloc(pieceBytes, letter)));
    const journal = right(example.bytes, key);
    assert.deepEqual(journal, { key, digest: upload.digest, begunMs, headerCrc: journal.headerCrc, pieceCrcs, committedBytes: 2 * pieceBytes, endOffset: example.bytes.byteLength });
    const header = encodeJournalHeader({ key, digest: upload.digest, begunMs });
    const begun = right(header, key);
    assert.deepEqual([begun.pieceCrcs, begun.committedBytes, begun.endOffset], [[], 0, journalHeaderBytes]);
    assert.ok(Buffer.concat([header, ...pieceCrcs.map((pieceCrc, number) => encodeJournalEntry(begun, number, pieceCrc))]).equals(example.bytes));
  });
});

describe('journals of uploads', () => {
  it('different uploads have different names', () => {
    const others: readonly UploadIdentity[] = [
      upload, { ...upload, instance: '' }, { ...upload, instance: 'c', uploadId: `i${upload.uploadId}` }, { ...upload, uploadId: 'x' },
      { ...upload, digest: Digest.ofChecked(sha256, upload.digest.hash, 20_000_001) }, { ...upload, digest: Digest.ofChecked(sha256, '00'.repeat(32), 20_000_000) },
      { ...upload, digest: Digest.ofChecked(sha1, upload.digest.hash.slice(0, 40), 20_000_000) },
    ];
    assert.equal(new Set(others.map(uploadKey)).size, others.length);
  });

  it('tell of a prefix of the pieces with any bit flipped and any byte cut, and never of other ones', () => {
    const whole = right(example.bytes, key);
    for (let bit = 0; bit < example.bytes.byteLength * 8; bit += 1) {
      const changed = Buffer.from(example.bytes);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const decoded = decodeUploadJournal(changed, key);
      const hit = Math.floor(((bit >> 3) - journalHeaderBytes) / journalEntryBytes);
      if (hit < 0) assert.equal(decoded.kind, 'wrong', `bit ${bit}`);
      else assert.deepEqual(decoded.kind === 'journal' && decoded.journal.pieceCrcs, whole.pieceCrcs.slice(0, hit), `bit ${bit}`);
    }
    for (let length = 0; length <= example.bytes.byteLength; length += 1) {
      const decoded = decodeUploadJournal(example.bytes.subarray(0, length), key);
      if (length < journalHeaderBytes) assert.equal(decoded.kind, 'wrong');
      else assert.deepEqual(decoded.kind === 'journal' && decoded.journal.pieceCrcs, whole.pieceCrcs.slice(0, Math.floor((length - journalHeaderBytes) / journalEntryBytes)));
    }
  });

  it('count the last piece with what it has, and nothing behind it', (t) => {
    const random = seededRandom(t);
    for (const sizeBytes of [1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 3 * pieceBytes, 2 ** 42 + 5]) {
      const digest = Digest.ofChecked(sha512, sha512.hashHex(random.bytes(10)), sizeBytes);
      const name = uploadKey({ instance: '', uploadId: 'u', digest });
      const header = encodeJournalHeader({ key: name, digest, begunMs });
      const journal = right(header, name);
      const pieces = Math.min(4, Math.ceil(sizeBytes / pieceBytes));
      const entries = Array.from({ length: pieces }, (_, number) => encodeJournalEntry(journal, number, random.integer(0, 2 ** 32 - 1)));
      const behind = entries.at(-1);
      assert.ok(behind);
      const whole = right(Buffer.concat([header, ...entries, behind]), name);
      assert.equal(whole.committedBytes, Math.min(sizeBytes, pieces * pieceBytes));
      assert.equal(whole.endOffset, journalHeaderBytes + pieces * journalEntryBytes);
      assert.equal(whole.digest.hash, digest.hash);
    }
  });

  it('count no entry of another journal or in another place', () => {
    const entries = example.bytes.subarray(journalHeaderBytes);
    const other = encodeJournalHeader({ key, digest: upload.digest, begunMs: begunMs + 1 });
    assert.equal(right(Buffer.concat([other, entries]), key).committedBytes, 0);
    const header = example.bytes.subarray(0, journalHeaderBytes);
    assert.equal(right(Buffer.concat([header, entries.subarray(journalEntryBytes)]), key).committedBytes, 0);
  });

  it('are wrong under another name, and where this version would not have written them', () => {
    assert.equal(decodeUploadJournal(example.bytes, 'ab'.repeat(32)).kind, 'wrong');
    const changes: readonly [string, (bytes: Buffer) => void][] = [
      ['version', (bytes) => bytes.writeUInt16LE(2, 8)],
      ['function', (bytes) => bytes.writeUInt8(4, 10)],
      ['bytes of the hash', (bytes) => bytes.writeUInt8(20, 11)],
      ['bytes of a piece', (bytes) => bytes.writeUInt32LE(pieceBytes * 2, 12)],
      ['size', (bytes) => bytes.writeUInt32LE(2 ** 21, 20)],
      ['time', (bytes) => bytes.writeUInt32LE(2 ** 21, 28)],
      ['more than a hash', (bytes) => bytes.writeUInt8(1, 96)],
      ['something behind the checksum', (bytes) => bytes.writeUInt8(1, 132)],
    ];
    for (const [name, change] of changes) {
      const bytes: Buffer = Buffer.from(example.bytes.subarray(0, journalHeaderBytes));
      change(bytes);
      bytes.writeUInt32LE(crc32(bytes.subarray(0, 128)), 128);
      assert.equal(decodeUploadJournal(bytes, key).kind, 'wrong', name);
    }
  });
});
