// Segments that are written in one go, over real files: read back record by record, and never more than was reckoned.
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { mortalSyncs } from '../testing/mortal-files.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { readSegments } from '../testing/taken-over.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { recordBytes } from './record-codec.ts';
import { SealedSegments, sealedSegmentsBytes } from './sealed-segments.ts';
import type { NewRecord, Numbering } from './sealed-segments.ts';

describe('SealedSegments', () => {
  it('holds every record in order, in segments as long as they say and no longer than reckoned', async (t) => {
    const random = seededRandom(t);
    const files = new NodeLogFileSystem();
    for (const count of [1, 12, 400]) {
      await using directory = await temporaryDirectory();
      const numbering: Numbering = { nextId: 7, nextSequence: 100 };
      await using segments = new SealedSegments({ files, syncs: mortalSyncs(() => undefined), random }, { directory: directory.path, stream: 'value', segmentBytes: 2 ** 21, lastBytesLeast: 2 ** 16, begunMs: 1_700_000_000_000 }, numbering);
      const records: NewRecord[] = [];
      let totalBytes = 0;
      for (let at = 0; at < count; at += 1) {
        const record: NewRecord = {
          kind: random.pick(['opaque', 'actionResult']), functionNumber: 1, isPointer: false, isCopy: false, hash: random.bytes(32), instance: 'i'.repeat(random.integer(0, 300)),
          logicalBytes: at, sequence: numbering.nextSequence, usedAtS: 1_700_000_000 + at, payload: Buffer.alloc(random.integer(0, 70_000), at),
        };
        numbering.nextSequence += 1;
        records.push(record);
        totalBytes += recordBytes(32, record.instance.length, record.payload.byteLength);
        await segments.append(record);
      }
      await segments.end();
      const found = await readSegments(files, directory.path);
      assert.deepEqual(
        found.flatMap((segment) => segment.records).map(({ head: { durableMark: _mark, offset: _offset, payloadBytes: _bytes, payloadCrc: _crc, ...head }, payload }) => ({ ...head, hash: Buffer.from(head.hash), payload: Buffer.from(payload) })),
        records.map((record) => ({ ...record, hash: Buffer.from(record.hash) })),
      );
      for (const { header, records: held, sealedRecords } of found) {
        assert.equal(sealedRecords, held.length);
        for (const { head } of held) assert.equal(head.durableMark, 4_096);
        assert.ok(header.firstSequence >= 100 && header.firstSequence <= numbering.nextSequence);
      }
      assert.deepEqual(found.map(({ header }) => header.id), Array.from(found, (_, at) => 7 + at));
      let takenBytes = 0;
      for (const { name, header } of found) {
        const { size } = await stat(join(directory.path, name));
        assert.equal(size, header.segmentBytes);
        takenBytes += size;
      }
      assert.ok(takenBytes <= sealedSegmentsBytes(totalBytes, { segmentBytes: 2 ** 21, recordBytesMax: 71_000 }));
      if (count === 400) assert.ok(found.length > 5);
    }
  });

  it('makes nothing of no records', async () => {
    await using directory = await temporaryDirectory();
    const files = new NodeLogFileSystem();
    await using segments = new SealedSegments({ files, syncs: mortalSyncs(() => undefined), random: { bytes: (length) => new Uint8Array(length) } }, { directory: directory.path, stream: 'blob', segmentBytes: 2 ** 20, lastBytesLeast: 2 ** 20, begunMs: 0 }, { nextId: 1, nextSequence: 1 });
    await segments.end();
    assert.deepEqual(await files.list(directory.path), []);
  });
});
