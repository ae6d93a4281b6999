// The worked examples of docs/formats/segments.md and data-directory.md decode, and what is written is what the pages say.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sha256 } from '../digest/digest-function.ts';
import { FaultyFileSystem } from '../testing/faulty-file-system.ts';
import { pageSays, workedBlocks } from '../testing/worked-example.ts';
import { dataFormat, writeDataFormat } from './data-directory.ts';
import { aligned, decodeHead, payloadIsRight, payloadOffset, recordBytes, writeHead } from './record-codec.ts';
import type { RecordHead } from './record-codec.ts';
import { decodePointer, decodeTombstone, decodeTouches, encodePointer, encodeTombstone, encodeTouches } from './record-payloads.ts';
import { RecordScan } from './record-scan.ts';
import { decodeSegmentHeader, encodeSegmentHeader, nonceCrc, segmentHeaderBytes } from './segment-format.ts';

const [headerBlock, helloBlock, intentBlock, commitsBlock, endBlock, valuesBlock, touchesBlock, ...more] = workedBlocks('segments.md');
assert.ok(headerBlock && helloBlock && intentBlock && commitsBlock && endBlock && valuesBlock && touchesBlock);
const nonces = { blob: nonceOf(1), value: nonceOf(0x11), touch: nonceOf(0x21) };

function nonceOf(first: number): Buffer {
  return Buffer.from(Array.from({ length: 8 }, (_, index) => first + index));
}

interface Found {
  readonly head: RecordHead;
  readonly payload: Buffer;
}

/** The records in a block, each written again byte for byte. */
function recordsIn({ offset, bytes }: { readonly offset: number; readonly bytes: Buffer }, nonce: Buffer): readonly Found[] {
  const found: Found[] = [];
  const crc = nonceCrc(nonce);
  for (let at = 0; at < bytes.byteLength; ) {
    const decoded = decodeHead(bytes, at, offset + at, crc);
    assert.ok(decoded.kind === 'record', `a record at ${offset + at}`);
    const { head } = decoded;
    const instanceBytes = Buffer.byteLength(head.instance);
    const payloadAt = at + payloadOffset(head.hash.byteLength, instanceBytes);
    const payload = bytes.subarray(payloadAt, payloadAt + head.payloadBytes);
    assert.ok(payloadIsRight(head, payload));
    const again = Buffer.alloc(decoded.bytes, 0xaa);
    const put = writeHead(again, 0, head, crc);
    assert.equal(put, payloadAt - at);
    again.fill(0, put + payload.copy(again, put));
    assert.ok(again.equals(bytes.subarray(at, at + decoded.bytes)), `written as at ${offset + at}`);
    assert.equal(decoded.bytes, recordBytes(head.hash.byteLength, instanceBytes, head.payloadBytes));
    assert.equal(decoded.bytes, aligned(decoded.bytes));
    found.push({ head, payload });
    at += decoded.bytes;
  }
  return found;
}

describe('docs/formats/segments.md', () => {
  const segment = Buffer.alloc(2 ** 20);
  for (const { offset, bytes } of [headerBlock, helloBlock, intentBlock, commitsBlock, endBlock]) segment.set(bytes, offset);

  it('has no example that is not read here', () => {
    assert.equal(more.length, 0);
  });

  it('the block at the beginning decodes, and is written byte for byte', () => {
    const decoded = decodeSegmentHeader(segment);
    const header = { stream: 'blob', segmentBytes: 2 ** 20, id: 7, nonce: nonces.blob, firstSequence: 1000, begunMs: 1_700_000_000_000 } as const;
    assert.deepEqual(decoded, { kind: 'segment', header });
    const block = encodeSegmentHeader(header);
    assert.equal(block.byteLength, segmentHeaderBytes);
    assert.ok(block.subarray(0, 64).equals(headerBlock.bytes) && block.subarray(64).every((byte) => byte === 0));
  });

  it('the records of the blob segment are what the page says, and are written byte for byte', () => {
    const [hello, intent, commit, tombstone, gone, seal] = [helloBlock, intentBlock, commitsBlock, endBlock].flatMap((block) => recordsIn(block, nonces.blob));
    assert.ok(hello && intent && commit && tombstone && gone && seal);
    const large = Buffer.from(sha256.hashHex(Buffer.from('a large file')), 'hex');
    assert.equal(hello.payload.toString(), 'hello');
    assert.deepEqual({ ...hello.head, hash: Buffer.from(hello.head.hash).toString('hex') }, {
      kind: 'blob', functionNumber: 1, isPointer: false, isCopy: false, hash: sha256.hashHex(Buffer.from('hello')), instance: '', logicalBytes: 5, sequence: 1000,
      offset: 4096, durableMark: 4096, usedAtS: 1_700_000_000, payloadBytes: 5, payloadCrc: hello.head.payloadCrc,
    });
    for (const { head } of [intent, commit, tombstone, gone]) assert.ok(large.equals(head.hash) && head.logicalBytes === 3_000_000);
    assert.deepEqual([intent, commit, tombstone, gone, seal].map(({ head }) => [head.kind, head.sequence]), [['intent', 1001], ['commit', 1001], ['tombstone', 1003], ['tombstone', 1004], ['seal', 1005]]);
    assert.equal(commit.head.durableMark, 0x10b8);
    assert.deepEqual([tombstone, gone].map(({ payload }) => decodeTombstone(payload)), [{ removed: 'commit', isGone: false }, { removed: 'commit', isGone: true }]);
    assert.ok(encodeTombstone({ removed: 'commit', isGone: true }).equals(gone.payload));
    assert.equal(seal.head.logicalBytes, 5);
  });

  it('a scan finds them, the seal, and nothing under another nonce', () => {
    const scan = new RecordScan({ offset: segmentHeaderBytes, endOffset: segment.byteLength, nonceCrc: nonceCrc(nonces.blob), recordsBefore: 0 });
    const events = scan.push(segment.subarray(segmentHeaderBytes));
    assert.deepEqual(events.map((event) => (event.kind === 'record' ? event.head.kind : event)), ['blob', 'intent', 'commit', 'tombstone', 'tombstone']);
    assert.deepEqual(scan.end(), { kind: 'ended', endOffset: endBlock.offset + endBlock.bytes.byteLength, records: 5, sealedRecords: 5, tornBytes: 0 });
    const other = new RecordScan({ offset: segmentHeaderBytes, endOffset: segment.byteLength, nonceCrc: nonceCrc(nonces.value), recordsBefore: 0 });
    assert.deepEqual(other.push(segment.subarray(segmentHeaderBytes)), []);
    assert.deepEqual(other.end(), { kind: 'ended', endOffset: segmentHeaderBytes, records: 0, sealedRecords: undefined, tornBytes: 0 });
  });

  it('the value and the pointer are what the page says, and are written byte for byte', () => {
    const [value, pointer] = recordsIn(valuesBlock, nonces.value);
    assert.ok(value && pointer);
    assert.deepEqual([value.head.kind, value.head.instance, value.payload.toString()], ['opaque', 'ci', 'tiny']);
    assert.equal(Buffer.from(value.head.hash).toString('hex'), sha256.hashHex(Buffer.from('key')));
    assert.deepEqual([pointer.head.kind, pointer.head.isPointer, pointer.head.logicalBytes], ['actionResult', true, 5_000_000]);
    const decoded = decodePointer(pointer.payload);
    assert.deepEqual(decoded, { functionNumber: 1, hash: Buffer.from(sha256.hashHex(Buffer.from('five million bytes')), 'hex'), sizeBytes: 5_000_000 });
    assert.ok(encodePointer(decoded).equals(pointer.payload));
  });

  it('the touches are what the page says, and are written byte for byte', () => {
    const [touches] = recordsIn(touchesBlock, nonces.touch);
    assert.ok(touches);
    const decoded = decodeTouches(touches.payload);
    const expected = ['hello', 'a large file'].map((text, index) => {
      const hash = Buffer.from(sha256.hashHex(Buffer.from(text)), 'hex');
      return { low: hash.readUInt32LE(0), high: hash.readUInt32LE(4), usedAtS: 1_700_007_200 + 4 * index };
    });
    assert.deepEqual(decoded, expected);
    assert.ok(encodeTouches(expected).equals(touches.payload));
    assert.equal(touches.head.logicalBytes, 2);
  });
});

describe('docs/formats/data-directory.md', () => {
  it('the markers are what the pages say, and the next version is refused', async () => {
    const marker = Buffer.from('kiln data directory, format 2\n');
    assert.ok(pageSays('data-directory.md', [...marker].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')));
    const disk = new FaultyFileSystem();
    assert.equal(await dataFormat(disk, '/'), undefined);
    await writeDataFormat(disk, '/');
    assert.equal(await dataFormat(disk, '/'), 2);
    await using written = await disk.openRead('/kiln-data-version');
    const found = Buffer.alloc(100);
    assert.ok(written && found.subarray(0, await written.read(found, 0)).equals(marker));
    for (const [format, outcome] of [[1, 1], [3, undefined]] as const) {
      await disk.remove('/kiln-data-version');
      await using file = await disk.createExclusive('/kiln-data-version');
      await file.write(Buffer.from(`kiln data directory, format ${format}\n`));
      if (outcome === undefined) await assert.rejects(dataFormat(disk, '/'), { code: 'failed_precondition', message: /has format 3, which this version of Kiln does not know; use the version that wrote it/ });
      else assert.equal(await dataFormat(disk, '/'), outcome);
    }
  });
});
