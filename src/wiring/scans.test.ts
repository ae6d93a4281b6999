// The thread gives what a scan in line gives, and says what went wrong with a file.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { hintOf } from '../engine/hint-scan.ts';
import type { HintRequest } from '../engine/hint-scan.ts';
import { recordBytes, writeHead } from '../engine/record-codec.ts';
import { encodeSegmentHeader, nonceCrc, segmentHeaderBytes } from '../engine/segment-format.ts';
import { ThreadHintScans } from './scans.ts';

const header = { stream: 'blob', segmentBytes: 2 ** 20, id: 1, nonce: Buffer.from('0102030405060708', 'hex'), firstSequence: 1, begunMs: 0 } as const;

function segmentWith(count: number): { readonly bytes: Buffer; readonly request: HintRequest } {
  const bytes = Buffer.alloc(header.segmentBytes);
  encodeSegmentHeader(header).copy(bytes);
  let at = segmentHeaderBytes;
  for (let index = 0; index < count; index += 1) {
    const payload = Buffer.alloc(1000, index);
    const head = {
      kind: 'blob', functionNumber: 1, isPointer: false, isCopy: false, hash: Buffer.alloc(32, index), instance: '', logicalBytes: payload.byteLength, sequence: index + 1,
      offset: at, durableMark: at, usedAtS: 1, payloadBytes: payload.byteLength, payloadCrc: crc32(payload),
    } as const;
    payload.copy(bytes, writeHead(bytes, at, head, nonceCrc(header.nonce)));
    at += recordBytes(32, 0, payload.byteLength);
  }
  return { bytes, request: { segment: header, endOffset: at } };
}

describe('ThreadHintScans', () => {
  it('makes hints of files, one after the other', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kiln-scans-'));
    using scans = new ThreadHintScans();
    const made = await Promise.all([1, 7, 900].map(async (count) => {
      const { bytes, request } = segmentWith(count);
      const path = join(directory, String(count));
      await writeFile(path, bytes);
      return { hint: await scans.hintOf(path, request), expected: hintOf((into, position) => bytes.copy(into, 0, position, position + into.byteLength), request) };
    }));
    for (const { hint, expected } of made) {
      assert.ok(hint && expected);
      assert.deepEqual(Buffer.from(hint), expected);
    }
    await rm(directory, { recursive: true });
  });

  it('says what is wrong with a file, and goes on', async () => {
    using scans = new ThreadHintScans();
    const { request } = segmentWith(1);
    await assert.rejects(scans.hintOf('/nowhere/at/all', request), /ENOENT.*\/nowhere\/at\/all/);
    await assert.rejects(scans.hintOf('/nowhere/else', request), /ENOENT/);
  });
});
