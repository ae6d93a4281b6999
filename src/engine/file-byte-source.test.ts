// A stored file as a stream: sizes of pieces, reading ahead, and when the file is closed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SeededRandom } from '../testing/seeded-random.ts';
import { FileByteSource } from './file-byte-source.ts';
import type { OpenFile } from './file-byte-source.ts';

const content = Buffer.from(new SeededRandom(6).bytes(1_000_000));

/** An open file over `content` that counts. */
function openContent() {
  const seen = { reads: 0, running: 0, closed: 0, closedWhileReading: false };
  const file: OpenFile = {
    async read(into, offset) {
      seen.reads += 1;
      seen.running += 1;
      await new Promise(setImmediate);
      seen.running -= 1;
      return content.copy(into, 0, offset, offset + into.byteLength);
    },
    async [Symbol.asyncDispose]() {
      seen.closed += 1;
      seen.closedWhileReading ||= seen.running > 0;
    },
  };
  return { file, seen };
}

describe('FileByteSource', () => {
  it('K1-20: reads at least 256 KiB at a time, one piece ahead of the consumer, into buffers of their own', async () => {
    const { file, seen } = openContent();
    const pieces: Uint8Array[] = [];
    for await (const piece of new FileByteSource(file, { offset: 0, length: content.byteLength })) {
      pieces.push(piece);
      assert.equal(seen.reads, Math.min(pieces.length + 1, 4), 'one ahead and no more');
    }
    assert.deepEqual(pieces.map(({ byteLength }) => byteLength), [262_144, 262_144, 262_144, 213_568]);
    assert.ok(Buffer.concat(pieces).equals(content));
    assert.equal(new Set(pieces.map(({ buffer }) => buffer)).size, pieces.length);
    assert.deepEqual(seen, { reads: 4, running: 0, closed: 1, closedWhileReading: false });
  });

  it('closes its file after the read under way, when left early and when disposed', async () => {
    const left = openContent();
    for await (const _piece of new FileByteSource(left.file, { offset: 10, length: 900_000 })) break;
    assert.deepEqual([left.seen.closed, left.seen.closedWhileReading], [1, false]);
    const disposed = openContent();
    await new FileByteSource(disposed.file, { offset: 0, length: 5 })[Symbol.asyncDispose]();
    assert.deepEqual([disposed.seen.reads, disposed.seen.closed], [0, 1]);
  });

  it('K1-13: yields exactly the span, also an empty one', async () => {
    for (const span of [{ offset: 0, length: 327_680 }, { offset: 262_143, length: 2 }, { offset: 999_999, length: 1 }, { offset: 1_000_000, length: 0 }]) {
      const { file, seen } = openContent();
      const source = new FileByteSource(file, span);
      assert.equal(source.sizeBytes, span.length);
      const pieces = await Array.fromAsync(source);
      assert.ok(Buffer.concat(pieces).equals(content.subarray(span.offset, span.offset + span.length)), JSON.stringify(span));
      assert.equal(seen.closed, 1);
    }
  });

  it('fails with data_loss when the file ends early, and withholds the last piece when the check fails', async () => {
    const short = openContent();
    await assert.rejects(Array.fromAsync(new FileByteSource(short.file, { offset: 0, length: 1_000_001 })), { code: 'data_loss' });
    const wrong = openContent();
    let received = 0;
    const check = { update: () => undefined, finish: () => Promise.reject(new Error('wrong')) };
    await assert.rejects(async () => {
      for await (const piece of new FileByteSource(wrong.file, { offset: 0, length: content.byteLength }, check)) received += piece.byteLength;
    }, /wrong/);
    assert.equal(received, 786_432);
    assert.deepEqual([short.seen.closed, wrong.seen.closed], [1, 1]);
  });
});
